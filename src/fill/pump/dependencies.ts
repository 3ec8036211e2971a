import type { Config } from "../../config/config.ts";
import type { Target } from "../../route/target.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import type { Upstreams } from "../../upstream/upstream.ts";
import type { CreateDigest } from "../../verify/digest-ranges.ts";
import type { Expectation } from "../../verify/expectation.ts";
import type { Leases } from "../flight/leases.ts";
import type { Memory } from "../shared/memory.ts";

/** What is known of a file's content before it comes. */
export interface Foreknowledge {
  /** Digests that an index, a root or the file's own name gives it: its bytes must match one of them. Empty: none is known. */
  readonly known: readonly Expectation[];
  /** An index that may name the file is still being read. */
  readonly provisional: boolean;
}

/** Asks what is known of a file; where an index is still being read, waits up to `waitMs` for it. Never rejects. */
export type Foresee = (waitMs: number) => Promise<Foreknowledge>;

export interface RestDependencies {
  readonly store: ObjectStore;
  readonly sleep: (ms: number) => Promise<void>;
  readonly onUnstored: (key: string, reason: string) => void;
}

export interface PumpDependencies extends RestDependencies {
  readonly config: Config;
  readonly upstreams: Upstreams;
  readonly leases: Leases;
  readonly memory: Memory;
  readonly now: () => number;
  readonly createDigest: CreateDigest;
  /** Whether an object of this size may be stored; may take a while, where others are evicted first. Never rejects. */
  readonly admit: (key: string, size: number) => Promise<boolean>;
  /** Longer packages are not pumped: each client gets them as the platform moves them. */
  readonly maxPumpBytes: number;
  /** A file arrived whole and was stored. */
  readonly onStored: (target: Target, object: StoredObject) => void;
  /** An upstream sent bytes that are not the file's. */
  readonly onBroken: (target: Target, upstream: string, reason: string) => void;
}
