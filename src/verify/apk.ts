import { Gunzip } from "fflate";
import { joinBytes } from "./concat-bytes.ts";
import type { CreateDigest } from "./digest-ranges.ts";
import { toHex } from "./expectation.ts";

/** What inflate gets at once: at most some 4 MB come out, so that no call takes long. */
const PIECE_BYTES = 4096;
/** Packed and open length that signature and control may have together. Real ones have some 2 KB and 20 KB. */
const MAX_PACKED_BYTES = 1024 * 1024;
const MAX_OPEN_BYTES = 8 * 1024 * 1024;
const MAX_MEMBERS = 8;

const TAR_BLOCK_BYTES = 512;
const SIGNATURE_NAME = ".SIGN.";
const INFO_NAME = ".PKGINFO";
const HASH_FIELD = "datahash";
const MAX_HASH_LINE = 128;
const NEVER = new Uint8Array();

/**
 * The digest by which an APKINDEX names a package of Alpine's format 2 (https://wiki.alpinelinux.org/wiki/Apk_spec): such a file is gzip members one
 * after the other, a signature (which may be absent), the control segment and the data. `C:` of the index is the SHA-1 of the control member as it is
 * packed, and its .PKGINFO names the SHA-256 of all that follows (`datahash`). So both together bind the file but for the signature, which apk
 * verifies with its own keys.
 *
 * Resolves with the SHA-1 where the data is what the control segment says, and with no bytes, which no index names, where it is not, or where the file
 * has no such structure. A control segment without `datahash` binds itself alone: apk compares no more than that either.
 */
export function createApkDigest(createDigest: CreateDigest): ReturnType<CreateDigest> {
  let head: Head | null = createHead();
  let control: Control | null = null;
  const data = createDigest("SHA-256");

  return {
    async update(chunk: Uint8Array): Promise<void> {
      if (head === null) return control === null ? undefined : data.update(chunk);
      const found = head.push(chunk);
      if (found === null) return;
      head = null;
      if (found === "unknown") return;
      control = found;
      if (found.rest.length > 0) await data.update(found.rest);
    },
    async digest(): Promise<Uint8Array> {
      const hash = toHex(await data.digest());
      if (control === null || (control.dataHash !== null && control.dataHash !== hash)) return NEVER;
      const sha1 = createDigest("SHA-1");
      await sha1.update(control.packed);
      return sha1.digest();
    },
  };
}

interface Control {
  /** The gzip member. */
  readonly packed: Uint8Array;
  /** Lower-case hex. */
  readonly dataHash: string | null;
  /** The bytes behind it that came with it. */
  readonly rest: Uint8Array;
}

type Head = ReturnType<typeof createHead>;

/** Collects the members up to the control segment, which is the first that does not begin with a signature. */
function createHead() {
  const packed: Uint8Array[] = [];
  let open: Uint8Array[] = [];
  let [packedBytes, openBytes, memberStart] = [0, 0, 0];
  let found: { readonly from: number; readonly to: number; readonly dataHash: string | null } | "unknown" | null = null;
  let members = 0;
  const gunzip = new Gunzip((bytes) => {
    openBytes += bytes.length;
    if (openBytes > MAX_OPEN_BYTES) found ??= "unknown";
    if (found === null) open.push(bytes);
  });
  // Called where a member begins behind another, before any of its bytes is passed on.
  gunzip.onmember = (offset) => {
    if (found !== null) return;
    const tar = joinBytes(open);
    open = [];
    if (++members > MAX_MEMBERS) found = "unknown";
    else if (!beginsWithName(tar, SIGNATURE_NAME)) found = { from: memberStart, to: offset, dataHash: dataHashOf(tar) };
    memberStart = offset;
  };

  return {
    /** Takes the next bytes. Null: the control segment has not ended yet. */
    push(chunk: Uint8Array): Control | "unknown" | null {
      packed.push(new Uint8Array(chunk));
      packedBytes += chunk.length;
      for (let at = 0; at < chunk.length && found === null; at += PIECE_BYTES) {
        try {
          gunzip.push(new Uint8Array(chunk.subarray(at, at + PIECE_BYTES)));
        } catch {
          found ??= "unknown";
        }
      }
      if (found === null) return packedBytes > MAX_PACKED_BYTES ? "unknown" : null;
      if (found === "unknown") return found;
      const all = joinBytes(packed);
      return { packed: all.slice(found.from, found.to), dataHash: found.dataHash, rest: all.subarray(found.to) };
    },
  };
}

/** The value of `datahash` in the archive's .PKGINFO; null where it has none. */
function dataHashOf(tar: Uint8Array): string | null {
  for (let at = 0; at + TAR_BLOCK_BYTES <= tar.length;) {
    const size = Number.parseInt(textOf(tar.subarray(at + 124, at + 136)), 8);
    if (!Number.isSafeInteger(size) || size < 0) return null;
    const body = at + TAR_BLOCK_BYTES;
    if (beginsWithName(tar.subarray(at), `${INFO_NAME}\0`)) return dataHashIn(textOf(tar.subarray(body, body + size)));
    at = body + Math.ceil(size / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
  }
  return null;
}

/** Looks for the one field instead of going through lines, of which there may be millions. */
function dataHashIn(info: string): string | null {
  for (let at = info.indexOf(HASH_FIELD); at >= 0; at = info.indexOf(HASH_FIELD, at + HASH_FIELD.length)) {
    if (at > 0 && info[at - 1] !== "\n") continue;
    const [, hash] = /^ *=([^\n]*)/.exec(info.slice(at + HASH_FIELD.length, at + MAX_HASH_LINE)) ?? [];
    if (hash !== undefined) return hash.trim().toLowerCase();
  }
  return null;
}

function beginsWithName(tar: Uint8Array, name: string): boolean {
  return textOf(tar.subarray(0, name.length)) === name;
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}
