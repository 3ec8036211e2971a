import type { Breathe } from "./pace.ts";

const SIGNED = "-----BEGIN PGP SIGNED MESSAGE-----";
const SIGNATURE = "-----BEGIN PGP SIGNATURE-----";
const SIGNATURE_END = "-----END PGP SIGNATURE-----";
/** `Hash:` and the like; gpg writes one or two. */
const MAX_HEADER_LINES = 64;

/** What is copied between two breaths: a few milliseconds. */
const BYTES_PER_TURN = 1024 * 1024;

const LF = 0x0a;
const CR = 0x0d;
const TAB = 0x09;
const BLANK = 0x20;
const DASH = 0x2d;

export type Clearsigned =
  /** `body`: the signed text, as it is written. `signature`: all that follows it, armored. */
  | { readonly kind: "clearsigned"; readonly body: Uint8Array; readonly signature: Uint8Array }
  | { readonly kind: "cut" }
  | { readonly kind: "plain" };

/**
 * The parts of a clearsigned message (RFC 9580 §7), such as an InRelease; what stands before it is no part of it. Looks at each byte a few times at most,
 * whatever they are.
 */
export function splitClearsigned(message: Uint8Array): Clearsigned {
  // One character for each byte, so that positions are the same.
  const text = new TextDecoder("latin1").decode(message);
  const isFirst = text.startsWith(SIGNED) || text.startsWith(SIGNED, BOM_BYTES);
  const start = isFirst ? 0 : text.indexOf(`\n${SIGNED}`);
  if (start < 0) return { kind: "plain" };
  const body = skipHeaders(text, text.indexOf(SIGNED, start));
  const signature = body < 0 ? -1 : text.indexOf(`\n${SIGNATURE}`, body - 1);
  // A cut InRelease still parses as a Release: only the end of its signature shows that it is whole.
  if (signature < 0 || text.indexOf(SIGNATURE_END, signature) < 0) return { kind: "cut" };
  return { kind: "clearsigned", body: message.subarray(body, Math.max(body, signature)), signature: message.subarray(signature + 1) };
}

/** A byte order mark, as UTF-8. */
const BOM_BYTES = 3;

/** The position behind the empty line that ends the headers; negative where none does. */
function skipHeaders(text: string, start: number): number {
  let at = text.indexOf("\n", start) + 1;
  for (let lines = 0; at > 0 && lines < MAX_HEADER_LINES; lines++) {
    const end = text.indexOf("\n", at);
    if (end < 0) return -1;
    if (end - at < 16 && text.slice(at, end).trim() === "") return end + 1;
    at = end + 1;
  }
  return -1;
}

/**
 * The text that a clearsigned body stands for and its signature covers: without escaped dashes and blanks at line ends, each line but the last ended by
 * CRLF. `breathe` is awaited between turns.
 */
export async function signedText(body: Uint8Array, breathe?: Breathe): Promise<Uint8Array> {
  const out = new Uint8Array(body.length * 2);
  let length = 0;
  let kept = 0;
  let isLineStart = true;
  let isEscaped = false;
  for (let from = 0; from < body.length; from += BYTES_PER_TURN) {
    if (from > 0) await breathe?.();
    const to = Math.min(body.length, from + BYTES_PER_TURN);
    for (let at = from; at < to; at++) {
      const byte = body[at] ?? 0;
      // "- " before a line is no part of it.
      const isEscape = isLineStart && byte === DASH && body[at + 1] === BLANK;
      if (byte === LF) {
        out[kept] = CR;
        out[kept + 1] = LF;
        kept = length = kept + 2;
      } else if (!isEscape && !isEscaped) {
        out[length++] = byte;
        if (byte !== BLANK && byte !== TAB && byte !== CR) kept = length;
      }
      isEscaped = isEscape;
      isLineStart = byte === LF;
    }
  }
  return out.subarray(0, kept);
}

/** A text with each line ended by CRLF, however it is ended: what a signature of type "text" covers (RFC 9580 §5.2.1.2). */
export async function canonicalText(document: Uint8Array, breathe?: Breathe): Promise<Uint8Array> {
  const out = new Uint8Array(document.length * 2);
  let length = 0;
  for (let from = 0; from < document.length; from += BYTES_PER_TURN) {
    if (from > 0) await breathe?.();
    const to = Math.min(document.length, from + BYTES_PER_TURN);
    for (let at = from; at < to; at++) {
      const byte = document[at] ?? 0;
      if (byte === LF && document[at - 1] !== CR) out[length++] = CR;
      out[length++] = byte;
    }
  }
  return out.subarray(0, length);
}

/** Longer than any signature: a keyring's worth of them has some KB. */
const MAX_ARMOR_CHARACTERS = 1024 * 1024;
const MAX_BLOCKS = 16;

/** The bytes of armored signatures (RFC 9580 §6.2), one after the other; bytes that are not armored as they are. Each line is looked at once. */
export function dearmor(signature: Uint8Array): Uint8Array {
  const text = new TextDecoder("latin1").decode(signature.subarray(0, MAX_ARMOR_CHARACTERS));
  const blocks: string[] = [];
  let part: "outside" | "headers" | "body" = "outside";
  let lines: string[] = [];
  for (let at = 0; at < text.length && blocks.length < MAX_BLOCKS;) {
    const end = text.indexOf("\n", at);
    const line = text.slice(at, end < 0 ? text.length : end).trim();
    at = end < 0 ? text.length : end + 1;
    if (line === SIGNATURE) [part, lines] = ["headers", []];
    else if (line === SIGNATURE_END && part !== "outside") {
      blocks.push(lines.join(""));
      part = "outside";
    } else if (part !== "outside" && line !== "" && !(part === "headers" && line.includes(":"))) {
      part = "body";
      // The checksum of 24 bits, which newer signatures leave out.
      if (!line.startsWith("=")) lines.push(line);
    }
  }
  if (blocks.length === 0) return signature;
  const binary = blocks.map(decodeBase64).join("");
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}

function decodeBase64(text: string): string {
  try {
    return atob(text);
  } catch {
    return "";
  }
}
