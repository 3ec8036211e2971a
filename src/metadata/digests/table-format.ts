import { APK_CONTROL_SHA1, type PackageDigest, toHex } from "../../verify/expectation.ts";
import { createReader, createWriter, TableFormatError } from "./table-bytes.ts";

/**
 * The bytes of a digest table at rest. A table is a row of *pages*, sorted by path, and a *manifest* that lists them. Both are named by their SHA-256
 * (write-table.ts), so that equal pages are one object, whichever generation or mirror made them.
 *
 * A page is `LMP`, the format's version, and records to its end. A record is
 *
 *     path         number of UTF-16 units that it shares with the path before it in this page, then the rest as a text
 *     facts        number of their bytes, then
 *       size         number: 0 where the index does not say it, else bytes + 1
 *       digests      number of them, then each: one byte for the algorithm (ALGORITHMS_AT_REST), and the digest's own bytes
 *       name, version, architecture      a text each, empty where the index does not say it
 *
 * A manifest is `LMT`, the format's version, the number of records, then for each page: its first path (a text), its bytes (a number) and its SHA-256 (32
 * bytes). A table of one page has none beside it: an empty text and a number of 0 stand there, and the page follows.
 *
 * Numbers and texts: see table-bytes.ts. Paths are sorted by their UTF-16 units, as JavaScript compares texts.
 */
const VERSION = 1;
const PAGE_MAGIC = [0x4c, 0x4d, 0x50, VERSION];
const MANIFEST_MAGIC = [0x4c, 0x4d, 0x54, VERSION];

/** Longest path, in UTF-16 units: that of a stored key is shorter. */
const MAX_PATH_CHARACTERS = 1024;
/** Longest name, version or architecture, in UTF-16 units; a longer one is left out, since it only describes. */
const MAX_WORD_CHARACTERS = 256;
/** More digests of one file than any index states. */
const MAX_DIGESTS = 8;
/** Longer than the facts of any record. */
const MAX_FACTS_BYTES = 9 * MAX_WORD_CHARACTERS + 65 * MAX_DIGESTS + 64;
const MAX_PATH_BYTES = 3 * MAX_PATH_CHARACTERS + 8;

/** The byte that names an algorithm, and the bytes of its digest. Bytes never change their meaning: stored tables hold them. */
const ALGORITHMS_AT_REST = [
  { byte: 1, algorithm: "sha256", length: 32 },
  { byte: 2, algorithm: "sha512", length: 64 },
  { byte: 3, algorithm: "sha384", length: 48 },
  { byte: 4, algorithm: "sha1", length: 20 },
  { byte: 5, algorithm: "md5", length: 16 },
  { byte: 6, algorithm: APK_CONTROL_SHA1, length: 20 },
] as const satisfies readonly { readonly byte: number; readonly algorithm: PackageDigest["algorithm"]; readonly length: number }[];

/** What a published index says of one file. */
export interface TableRecord {
  /** Decoded canonical path below the mirror. */
  readonly path: string;
  /** Bytes, where the index says it. */
  readonly size?: number;
  /** None where the index states only the size. */
  readonly digests: readonly PackageDigest[];
  readonly name?: string;
  readonly version?: string;
  readonly architecture?: string;
}

/** One page of a table. */
export interface PageRef {
  /** The path of its first record. */
  readonly first: string;
  /** Lower-case hex SHA-256 of its bytes. */
  readonly sha256: string;
  readonly bytes: number;
}

/** What a manifest says. `inline`: the bytes of the only page, where the table has one. */
export interface Manifest {
  readonly records: number;
  readonly pages: readonly PageRef[];
  readonly inline?: Uint8Array;
}

/** Whether a table can hold a record of this path. */
export function isTablePath(path: string): boolean {
  return path !== "" && path.length <= MAX_PATH_CHARACTERS && path.isWellFormed();
}

/** A record as it lies in a page: to sort and to merge tables nothing more need be read. */
export interface RawRecord {
  readonly path: string;
  readonly facts: Uint8Array;
}

/** One for all records: each is written within one turn. */
const FACTS_WRITER = createWriter([]);

/** Throws RangeError for a digest that is none, which is a bug. */
export function encodeRecord({ path, size, digests, name, version, architecture }: TableRecord): RawRecord {
  const out = FACTS_WRITER;
  out.reset();
  out.reserve(MAX_FACTS_BYTES);
  out.number(size === undefined ? 0 : size + 1);
  const known = digests.slice(0, MAX_DIGESTS);
  out.number(known.length);
  for (const { algorithm, digest } of known) {
    const row = ALGORITHMS_AT_REST.find((one) => one.algorithm === algorithm);
    if (row?.length !== digest.length / 2) throw new RangeError(`Cannot write the ${algorithm} "${digest}" of ${path} into a table`);
    out.number(row.byte);
    out.hex(digest);
  }
  for (const word of [name, version, architecture]) out.text(wordOf(word));
  return { path, facts: out.finish() };
}

/** Throws TableFormatError where the facts are none. */
export function decodeRecord({ path, facts }: RawRecord): TableRecord {
  const from = createReader(facts, []);
  const size = from.number();
  const digests: PackageDigest[] = [];
  for (let left = from.number(); left > 0; left--) {
    const byte = from.number();
    const row = ALGORITHMS_AT_REST.find((one) => one.byte === byte);
    if (row === undefined) throw new TableFormatError(`a digest table names an algorithm ${byte}, which this version does not know`);
    digests.push({ algorithm: row.algorithm, digest: toHex(from.take(row.length)) });
  }
  const [name, version, architecture] = [from.text(), from.text(), from.text()];
  return {
    path,
    ...(size === 0 ? {} : { size: size - 1 }),
    digests,
    ...(name === "" ? {} : { name }),
    ...(version === "" ? {} : { version }),
    ...(architecture === "" ? {} : { architecture }),
  };
}

/** Writes records, in the order of their paths, into one page. */
export function createPageWriter() {
  const out = createWriter(PAGE_MAGIC);
  let before = "";
  let count = 0;
  return {
    add({ path, facts }: RawRecord): void {
      out.reserve(MAX_PATH_BYTES + facts.length + 16);
      const shared = sharedUnits(before, path);
      out.number(shared);
      out.text(path.slice(shared));
      out.number(facts.length);
      out.bytes(facts);
      before = path;
      count++;
    },
    /** Bytes so far. */
    get bytes() {
      return out.length;
    },
    get count() {
      return count;
    },
    finish: out.finish,
  };
}

/** The records of a page in order. Throws TableFormatError where the bytes are none. */
export function* readPage(page: Uint8Array): Generator<RawRecord> {
  const from = createReader(page, PAGE_MAGIC);
  let path = "";
  while (!from.atEnd()) {
    path = path.slice(0, from.number()) + from.text();
    yield { path, facts: from.take(from.number()) };
  }
}

export function writeManifest({ records, pages, inline }: Manifest): Uint8Array<ArrayBuffer> {
  const out = createWriter(MANIFEST_MAGIC);
  out.number(records);
  for (const { first, bytes, sha256 } of inline === undefined ? pages : []) {
    out.reserve(MAX_PATH_BYTES + 64);
    out.text(first);
    out.number(bytes);
    out.hex(sha256);
  }
  if (inline === undefined) return out.finish();
  out.reserve(inline.length + 16);
  out.text("");
  out.number(0);
  out.bytes(inline);
  return out.finish();
}

/** Throws TableFormatError where the bytes are none. */
export function readManifest(bytes: Uint8Array): Manifest {
  const from = createReader(bytes, MANIFEST_MAGIC);
  const records = from.number();
  const pages: PageRef[] = [];
  while (!from.atEnd()) {
    const [first, length] = [from.text(), from.number()];
    if (length === 0) return { records, pages: [], inline: from.rest() };
    pages.push({ first, bytes: length, sha256: toHex(from.take(32)) });
  }
  return { records, pages };
}

function wordOf(word = ""): string {
  return word.length <= MAX_WORD_CHARACTERS && word.isWellFormed() ? word : "";
}

/** UTF-16 units with which both begin, without half of a surrogate pair. */
function sharedUnits(before: string, path: string): number {
  const most = Math.min(before.length, path.length);
  let shared = 0;
  while (shared < most && before.charCodeAt(shared) === path.charCodeAt(shared)) shared++;
  const last = path.charCodeAt(shared - 1);
  return last >= 0xd800 && last < 0xdc00 ? shared - 1 : shared;
}
