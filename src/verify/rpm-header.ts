import { beginsWith, broken, type Broken, type Walk } from "./walk.ts";

/** rpm refuses larger headers. The limits bound the time of the walk; memory holds only the values asked for. */
const MAX_INDEX_ENTRIES = 65_536;
const MAX_DATA_BYTES = 256 * 1024 * 1024;

const INTRO_BYTES = 16;
const ENTRY_BYTES = 16;
/** Magic, version 1, four reserved bytes. */
const HEADER_MAGIC = [0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];

/** Types of values, by their names in the format's page. */
export const RPM_TYPE = { int32: 4, int64: 5, string: 6, binary: 7, stringArray: 8 } as const;

/** A tag whose value is wanted: an entry of another type is ignored, and only the first `bytes` of the value are read. */
export interface WantedTag {
  readonly tag: number;
  readonly type: number;
  readonly bytes: number;
}

/** Raw values by tag. */
export type Values = ReadonlyMap<number, Uint8Array>;

/** Where the parts of a header lie, as absolute offsets. */
export interface HeaderIntro {
  readonly what: string;
  readonly entries: number;
  readonly indexAt: number;
  readonly dataAt: number;
  /** The first byte behind the data; padding may follow. */
  readonly end: number;
}

/** Reads the 16 bytes that begin a header and state its length (https://rpm.org/docs/6.0.x/manual/format_header.html). */
export function* readHeaderIntro(what: string, at: number): Walk<HeaderIntro | Broken> {
  const intro = yield { at, size: INTRO_BYTES };
  if (intro.length < INTRO_BYTES) return broken(`the file ends before the rpm's ${what}, which starts at ${at}`);
  if (!beginsWith(intro, HEADER_MAGIC)) return broken(`the rpm has no ${what} at ${at}: its magic is missing`);
  const view = viewOf(intro);
  const entries = view.getUint32(8);
  const dataBytes = view.getUint32(12);
  if (entries === 0 || entries > MAX_INDEX_ENTRIES)
    return broken(`the rpm's ${what} has ${entries} entries: 1 to ${MAX_INDEX_ENTRIES} are allowed`);
  if (dataBytes > MAX_DATA_BYTES) return broken(`the rpm's ${what} has ${dataBytes} bytes of data: ${MAX_DATA_BYTES} are allowed`);
  const indexAt = at + INTRO_BYTES;
  const dataAt = indexAt + entries * ENTRY_BYTES;
  return { what, entries, indexAt, dataAt, end: dataAt + dataBytes };
}

/**
 * Reads the raw values of the `wanted` tags. A value ends where the data ends or the next wanted value starts: a walk cannot read backwards, so a
 * header with false offsets yields short values.
 */
export function* readHeaderValues(header: HeaderIntro, wanted: readonly WantedTag[]): Walk<Values | Broken> {
  const truncated = broken(`the file ends inside the rpm's ${header.what}, which reaches to ${header.end}`);
  const found = new Map<number, { wanted: WantedTag; at: number }>();
  for (let index = 0; index < header.entries; index++) {
    const entry = yield { at: header.indexAt + index * ENTRY_BYTES, size: ENTRY_BYTES };
    if (entry.length < ENTRY_BYTES) return truncated;
    const view = viewOf(entry);
    const tag = view.getUint32(0);
    const match = wanted.find((candidate) => candidate.tag === tag && candidate.type === view.getUint32(4));
    if (match === undefined) continue;
    const at = header.dataAt + view.getUint32(8);
    if (at >= header.end) return broken(`the rpm's ${header.what} puts tag ${tag} at ${at}, behind its end at ${header.end}`);
    found.set(tag, { wanted: match, at });
  }
  const values = new Map<number, Uint8Array>();
  const inOrder = [...found.values()].toSorted((a, b) => a.at - b.at);
  for (const [index, { wanted: tag, at }] of inOrder.entries()) {
    const size = Math.min(tag.bytes, (inOrder[index + 1]?.at ?? header.end) - at);
    const value = yield { at, size };
    if (value.length < size) return truncated;
    values.set(tag.tag, value.slice());
  }
  return values;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
