import type { ObjectStore } from "../../store/object-store.ts";
import { readStream } from "../../store/read-object.ts";
import { toHex } from "../../verify/expectation.ts";
import { decodeRecord, type Manifest, type RawRecord, readManifest, readPage, type TableRecord } from "./table-format.ts";
import { TableFormatError } from "./table-bytes.ts";
import { tableKey, type TableRef } from "./write-table.ts";

/** Pages and manifests that are kept in memory: some 4 MiB, as most tables are of one page or the pages that clients ask for are few. */
const MAX_CACHED_BYTES = 4 * 1024 * 1024;

export interface ReadTableDependencies {
  readonly store: Pick<ObjectStore, "get">;
  /** A page or manifest was read from the store: retention is to know that it is used. */
  readonly onUse?: (key: string) => void;
}

/** The store does not have a page or the manifest of a table, or other bytes in its place: the table must be built again. */
export class LostTableError extends Error {
  override readonly name = "LostTableError";
}

/** What two tables say of one path: none of the records where one of them does not name it. */
export interface Difference {
  readonly path: string;
  readonly before: readonly TableRecord[];
  readonly after: readonly TableRecord[];
}

export type Tables = ReturnType<typeof createTableReader>;

/** Reads digest tables (table-format.ts). Every function rejects with LostTableError where a part of the table is not in the store, and with StoreError. */
export function createTableReader({ store, onUse }: ReadTableDependencies) {
  const cached = new Map<string, { readonly value: Manifest | Uint8Array; readonly bytes: number }>();
  let cachedBytes = 0;

  async function load<T extends Manifest | Uint8Array>(sha256: string, parse: (bytes: Uint8Array) => T): Promise<T> {
    const key = tableKey(sha256);
    const known = cached.get(key);
    // The key is that of the content, so that one key is always parsed in one way.
    if (known !== undefined) return known.value as T;
    const found = await store.get(key);
    if (found === null || found.body === null) throw new LostTableError(`the store does not have ${key}`);
    const bytes = await readStream(found.body);
    // Bytes that went bad at rest would have right packages refused.
    const actual = toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
    if (actual !== sha256) throw new LostTableError(`the store has other bytes under ${key}`);
    onUse?.(key);
    const value = parse(bytes);
    cached.set(key, { value, bytes: bytes.length });
    cachedBytes += bytes.length;
    for (const [oldest, { bytes: length }] of cached) {
      if (cachedBytes <= MAX_CACHED_BYTES || oldest === key) break;
      cached.delete(oldest);
      cachedBytes -= length;
    }
    return value;
  }

  function manifestOf({ version }: TableRef): Promise<Manifest> {
    return load(version, (bytes) => {
      try {
        return readManifest(bytes);
      } catch (error) {
        // A later version of this program wrote it: this one builds its own.
        if (error instanceof TableFormatError) throw new LostTableError(error.message);
        throw error;
      }
    });
  }

  async function pageOf({ pages, inline }: Manifest, index: number): Promise<Uint8Array> {
    const page = pages[index];
    if (page === undefined) return inline ?? new Uint8Array();
    return load(page.sha256, (bytes) => bytes);
  }

  async function* read(table: TableRef, skips: ReadonlySet<string>): AsyncGenerator<readonly RawRecord[]> {
    const manifest = await manifestOf(table);
    if (manifest.inline !== undefined) yield [...readPage(manifest.inline)];
    for (const [index, { sha256 }] of manifest.pages.entries()) {
      if (!skips.has(sha256)) yield [...readPage(await pageOf(manifest, index))];
    }
  }

  return {
    /** What the table says of a path; more than one record where its indexes contradict each other. Reads the manifest and one page. */
    async lookUp(table: TableRef, path: string): Promise<readonly TableRecord[]> {
      const manifest = await manifestOf(table);
      const index = manifest.inline === undefined ? pageAt(manifest, path) : 0;
      if (index < 0) return [];
      const found: TableRecord[] = [];
      for (const record of readPage(await pageOf(manifest, index))) {
        if (record.path > path) break;
        if (record.path === path) found.push(decodeRecord(record));
      }
      return found;
    },
    /** How many records the table has. */
    async count(table: TableRef): Promise<number> {
      return (await manifestOf(table)).records;
    },
    /** All records in order, a page at a time. */
    read: (table: TableRef) => read(table, new Set()),
    /** What the table `after` says otherwise than `before`, in the order of paths. Pages that both have are not read. */
    async *differences(before: TableRef, after: TableRef): AsyncGenerator<Difference> {
      const [pagesBefore, pagesAfter] = await Promise.all([before, after].map(async (table) => pageNames(await manifestOf(table))));
      const left = byPath(read(before, pagesAfter ?? new Set()));
      const right = byPath(read(after, pagesBefore ?? new Set()));
      let [one, other] = [await left.next(), await right.next()];
      while (one.done !== true || other.done !== true) {
        const isLeft = other.done === true || (one.done !== true && one.value.path <= other.value.path);
        const isRight = one.done === true || (other.done !== true && other.value.path <= one.value.path);
        const [was, is] = [isLeft && one.done !== true ? one.value : null, isRight && other.done !== true ? other.value : null];
        if (was === null || is === null || !isSame(was.records, is.records)) {
          yield {
            path: was?.path ?? is?.path ?? "",
            before: (was?.records ?? []).map(decodeRecord),
            after: (is?.records ?? []).map(decodeRecord),
          };
        }
        if (was !== null) one = await left.next();
        if (is !== null) other = await right.next();
      }
    },
    /** The keys of all that the table lies in. */
    async keys(table: TableRef): Promise<readonly string[]> {
      const { pages } = await manifestOf(table);
      return [table.version, ...pages.map(({ sha256 }) => sha256)].map(tableKey);
    },
  };
}

/** The page that has the path, if any has: the last one that begins at or before it; -1 where all begin behind it. */
function pageAt({ pages }: Manifest, path: string): number {
  let [low, high] = [0, pages.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((pages[middle]?.first ?? "") <= path) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function pageNames({ pages }: Manifest): Set<string> {
  return new Set(pages.map(({ sha256 }) => sha256));
}

interface OfPath {
  readonly path: string;
  readonly records: readonly RawRecord[];
}

/** The records of each path; those of one path lie in one page. */
async function* byPath(batches: AsyncIterable<readonly RawRecord[]>): AsyncGenerator<OfPath> {
  for await (const batch of batches) {
    for (let at = 0; at < batch.length;) {
      const { path } = batch[at] ?? { path: "" };
      let end = at + 1;
      while (batch[end]?.path === path) end++;
      yield { path, records: batch.slice(at, end) };
      at = end;
    }
  }
}

function isSame(one: readonly RawRecord[], other: readonly RawRecord[]): boolean {
  const isEqual = (a: Uint8Array, b: Uint8Array | undefined) => a.length === b?.length && a.every((byte, at) => byte === b[at]);
  return one.length === other.length && one.every(({ facts }, at) => isEqual(facts, other[at]?.facts));
}
