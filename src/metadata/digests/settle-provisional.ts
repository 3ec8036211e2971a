import type { Mirror } from "../../config/config.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import { rewriteObject } from "../../store/rewrite-object.ts";
import type { StoredObject } from "../../store/stored-object.ts";
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

const MAX_FAILURES = 3;

/**
 * Compares what is stored under `paths` (below the mirror) since before the table of the folder `base` was there with that table: a file that is not the
 * published one is deleted, another loses the mark `provisional`. Returns the paths that were compared. The rest is named by no index of this table, or the
 * store could not be asked: after MAX_FAILURES it is left for later.
 */
export async function settleProvisional(
  paths: readonly string[],
  base: string,
  digestsOf: (path: string) => readonly Digest[],
  deps: SettleDependencies,
): Promise<{ readonly compared: readonly string[]; readonly failures: number }> {
  const compared: string[] = [];
  let failures = 0;
  for (const path of paths) {
    const digests = digestsOf(base === "" ? path : path.slice(base.length + 1));
    if (digests.length === 0) continue;
    try {
      await settleOne(path, digests, deps);
      compared.push(path);
    } catch (error) {
      deps.log("warn", `${deps.mirror.name}: cannot compare ${path} with its index yet: ${String(error)}`);
      if (++failures === MAX_FAILURES) break;
    }
  }
  return { compared, failures };
}

async function settleOne(
  path: string,
  digests: readonly Digest[],
  { mirror, store, taint, sliceBytes, log }: SettleDependencies,
): Promise<void> {
  const key = `${mirror.name}/${path}`;
  const object = await store.head(key);
  if (object?.provisional !== true) return;
  if (digests.some((digest) => isPublishedFile(object, digest))) {
    const verified = digests.some(({ sha256 }) => sha256 === object.sha256) ? "digest" : object.verified;
    await rewriteObject(store, key, object.version, sliceBytes, ({ provisional: _settled, ...rest }) => ({ ...rest, verified }));
    return;
  }
  log("warn", `${mirror.name}: ${path} was stored before its digest was known and is not the published file: deleted`);
  // Before the delete: a client must not resume the bad bytes by their date.
  await taint(key, object.version);
  await store.delete([key]);
}

function isPublishedFile({ size, sha256 }: StoredObject, named: Digest): boolean {
  return named.size === size && (sha256 === undefined || sha256 === named.sha256);
}
