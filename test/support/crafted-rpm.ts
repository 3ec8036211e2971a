import { createHash } from "node:crypto";

const LEAD_BYTES = 96;
const TYPE = { int32: 4, int64: 5, string: 6, binary: 7, stringArray: 8 } as const;

/** One value of an rpm header, and its place in the index. */
export interface HeaderEntry {
  readonly tag: number;
  readonly type: number;
  readonly count?: number;
  readonly data: Uint8Array;
}

export interface CraftedRpm {
  readonly bytes: Uint8Array;
  /** Where the main header starts (H) and the payload (P). */
  readonly headerAt: number;
  readonly payloadAt: number;
}

export interface CraftRpmOptions {
  readonly payload: Uint8Array;
  /** v3: size and MD5. v4: also the digests of header and payload. v6: no size in the signature header, but the payload's in the header. */
  readonly format: "v3" | "v4" | "v6";
  /** The size as rpm writes it past 4 GiB. */
  readonly isLong?: boolean;
  /** A header as large as that of a package of many files. */
  readonly fillerBytes?: number;
  /** What a delta says: its header keeps the digest and size of the payload that it makes. */
  readonly deltaOf?: Uint8Array;
  /** Put in place of what the format has. */
  readonly signatureEntries?: (usual: readonly HeaderEntry[]) => readonly HeaderEntry[];
}

/** An rpm written by hand: for the formats that this machine's rpmbuild does not write, and for lies. */
export function craftRpm(options: CraftRpmOptions): CraftedRpm {
  const { format, payload, deltaOf, fillerBytes = 0 } = options;
  const described = deltaOf ?? payload;
  const header = craftHeader([
    text(1000, "sample"),
    text(1124, deltaOf === undefined ? "cpio" : "drpm"),
    ...(fillerBytes > 0 ? [{ tag: 1118, type: TYPE.binary, count: fillerBytes, data: new Uint8Array(fillerBytes) }] : []),
    ...(format === "v3" && deltaOf === undefined
      ? []
      : [{ ...text(5092, hash("sha256", described).toString("hex")), type: TYPE.stringArray }]),
    ...(format === "v4" ? [int32(5093, 8)] : []),
    ...(format === "v6" || deltaOf !== undefined ? [int64(5112, described.length)] : []),
  ]);
  const size = header.length + payload.length;
  const usual = [
    ...(format === "v6" ? [] : [options.isLong === true ? int64(270, size) : int32(1000, size)]),
    ...(format === "v3" ? [] : [text(273, hash("sha256", header).toString("hex")), text(269, hash("sha1", header).toString("hex"))]),
    ...(format === "v6" ? [] : [{ tag: 1004, type: TYPE.binary, count: 16, data: hash("md5", header, payload) }]),
  ];
  const signature = craftHeader(options.signatureEntries?.(usual) ?? usual);
  const lead = new Uint8Array(LEAD_BYTES);
  lead.set([0xed, 0xab, 0xee, 0xdb, format === "v6" ? 4 : 3]);
  lead.set([5], 79);
  const padding = new Uint8Array((8 - (signature.length % 8)) % 8);
  const headerAt = LEAD_BYTES + signature.length + padding.length;
  return {
    bytes: new Uint8Array(Buffer.concat([lead, signature, padding, header, payload])),
    headerAt,
    payloadAt: headerAt + header.length,
  };
}

/** The magic, counts, index and data of one header. */
export function craftHeader(entries: readonly HeaderEntry[]): Uint8Array {
  const index: Buffer[] = [];
  const data: Uint8Array[] = [];
  let length = 0;
  for (const { tag, type, count = 1, data: value } of entries) {
    index.push(be32(tag, type, length, count));
    data.push(value);
    length += value.length;
  }
  return Buffer.concat([Buffer.from([0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0]), be32(entries.length, length), ...index, ...data]);
}

export const int32 = (tag: number, value: number): HeaderEntry => ({ tag, type: TYPE.int32, data: be32(value) });

export function int64(tag: number, value: number): HeaderEntry {
  const data = Buffer.alloc(8);
  data.writeBigUInt64BE(BigInt(value));
  return { tag, type: TYPE.int64, data };
}

export const text = (tag: number, value: string): HeaderEntry => ({ tag, type: TYPE.string, data: Buffer.from(`${value}\0`) });

function be32(...values: readonly number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) buffer.writeUInt32BE(value, index * 4);
  return buffer;
}

function hash(algorithm: string, ...parts: readonly Uint8Array[]): Buffer {
  const digest = createHash(algorithm);
  for (const part of parts) digest.update(part);
  return digest.digest();
}
