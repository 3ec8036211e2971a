import type { Target } from "../../route/target.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import type { UpstreamFailure } from "../../upstream/upstream.ts";
import type { Expectation } from "../../verify/expectation.ts";

/** How a metadata path is answered. Whatever the answer, its bytes lie in the ObjectStore under `key`. */
export type Resolution =
  | {
      readonly kind: "object";
      readonly key: string;
      readonly object: StoredObject;
      /** `stale`: the last good generation, because upstream is away or half-way through a sync (`detail` says which). */
      readonly state: "fresh" | "revalidated" | "stale";
      /** Since an upstream last confirmed the generation. */
      readonly ageSeconds: number;
      readonly detail?: string;
    }
  | { readonly kind: "absent"; readonly status: 404 | 410 }
  /** No generation covers the path: plain conditional caching of that path, against `expected` where that knows more. */
  | { readonly kind: "opaque" }
  | UpstreamFailure;

export type Expected =
  | { readonly kind: "known"; readonly expectation: Expectation }
  | { readonly kind: "none" }
  | { readonly kind: "building" };

/** The repositories of all mirrors as their callers see them (docs/generations.md). */
export interface Repositories {
  /**
   * Answers for targets of class `root`, `member` and `hashed`. A `hashed` one that is not stored must be asked for here before it is filled: by-hash
   * requests are how a repository learns which indexes its clients use; `opaque` then means to fill it by its own name. `lost`: the key of an earlier answer that the store no longer had; the file is then
   * fetched again.
   */
  resolve(target: Target, lost?: string): Promise<Resolution>;
  /**
   * A stored by-hash or zchunk file is given out without `resolve`: its repository is told once by each isolate, or it would never learn that its
   * clients use an index which another mirror or suite stored first. Never rejects.
   */
  noteUse(target: Target): Promise<void>;
  /**
   * What a published index, a root or the file's own name says of a file. While a table is being built waits up to `waitMs` (default 0) for it, then
   * says `building`: store as provisional, and it is checked when the table lands.
   */
  expected(target: Target, waitMs?: number): Promise<Expected>;
  /**
   * Metalink for the repository whose repomd.xml is `target`, naming `url` as its one place; null where `target` is no repomd.xml, or none is
   * published.
   */
  metalink(target: Target, url: string): Promise<string | null>;
  /** Mirrorlist for the same: one line, the folder above `repodata/`. Needs no upstream; null where `target` is no repomd.xml. */
  mirrorlist(target: Target, url: string): string | null;
}
