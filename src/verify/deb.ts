import { broken, type Walk, type WalkedFile } from "./walk.ts";

/** "!<arch>\n". The verifier reads its first four bytes with those of the other formats, then the rest. */
export const AR_MAGIC = [0x21, 0x3c, 0x61, 0x72, 0x63, 0x68, 0x3e, 0x0a];

const LATIN1 = new TextDecoder("latin1");
const MEMBER_HEADER_BYTES = 60;
const VERSION_BYTES = 4;

/**
 * Walks a deb or udeb, from behind the ar magic (deb(5), https://manpages.debian.org/deb.5), member by member to the end of the file. An ar archive
 * that is no deb, or a deb of another format version than 2, is `unknown`. Only the member headers are checked, for a deb holds no digest of itself;
 * one cut exactly before a member that follows data.tar (a signature) passes for a whole deb without it.
 * @param isExpected whether the name is that of a deb: then a file that ends inside the first member is `broken`, not `unknown`.
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
    if (hasData) file.declare(at === file.contentLength ? { kind: "exact", bytes: at } : { kind: "at-least", bytes: at, isUsual: true });
  }
}

/** The name of a member; GNU ar puts a slash behind it, dpkg does not. */
function memberName(header: string): string {
  return header.slice(0, 16).trimEnd().replace(/\/$/, "");
}

/** Bytes of the whole member: its header, its content, and the byte that pads an odd size. Null: the header is malformed. */
function memberLength(header: string): number | null {
  const size = /^(\d{1,10}) *$/.exec(header.slice(48, 58))?.[1];
  if (size === undefined || !header.startsWith("`\n", 58)) return null;
  return MEMBER_HEADER_BYTES + Math.ceil(Number(size) / 2) * 2;
}

function malformedHeader(at: number): string {
  return `the deb has no member header at ${at}, where the member before ends`;
}
