import type { Config } from "../../config/config.ts";
import type { Target } from "../../route/target.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import type { Upstreams } from "../../upstream/upstream.ts";
import type { CreateDigest } from "../../verify/digest-ranges.ts";
import type { Expected } from "../../verify/expectation.ts";
import type { Leases } from "../flight/leases.ts";
import type { Memory } from "../shared/memory.ts";

/**
 * Asks what is known of the content of a file, and waits up to `waitMs` for an index that is still being read. `maxAgeMs`: an answer from memory may be
 * this old; 0: none may. Never rejects.
 */
export type AskExpected = (waitMs: number, maxAgeMs?: number) => Promise<Expected>;

export interface PumpDependencies {
  readonly config: Config;
  readonly store: ObjectStore;
  readonly upstreams: Upstreams;
  readonly leases: Leases;
  readonly memory: Memory;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly createDigest: CreateDigest;
  /**
   * Whether an object of this size (in bytes) may be stored; may take a while, where others are evicted first. `aheadFor`: the mirror for which it is
   * fetched before a client asks for it; then only files of that mirror are evicted. Never rejects.
   */
  readonly admit: (key: string, size: number, aheadFor?: string) => Promise<boolean>;
  /** Longer packages are not pumped: each client gets them as the platform moves them. */
  readonly maxPumpBytes: number;
  /** Whether the next stored slice is opened while one is sent. Not where a read takes no time: each opened slice is a file descriptor. Default: it is. */
  readonly isStoreFar?: boolean;
  /** A file arrived whole and was stored. */
  readonly onStored: (target: Target, object: StoredObject) => void;
  readonly onUnstored: (key: string, reason: string) => void;
  /** An upstream sent bytes that are not the file's. */
  readonly onBroken: (target: Target, upstream: string, reason: string) => void;
}
