import type { Config } from "../../config/config.ts";
import type { Fills } from "../../fill/fills.ts";
import type { NativeStore } from "../../fill/native-store.ts";
import type { Repositories } from "../../metadata/ports/repositories.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import type { Upstreams } from "../../upstream/upstream.ts";
import type { Confirmations } from "./confirmations.ts";

/** All that answering needs, built once per isolate. */
export interface ServeDependencies {
  readonly config: Config;
  readonly store: ObjectStore;
  readonly fills: Fills;
  readonly upstreams: Upstreams;
  readonly repositories: Repositories;
  readonly confirmations: Confirmations;
  /** Where the Worker's CPU is short (the free plan): moves and stores long bodies natively. */
  readonly native: NativeStore | null;
  readonly now: () => number;
  /** A version in the store, or what was sent of one, proved bad. */
  readonly taint: (key: string, version: string) => Promise<void>;
  /** `bytes` of a stored object (or of one being stored) go out. */
  readonly onUse: (key: string, bytes: number) => void;
  readonly log: (message: string) => void;
}
