import type { DigestAlgorithm, DigestRange } from "./digest-ranges.ts";
import { toHex } from "./expectation.ts";
import { readHeaderIntro, readHeaderValues, RPM_TYPE, type Values, type WantedTag } from "./rpm-header.ts";
import type { Walk, WalkedFile } from "./walk.ts";

/** The first bytes of an rpm. */
export const RPM_MAGIC = [0xed, 0xab, 0xee, 0xdb];

const LEAD_BYTES = 96;
/** Hex digits and the NUL behind them. */
const SHA256_TEXT_BYTES = 65;
const SHA1_TEXT_BYTES = 41;
/** The hash algorithm id of SHA-256 (RFC 9580 §9.5), which rpm writes into tag 5093. */
const PGP_HASH_SHA256 = 8;

const SIZE: WantedTag = { tag: 1000, type: RPM_TYPE.int32, bytes: 4 };
const LONG_SIZE: WantedTag = { tag: 270, type: RPM_TYPE.int64, bytes: 8 };
const HEADER_SHA256: WantedTag = { tag: 273, type: RPM_TYPE.string, bytes: SHA256_TEXT_BYTES };
const HEADER_SHA1: WantedTag = { tag: 269, type: RPM_TYPE.string, bytes: SHA1_TEXT_BYTES };
const MD5: WantedTag = { tag: 1004, type: RPM_TYPE.binary, bytes: 16 };
const SIGNATURE_TAGS = [SIZE, LONG_SIZE, HEADER_SHA256, HEADER_SHA1, MD5];

const PAYLOAD_FORMAT: WantedTag = { tag: 1124, type: RPM_TYPE.string, bytes: 5 };
const PAYLOAD_SHA256: WantedTag = { tag: 5092, type: RPM_TYPE.stringArray, bytes: SHA256_TEXT_BYTES };
const PAYLOAD_HASH: WantedTag = { tag: 5093, type: RPM_TYPE.int32, bytes: 4 };
const PAYLOAD_SIZE: WantedTag = { tag: 5112, type: RPM_TYPE.int64, bytes: 8 };
const HEADER_TAGS = [PAYLOAD_FORMAT, PAYLOAD_SHA256, PAYLOAD_HASH, PAYLOAD_SIZE];

/**
 * Walks an rpm (v3, v4, v6, and a delta in the form of an rpm) from behind its magic, and checks the length and the digests that it states of itself
 * (https://rpm.org/docs/6.0.x/manual/format_v4.html, …/format_v6.html). No digest covers the lead (96 bytes), the signature header and its padding,
 * nor the payload of v3 and v4 packages that state neither tag 5092 nor tag 1004.
 */
export function* walkRpm(file: WalkedFile): Walk {
  const signature = yield* readHeaderIntro("signature header", LEAD_BYTES);
  if ("reason" in signature) return signature;
  const stated = yield* readHeaderValues(signature, SIGNATURE_TAGS);
  if ("reason" in stated) return stated;

  const headerAt = Math.ceil(signature.end / 8) * 8;
  const size = readInteger(stated, LONG_SIZE) ?? readInteger(stated, SIZE);
  if (size !== null) file.declare({ kind: "exact", bytes: headerAt + size });

  const headerDigest =
    rangeOf("header", "SHA-256", readHex(stated, HEADER_SHA256), headerAt) ??
    rangeOf("header", "SHA-1", readHex(stated, HEADER_SHA1), headerAt);
  const md5 = rangeOf("header and payload", "MD5", readMd5(stated), headerAt);
  for (const range of [headerDigest, md5]) if (range !== null) file.cover(range);

  const header = yield* readHeaderIntro("header", headerAt);
  if ("reason" in header) return header;
  if (headerDigest !== null) headerDigest.to = header.end;
  const described = yield* readHeaderValues(header, HEADER_TAGS);
  if ("reason" in described) return described;

  // A delta has the header of the rpm that it produces: the digest and the size of the payload there are not the delta's own.
  const isDelta = readText(described, PAYLOAD_FORMAT).startsWith("drpm");
  const payloadSize = isDelta ? null : readInteger(described, PAYLOAD_SIZE);
  if (size === null) file.declare(payloadSize === null ? { kind: "unknown" } : { kind: "exact", bytes: header.end + payloadSize });
  const isSha256 = !isDelta && (readInteger(described, PAYLOAD_HASH) ?? PGP_HASH_SHA256) === PGP_HASH_SHA256;
  const payloadDigest = isSha256 ? rangeOf("payload", "SHA-256", readHex(described, PAYLOAD_SHA256), header.end) : null;
  if (payloadDigest !== null) file.cover(payloadDigest);
  // The digests of header and payload together cover the same bytes: MD5 would only cost time.
  if (payloadDigest !== null && headerDigest !== null && md5 !== null) file.uncover(md5);

  return { kind: size !== null || payloadSize !== null ? "whole" : "unknown" };
}

function rangeOf(what: string, algorithm: DigestAlgorithm, expected: string | null, from: number): DigestRange | null {
  return expected === null ? null : { what, algorithm, expected, from, to: Number.POSITIVE_INFINITY };
}

function readInteger(values: Values, { tag, bytes }: WantedTag): number | null {
  const value = values.get(tag);
  if (value?.length !== bytes) return null;
  const view = new DataView(value.buffer, value.byteOffset, bytes);
  return bytes === 8 ? Number(view.getBigUint64(0)) : view.getUint32(0);
}

function readHex(values: Values, wanted: WantedTag): string | null {
  const text = readText(values, wanted);
  return text.length === wanted.bytes && /^[0-9a-f]+\0$/i.test(text) ? text.slice(0, -1).toLowerCase() : null;
}

function readText(values: Values, { tag }: WantedTag): string {
  return new TextDecoder().decode(values.get(tag));
}

function readMd5(values: Values): string | null {
  const value = values.get(MD5.tag);
  return value?.length === MD5.bytes ? toHex(value) : null;
}
