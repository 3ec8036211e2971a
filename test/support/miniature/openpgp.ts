import { createHash } from "node:crypto";

const BINARY = 0x00;
const TEXT = 0x01;

/** A detached signature of `document` in form only: its packet carries the true first two bytes of the hash (RFC 9580 §5.2.4), made with no key. */
export function signDetached(document: Uint8Array): Buffer {
  return armor(signaturePacket(BINARY, document));
}

/** `text` clearsigned in form (RFC 9580 §7). */
export function signClear(text: string): Buffer {
  const lines = text.split("\n").map((line) => line.replace(/[ \t\r]+$/, ""));
  if (lines.at(-1) === "") lines.pop();
  const escaped = text.replaceAll(/^-/gm, "- -");
  const packet = signaturePacket(TEXT, Buffer.from(lines.join("\r\n")));
  return Buffer.concat([Buffer.from(`-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n${escaped}`), armor(packet)]);
}

/** Whether `signature` is one that `signDetached` makes of `document`. */
export function isSignatureOf(document: Uint8Array, signature: Uint8Array): boolean {
  return signDetached(document).equals(signature);
}

/** The same signature again, made at another time: other bytes, as good. */
export function signAnew(document: Uint8Array, time: number): Buffer {
  return armor(signaturePacket(BINARY, document, time));
}

function signaturePacket(type: number, signed: Uint8Array, time?: number): Buffer {
  // RFC 9580 §5.2.3.11: the creation time is subpacket 2.
  const subpackets =
    time === undefined ? Buffer.alloc(0) : Buffer.from([5, 2, time >>> 24, (time >> 16) & 255, (time >> 8) & 255, time & 255]);
  const hashed = Buffer.concat([Buffer.from([4, type, 22, 8, 0, subpackets.length]), subpackets]);
  const hash = createHash("sha256")
    .update(signed)
    .update(hashed)
    .update(Buffer.from([4, 0xff, 0, 0, 0, hashed.length]))
    .digest();
  const body = Buffer.concat([hashed, Buffer.from([0, 0, hash[0] ?? 0, hash[1] ?? 0]), Buffer.from([0, 8, hash[2] ?? 0])]);
  return Buffer.concat([Buffer.from([0x88, body.length]), body]);
}

function armor(packet: Buffer): Buffer {
  return Buffer.from(`-----BEGIN PGP SIGNATURE-----\n\n${packet.toString("base64")}\n-----END PGP SIGNATURE-----\n`);
}
