import { elapsedMs } from "../../clock/elapsed.ts";
import { DAY_MS } from "../../http/units.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import { toHex } from "../../verify/expectation.ts";
import { createPageWriter, type PageRef, type RawRecord, writeManifest } from "./table-format.ts";

/** A page ends where a path says so, which one of so many does: a page of some 32 KiB, whose end does not depend on what lies before it. */
const RECORDS_PER_END = 256;
/** No page ends below this … */
const MIN_PAGE_BYTES = 8 * 1024;
/** … and each ends with the path that takes it above this. @internal */
export const MAX_PAGE_BYTES = 128 * 1024;
/** Pages that are written at the same time. */
const PARALLEL_WRITES = 6;
/** A page that was stored longer ago is stored anew, which begins another life in the retention: the new table may live as long. */
const RENEW_MS = 10 * DAY_MS;

/** Where a table lies: its manifest's key is made of it. */
export interface TableRef {
  /** Lower-case hex SHA-256 of the manifest: equal tables have equal versions. */
  readonly version: string;
}

export interface WriteTableDependencies {
  readonly store: Pick<ObjectStore, "head" | "put">;
  readonly now: () => number;
  /** The store lost a part of this table, or has other bytes in its place, which a head does not show: all of it is stored. */
  readonly isLost?: boolean;
}

/**
 * Key of a page or manifest with this SHA-256. All mirrors share them, those with restricted access too: no URL leads here, unlike to content that
 * indexes name by digest.
 */
export function tableKey(sha256: string): string {
  return `-/table/${sha256}`;
}

/** Stores a table of sorted records. Pages that are in the store already are not stored again, unless it `isLost`. Throws StoreError. */
export async function writeTable(sorted: AsyncIterable<readonly RawRecord[]>, deps: WriteTableDependencies): Promise<TableRef> {
  const pages: PageRef[] = [];
  let records = 0;
  let writing: Promise<void>[] = [];
  let page = createPageWriter();
  let first = "";
  let before = "";

  async function endPage(): Promise<void> {
    const bytes = page.finish();
    const sha256 = await sha256Of(bytes);
    pages.push({ first, sha256, bytes: bytes.length });
    const written = storeContent(bytes, sha256, deps);
    // A failure is met where all are awaited.
    written.catch(() => {});
    writing.push(written);
    if (writing.length >= PARALLEL_WRITES) {
      await Promise.all(writing);
      writing = [];
    }
    page = createPageWriter();
  }

  for await (const batch of sorted) {
    for (const record of batch) {
      // Records of one path stay in one page: a look-up reads one.
      const mayEnd = page.bytes >= MIN_PAGE_BYTES && record.path !== before;
      if (mayEnd && (isEnd(record.path) || page.bytes >= MAX_PAGE_BYTES)) await endPage();
      if (page.count === 0) first = record.path;
      page.add(record);
      records++;
      before = record.path;
    }
  }
  const isOnlyPage = pages.length === 0;
  const inline = isOnlyPage ? page.finish() : undefined;
  if (!isOnlyPage && page.count > 0) await endPage();
  await Promise.all(writing);
  const manifest = writeManifest({ records, pages, ...(inline === undefined ? {} : { inline }) });
  const version = await sha256Of(manifest);
  await storeContent(manifest, version, deps);
  return { version };
}

/** Whether a page begins with this path: decided by the path alone. */
function isEnd(path: string): boolean {
  let hash = 0x811c9dc5;
  for (let at = 0; at < path.length; at++) hash = Math.imul(hash ^ path.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  return (hash >>> 8) % RECORDS_PER_END === 0;
}

async function storeContent(bytes: Uint8Array, sha256: string, { store, now, isLost = false }: WriteTableDependencies): Promise<void> {
  const key = tableKey(sha256);
  const stored = isLost ? null : await store.head(key);
  const isThere = stored?.size === bytes.length && stored.sha256 === sha256;
  if (isThere && elapsedMs(stored.storedAt, now()) < RENEW_MS) return;
  const facts = { contentType: "application/octet-stream", upstream: "", storedAt: now(), verified: "digest" } as const;
  await store.put(key, { version: sha256.slice(0, 32), size: bytes.length, sha256, ...facts }, bytes);
}

async function sha256Of(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}
