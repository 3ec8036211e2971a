import { concatBytes } from "../../verify/concat-bytes.ts";
import type { Breathe } from "./pace.ts";
import { canonicalText, dearmor, signedText, splitClearsigned } from "./clearsigned.ts";

/**
 * Whether an OpenPGP signature was made over these bytes, as far as can be seen without keys: a signature packet carries the first two bytes of the
 * hash that was signed (RFC 9580 §5.2.4). That does not prove who signed. It does show, but for one case in 65,536, that a signature belongs to
 * another version of the file, as on an upstream that is in the middle of a sync. `unknown`: no version 4 signature with a hash that Web Crypto has.
 */
export type SignatureMatch = "matches" | "differs" | "unknown";

const HASHES: Readonly<Record<number, string>> = { 2: "SHA-1", 8: "SHA-256", 9: "SHA-384", 10: "SHA-512" };
const SIGNATURE_TAG = 2;
const BINARY = 0x00;
const TEXT = 0x01;
const MAX_PACKETS = 16;

/**
 * Compares a file with its detached signature, armored (.asc, .gpg) or binary (.sig). One packet that differs is enough to differ. `breathe` is awaited
 * between turns.
 */
export async function matchSignature(document: Uint8Array, signature: Uint8Array, breathe?: Breathe): Promise<SignatureMatch> {
  let result: SignatureMatch = "unknown";
  for (const body of signaturePackets(dearmor(signature))) {
    // Each packet costs a hash of the whole document.
    await breathe?.();
    const match = await matchPacket(document, body, breathe);
    if (match === "differs") return "differs";
    if (match === "matches") result = "matches";
  }
  return result;
}

/** Compares a clearsigned message (RFC 9580 §7) such as an InRelease with its own signature. */
export async function matchClearsigned(message: Uint8Array, breathe?: Breathe): Promise<SignatureMatch> {
  const parts = splitClearsigned(message);
  return parts.kind === "clearsigned" ? matchSignature(await signedText(parts.body, breathe), parts.signature, breathe) : "unknown";
}

async function matchPacket(document: Uint8Array, body: Uint8Array, breathe: Breathe | undefined): Promise<SignatureMatch> {
  const [version, type, , hash, high = 0, low = 0] = body;
  const name = HASHES[hash ?? -1];
  const hashedEnd = 6 + high * 256 + low;
  const unhashed = (body[hashedEnd] ?? 0) * 256 + (body[hashedEnd + 1] ?? 0);
  const left = hashedEnd + 2 + unhashed;
  if (version !== 4 || name === undefined || (type !== BINARY && type !== TEXT) || left + 2 > body.length) return "unknown";
  const signed = type === TEXT ? await canonicalText(document, breathe) : document;
  const trailer = Uint8Array.of(4, 0xff, 0, 0, (hashedEnd >> 8) & 0xff, hashedEnd & 0xff);
  const hashed = concatBytes(signed, body.subarray(0, hashedEnd), trailer);
  const digest = new Uint8Array(await crypto.subtle.digest(name, hashed));
  return digest[0] === body[left] && digest[1] === body[left + 1] ? "matches" : "differs";
}

/**
 * Bodies of the signature packets (RFC 9580 §4.2), with either format of header. Partial lengths end the reading: only data packets may have them
 * (§4.2.1.4).
 */
function* signaturePackets(bytes: Uint8Array): Generator<Uint8Array> {
  let at = 0;
  for (let count = 0; count < MAX_PACKETS && at + 2 < bytes.length; count++) {
    const head = bytes[at] ?? 0;
    if ((head & 0x80) === 0) return;
    const isNew = (head & 0x40) !== 0;
    const tag = isNew ? head & 0x3f : (head >> 2) & 0x0f;
    const length = isNew ? newLength(bytes, at + 1) : oldLength(bytes, at + 1, head & 0x03);
    if (length === null || length.body + length.size > bytes.length) return;
    if (tag === SIGNATURE_TAG) yield bytes.subarray(length.body, length.body + length.size);
    at = length.body + length.size;
  }
}

function oldLength(bytes: Uint8Array, at: number, type: number): { body: number; size: number } | null {
  if (type === 3) return null;
  const octets = 1 << type;
  return { body: at + octets, size: bigEndian(bytes, at, octets) };
}

function newLength(bytes: Uint8Array, at: number): { body: number; size: number } | null {
  const first = bytes[at] ?? 0;
  if (first < 192) return { body: at + 1, size: first };
  if (first < 224) return { body: at + 2, size: (first - 192) * 256 + (bytes[at + 1] ?? 0) + 192 };
  return first === 255 ? { body: at + 5, size: bigEndian(bytes, at + 1, 4) } : null;
}

function bigEndian(bytes: Uint8Array, at: number, octets: number): number {
  let value = 0;
  for (let n = 0; n < octets; n++) value = value * 256 + (bytes[at + n] ?? 0);
  return value;
}
