import type { Target } from "../../route/target.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import type { AbsentStatus, UpstreamFailure } from "../../upstream/upstream.ts";
import type { Expected } from "../../verify/expectation.ts";
import type { Hold } from "../../watch/hold.ts";

/** How a repository answers for one of its files. */
export type Resolution =
  /** The bytes lie in the ObjectStore under `key`. */
  | {
      readonly kind: "object";
      readonly key: string;
      readonly object: StoredObject;
      /**
       * `fresh`: an upstream confirmed the generation within METADATA_TTL_SECONDS. `revalidated`: one did for this request. `fetched`:
       * nothing was held, and this request published it. `stale`: none could confirm it; this is the last good generation, and `detail` says why.
       */
      readonly state: "fresh" | "revalidated" | "fetched" | "stale";
      /** Whole seconds since an upstream last confirmed the generation; of a file that is named by its digest, since it was stored. */
      readonly ageSeconds: number;
      /** Why the generation is stale, as a sentence for the log and the status page. */
      readonly detail?: string;
      /** The same as a state with a deadline. */
      readonly hold?: Hold;
      /**
       * For so many milliseconds from the answer on, this is the answer to every request for the path that does not say `lost`: no other generation is
       * published before. Absent: that is not certain.
       */
      readonly rememberMs?: number;
      /** The repository has said so a moment ago, and this isolate has remembered it. */
      readonly isRemembered?: true;
    }
  /** An upstream said that there is no such file, or the generation has none. */
  | { readonly kind: "absent"; readonly status: AbsentStatus; readonly words?: string }
  /** No generation covers the path: it is fetched and revalidated by itself, and verified by what `expected` says of it. */
  | { readonly kind: "opaque" }
  /** No upstream gave a usable answer and no generation is held, or the upstream is half-way through a sync, or the repository cannot be asked. */
  | UpstreamFailure;

/** How `expected` is to be answered. Milliseconds. */
export interface AskDigests {
  readonly waitMs?: number | undefined;
  readonly maxAgeMs?: number | undefined;
}

/** Which indexes name a file. */
export interface Naming {
  /** The folder of the repository that decides about the path: the nearest above it. Null: none is known. */
  readonly repository: string | null;
  /** Roots whose indexes name the path, as paths below the mirror. */
  readonly roots: readonly string[];
  /** Why indexes of that repository cannot name it, as phrases; empty where all of them were read. */
  readonly whys: readonly string[];
}

/** The repositories of all mirrors as their callers see them (docs/generations.md). */
export interface Repositories {
  /**
   * Answers for targets of class `root`, `member` and `hashed`. A `hashed` one that is not stored must be asked for here before it is filled: the
   * repository learns in this way which indexes its clients use. `opaque` then means to fill it by its own name. `lost`: the key of an earlier answer
   * that the store no longer had: the file is fetched again. Never rejects.
   */
  resolve(target: Target, lost?: string): Promise<Resolution>;
  /**
   * Reports the use of a stored `hashed` file, for which `resolve` is not called. Only so does a repository learn that its clients use an index that
   * another mirror or suite stored first. Calls the repository once a day for each file and isolate. Never rejects.
   */
  noteUse(target: Target): Promise<void>;
  /** Has this isolate ask the repositories anew for every path: an operator purged roots. Other isolates go on with what they hold, for its time. */
  forgetAnswers(): void;
  /**
   * The digests that published indexes, a root or the file's own name state. While the digest table that may name the file is being built, waits for it
   * up to `waitMs` milliseconds (default 0), and then answers `building`. The same where the repository cannot be asked. What this isolate remembers of
   * the tables may be up to a minute old, `maxAgeMs` milliseconds at most. Never rejects.
   */
  expected(target: Target, ask?: AskDigests): Promise<Expected>;
  /** Which indexes name a file, or why none does. Rejects if the directory of tables cannot be asked. */
  naming(target: Target): Promise<Naming>;
  /**
   * A metalink (XML) for the published repomd.xml `target`, with `url` as its one place. Null where `target` is no repomd.xml, or none is published.
   * Rejects if the repository cannot be asked.
   */
  metalink(target: Target, url: string): Promise<string | null>;
}
