import type { Mirror } from "../../config/config.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import { rewriteObject } from "../../store/rewrite-object.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import { join } from "../formats/repository-path.ts";
import type { Log } from "../ports/kept-state.ts";
import type { Digest } from "./digest-table.ts";

/** What settling reads, changes and reports to. */
export interface SettleDependencies {
  readonly mirror: Pick<Mirror, "name">;
  readonly store: ObjectStore;
  /** Notes that a version stored under the key proved to be other bytes than its index names. */
  readonly taint: (key: string, version: string) => Promise<void>;
  /** Configured length of slices: an object stored as one is at most this long. */
  readonly sliceBytes: number;
  readonly log: Log;
}

/**
 * Compares objects that were stored while their table was being built (`provisional`) with the table, now that it is there. One that is not the
 * published file is deleted; any other loses the mark. `paths` are relative to the table's folder `base`. Throws StoreError, and what `taint` throws.
 */
export async function settleProvisional(
  paths: readonly string[],
  base: string,
  digestsOf: (path: string) => readonly Digest[],
  { mirror, store, taint, sliceBytes, log }: SettleDependencies,
): Promise<void> {
  for (const path of paths) {
    const key = `${mirror.name}/${join(base, path)}`;
    const object = await store.head(key);
    if (object?.provisional !== true) continue;
    const digests = digestsOf(path);
    if (digests.length === 0 || digests.some((digest) => isPublishedFile(object, digest))) {
      const verified = digests.some(({ sha256 }) => sha256 === object.sha256) ? "digest" : object.verified;
      await rewriteObject(store, key, object.version, sliceBytes, ({ provisional: _settled, ...rest }) => ({ ...rest, verified }));
      continue;
    }
    log("warn", `${mirror.name}: ${join(base, path)} was stored before its digest was known and is not the published file: deleted`);
    // Before the delete: a client must not resume the bad bytes by their date.
    await taint(key, object.version);
    await store.delete([key]);
  }
}

function isPublishedFile({ size, sha256 }: StoredObject, named: Digest): boolean {
  return named.size === size && (sha256 === undefined || sha256 === named.sha256);
}
