import { createHash } from "node:crypto";

const HEADER = "-----BEGIN PGP SIGNATURE-----";
const encoder = new TextEncoder();

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * An armored signature packet of version 4 over `document`, without a key (RFC 9580 §5.2.3): the two bytes of the hash in it are right, and where the
 * number of a real one stands, the whole digest does. `madeAt` in Unix seconds: signed anew, a file has another signature.
 */
export function sign(document: Uint8Array, madeAt: number, type: 0 | 1 = 0): Uint8Array {
  const time = Buffer.alloc(4);
  time.writeUInt32BE(madeAt);
  const hashed = Buffer.from([4, type, 1, 8, 0, 6, 5, 2, ...time]);
  const digest = createHash("sha256")
    .update(document)
    .update(hashed)
    .update(Buffer.from([4, 0xff, 0, 0, 0, hashed.length]))
    .digest();
  const body = Buffer.concat([hashed, Buffer.from([0, 0]), digest.subarray(0, 2), Buffer.from([1, 0]), digest]);
  const packet = Buffer.concat([Buffer.from([0xc2, body.length]), body]);
  return encoder.encode(`${HEADER}\n\n${packet.toString("base64")}\n-----END PGP SIGNATURE-----\n`);
}

/** Whether `signature` was made over `document` by `sign`: what a client's keyring would say. */
export function isSignedBy(document: Uint8Array, signature: Uint8Array, type: 0 | 1 = 0): boolean {
  const text = new TextDecoder().decode(signature);
  const armored = text.startsWith(HEADER) ? text.slice(HEADER.length, text.indexOf("-----END")).replaceAll(/\s/g, "") : "";
  const packet = Buffer.from(armored, "base64");
  if (packet.length < 20) return false;
  const madeAt = packet.subarray(10, 14).readUInt32BE();
  return Buffer.compare(Buffer.from(sign(document, madeAt, type)), Buffer.from(signature)) === 0;
}

/** A clearsigned text, as an InRelease is (RFC 9580 §7); `text` has no line that begins with a dash, and ends in a line end. */
export function clearsign(text: string, madeAt: number): Uint8Array {
  const signed = text.replace(/\n$/, "");
  const signature = new TextDecoder().decode(sign(canonical(signed), madeAt, 1));
  return encoder.encode(`-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n${signed}\n${signature}`);
}

/** The text of a clearsigned message whose signature fits; else null. */
export function openClearsigned(message: Uint8Array): string | null {
  const text = new TextDecoder().decode(message);
  const [start, end] = [text.indexOf("\n\n"), text.indexOf(`\n${HEADER}`)];
  if (!text.startsWith("-----BEGIN PGP SIGNED MESSAGE-----") || start < 0 || end < start) return null;
  const signed = text.slice(start + 2, end);
  return isSignedBy(canonical(signed), encoder.encode(text.slice(end + 1)), 1) ? `${signed}\n` : null;
}

/** A signature of type "text" covers each line with CRLF at its end (RFC 9580 §5.2.1.2). */
function canonical(text: string): Uint8Array {
  return encoder.encode(text.replaceAll("\n", "\r\n"));
}
