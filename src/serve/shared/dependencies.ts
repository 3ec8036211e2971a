import type { Config } from "../../config/config.ts";
import type { Fills } from "../../fill/fills.ts";
import type { NativeStore } from "../../fill/native-store.ts";
import type { CacheStatus } from "../../http/cache-status.ts";
import type { Repositories } from "../../metadata/ports/repositories.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import type { Upstreams } from "../../upstream/upstream.ts";
import type { Confirmations } from "./confirmations.ts";
import type { Room } from "./room.ts";

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
  readonly heads: Heads;
  readonly now: () => number;
  /** A version in the store, or what was sent of one, proved bad. */
  readonly taint: (key: string, version: string) => Promise<void>;
  /** `bytes` of a stored object (or of one being stored) go out. */
  readonly onUse: (key: string, bytes: number) => void;
  /** Bytes of stored files that are checked for a client before it gets them. */
  readonly room: Room;
  /** The bytes of a stored object are not those that were stored: deletes it and says so. `reason`: the end of a sentence about the file. Never throws. */
  readonly condemn: (key: string, object: StoredObject, reason: string) => Promise<void>;
  readonly log: (message: string) => void;
}

/** The headers of answers with a whole object (answer/ready-heads.ts). */
export interface Heads {
  /** All headers of a 200 at this path, for a new Response, which copies them: do not change them. `cache`: the value of Cache-Status. */
  of(object: StoredObject, target: { readonly path: string }, cache: string, ageSeconds: number): Headers;
}

/** What a step of serving comes to: the answer, or that the store is to be looked at again. */
export type Outcome = Response | LookAgain;

export interface LookAgain {
  readonly kind: "look-again";
  /** What lies there now is the answer, with this status: it was stored or confirmed a moment ago. */
  readonly settled?: CacheStatus;
  /** The key of what a generation names and the store no longer has: the repository fetches it again. */
  readonly lost?: string;
  /** Other requests read a version that cannot be compared with what the upstream has: this one fetches the file for itself. */
  readonly isApart?: true;
}
