import { toHex } from "../../verify/expectation.ts";

/**
 * A compact table path → (size, SHA-256) that one ranged read answers. It is a row of pages of PAGE_BYTES; a path's fingerprint picks the page.
 * A page holds records of RECORD_BYTES one after the other, zeros behind them:
 *
 *     0  fingerprint, two words      8  size, 6 bytes      14  two zeros      16  SHA-256
 *
 * All numbers are big-endian. Paths that share a fingerprint (or two suites that name one path with different bytes) have a record each.
 */
export const PAGE_BYTES = 4096;
const RECORD_BYTES = 48;
const RECORDS_PER_PAGE = Math.floor(PAGE_BYTES / RECORD_BYTES);
/** Pages are so many that they hold this many records on average. One that is full all the same (rarely one in a million) doubles their number. */
const AVERAGE_RECORDS = 48;
/** Room that a builder begins with; it doubles when it is full. */
const FIRST_RECORDS = 1024;
/** 36 MB of records are what an isolate can spare. Debian's main with its sources has about 200,000 files in three architectures. */
export const MAX_RECORDS = 750_000;

/** What a table says of a path. */
export interface Digest {
  /** Bytes. */
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** A package and its path, relative to the folder that the table is for. */
export interface TableEntry extends Digest {
  readonly path: string;
}

export type TableBuilder = ReturnType<typeof createTableBuilder>;

/** Collects records in memory, in any order, and writes them as a table. */
export function createTableBuilder() {
  let records = new Uint8Array(FIRST_RECORDS * RECORD_BYTES);
  let count = 0;
  const room = (): Uint8Array | null => {
    if (count >= MAX_RECORDS) return null;
    if ((count + 1) * RECORD_BYTES > records.length) {
      const grown = new Uint8Array(Math.min(records.length * 2, MAX_RECORDS * RECORD_BYTES));
      grown.set(records);
      records = grown;
    }
    return records.subarray(count * RECORD_BYTES, ++count * RECORD_BYTES);
  };
  return {
    /** False: the table is full, and the record is not in it. */
    add({ path, size, sha256 }: TableEntry): boolean {
      const record = room();
      if (record === null) return false;
      writeRecord(record, fingerprint(path), { size, sha256 });
      return true;
    },
    /** Adds all records of whole pages of another table. False: the table is full, and not all are in it. */
    addPages(pages: Uint8Array): boolean {
      for (const found of recordsOf(pages)) {
        const record = room();
        if (record === null) return false;
        record.set(found);
      }
      return true;
    },
    get count() {
      return count;
    },
    /** The number of pages, and the pages in order: each part is whole pages, of `maxBytes` at most, and valid until the next is asked for. */
    finish(maxBytes: number): { readonly pages: number; readonly parts: Iterable<Uint8Array> } {
      const sorted = sortRecords(records, count);
      let pages = Math.max(1, Math.ceil(sorted.length / AVERAGE_RECORDS));
      while (!fits(sorted, records, pages)) pages *= 2;
      return { pages, parts: writePages(records, sorted, pages, Math.max(1, Math.floor(maxBytes / PAGE_BYTES))) };
    },
  };
}

/** Where the page of a path begins in a table of `pages` pages: PAGE_BYTES from this offset are all that a look-up reads. */
export function pageOffset(path: string, pages: number): number {
  return pageOf(fingerprint(path)[0], pages) * PAGE_BYTES;
}

/** What a page says of a path: nothing, one digest, or several. */
export function findInPage(page: Uint8Array, path: string): readonly Digest[] {
  const [high, low] = fingerprint(path);
  const found: Digest[] = [];
  for (let at = 0; at < RECORDS_PER_PAGE * RECORD_BYTES && !isEmpty(page, at); at += RECORD_BYTES) {
    if (word(page, at) === high && word(page, at + 4) === low) found.push(readDigest(page.subarray(at, at + RECORD_BYTES)));
  }
  return found;
}

/** The digests that a whole table in memory has of a path. `parts`: its bytes in order, each whole pages. */
export function createTableIndex(parts: readonly Uint8Array[], pages: number): (path: string) => readonly Digest[] {
  return (path) => {
    let offset = pageOffset(path, pages);
    for (const part of parts) {
      if (offset < part.length) return findInPage(part.subarray(offset, offset + PAGE_BYTES), path);
      offset -= part.length;
    }
    return [];
  };
}

function* recordsOf(pages: Uint8Array): Generator<Uint8Array> {
  for (let page = 0; page + PAGE_BYTES <= pages.length; page += PAGE_BYTES) {
    for (let at = page; at < page + RECORDS_PER_PAGE * RECORD_BYTES && !isEmpty(pages, at); at += RECORD_BYTES) {
      yield pages.subarray(at, at + RECORD_BYTES);
    }
  }
}

/** Whether no record begins at this offset: the page has no further one. */
function isEmpty(pages: Uint8Array, at: number): boolean {
  for (let n = at; n < at + RECORD_BYTES; n++) if (pages[n] !== 0) return false;
  return true;
}

function writeRecord(record: Uint8Array, [high, low]: readonly [number, number], { size, sha256 }: Digest): void {
  const view = new DataView(record.buffer, record.byteOffset, record.length);
  view.setUint32(0, high);
  view.setUint32(4, low);
  view.setUint16(8, Math.floor(size / 2 ** 32));
  view.setUint32(10, size % 2 ** 32);
  for (let n = 0; n < 32; n++) record[16 + n] = Number.parseInt(sha256.slice(n * 2, n * 2 + 2), 16);
}

function readDigest(record: Uint8Array): Digest {
  const size = ((record[8] ?? 0) * 256 + (record[9] ?? 0)) * 2 ** 32 + word(record, 10);
  return { size, sha256: toHex(record.subarray(16, 48)) };
}

function word(bytes: Uint8Array, at: number): number {
  return (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0;
}

/** Offsets of the records in the order of their bytes, which is the order of pages too; equal records once. */
function sortRecords(records: Uint8Array, count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index * RECORD_BYTES);
  order.sort((a, b) => compare(records, a, b));
  return order.filter((at, index) => index === 0 || compare(records, at, order[index - 1] ?? 0) !== 0);
}

function compare(records: Uint8Array, a: number, b: number): number {
  for (let n = 0; n < RECORD_BYTES; n++) {
    const difference = (records[a + n] ?? 0) - (records[b + n] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function pageOf(high: number, pages: number): number {
  return Math.floor((high / 2 ** 32) * pages);
}

function fits(sorted: Uint32Array, records: Uint8Array, pages: number): boolean {
  let [page, used] = [-1, 0];
  for (const at of sorted) {
    const own = pageOf(word(records, at), pages);
    used = own === page ? used + 1 : 1;
    page = own;
    // More pages do not part records of one path. No repository has more of them than fit in a page, so what does not fit is left out.
    if (used > RECORDS_PER_PAGE && pages < 4 * sorted.length) return false;
  }
  return true;
}

function* writePages(records: Uint8Array, sorted: Uint32Array, pages: number, pagesPerPart: number): Generator<Uint8Array> {
  let next = 0;
  for (let first = 0; first < pages; first += pagesPerPart) {
    const part = new Uint8Array(Math.min(pagesPerPart, pages - first) * PAGE_BYTES);
    for (let page = first; page < Math.min(first + pagesPerPart, pages); page++) {
      let at = (page - first) * PAGE_BYTES;
      const end = at + RECORDS_PER_PAGE * RECORD_BYTES;
      for (; next < sorted.length && pageOf(word(records, sorted[next] ?? 0), pages) === page; next++) {
        if (at >= end) continue;
        part.set(records.subarray(sorted[next] ?? 0, (sorted[next] ?? 0) + RECORD_BYTES), at);
        at += RECORD_BYTES;
      }
    }
    yield part;
  }
}

/**
 * 64 bits of a path. Stored tables depend on it: it must never change. Two FNV-1a hashes over UTF-16 units with different starts, each mixed so that
 * the high bits depend on all others. It need not resist an attacker: a collision only leaves two packages of one repository unverified.
 */
function fingerprint(path: string): readonly [number, number] {
  let [one, two] = [0x811c9dc5, 0x9e3779b9];
  for (let n = 0; n < path.length; n++) {
    const unit = path.charCodeAt(n);
    one = Math.imul(one ^ unit, 0x01000193);
    two = Math.imul(two ^ (unit + n), 0x01000193);
  }
  return [mix(one ^ path.length), mix(two)];
}

function mix(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
