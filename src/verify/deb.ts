import { broken, type Walk, type WalkedFile } from "./walk.ts";

/** "!<arch>\n", in the two halves in which the format is recognized. */
export const AR_MAGIC = [0x21, 0x3c, 0x61, 0x72, 0x63, 0x68, 0x3e, 0x0a];

const LATIN1 = new TextDecoder("latin1");
const MEMBER_HEADER_BYTES = 60;
const VERSION_BYTES = 4;

/**
 * A deb or udeb, from behind the ar magic (deb(5), https://manpages.debian.org/deb.5): its members, one by one, to the
 * end of the file. An archive that is no deb, or one of another format version, is `unknown`.
 *
 * No digest covers anything in a deb but the few bytes of its member headers' structure: only an index knows the rest.
 * A deb cut exactly before a member behind data.tar (a signature) is a whole deb without it.
 */
export function* walkDeb(file: WalkedFile, isExpected: boolean): Walk {
  const start = yield { at: AR_MAGIC.length, size: MEMBER_HEADER_BYTES + VERSION_BYTES };
  if (start.length < MEMBER_HEADER_BYTES + VERSION_BYTES) {
    return isExpected ? broken("the file ends inside the first member of the deb") : { kind: "unknown" };
  }
  const text = LATIN1.decode(start);
  if (memberName(text) !== "debian-binary" || !text.startsWith("2.", MEMBER_HEADER_BYTES)) return { kind: "unknown" };
  const first = memberLength(text);
  if (first === null) return broken(malformedHeader(AR_MAGIC.length));

  let at = AR_MAGIC.length + first;
  let hasData = false;
  for (;;) {
    const bytes = yield { at, size: MEMBER_HEADER_BYTES };
    if (bytes.length === 0 && hasData) return { kind: "whole" };
    if (bytes.length < MEMBER_HEADER_BYTES) {
      return broken(
        hasData ? `${bytes.length} bytes follow the deb's last member, which ends at ${at}` : "the deb ends before its data.tar",
      );
    }
    const header = LATIN1.decode(bytes);
    const length = memberLength(header);
    if (length === null) return broken(malformedHeader(at));
    at += length;
    hasData ||= memberName(header).startsWith("data.tar");
    if (hasData) file.declare({ kind: at === file.contentLength ? "exact" : "at-least", bytes: at });
  }
}

/** GNU ar ends names with a slash, dpkg with the field. */
function memberName(header: string): string {
  return header.slice(0, 16).trimEnd().replace(/\/$/, "");
}

/** Of the whole member: its header, its bytes, and the one that pads an odd size. */
function memberLength(header: string): number | null {
  const size = /^(\d{1,10}) *$/.exec(header.slice(48, 58))?.[1];
  if (size === undefined || !header.startsWith("`\n", 58)) return null;
  return MEMBER_HEADER_BYTES + Math.ceil(Number(size) / 2) * 2;
}

function malformedHeader(at: number): string {
  return `the deb has no member header at ${at}, where the member before ends`;
}
