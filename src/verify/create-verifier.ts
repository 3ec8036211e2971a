import { AR_MAGIC, walkDeb } from "./deb.ts";
import { HTML_SNIFF_BYTES, isHtmlBody } from "./html.ts";
import { walkIso } from "./iso.ts";
import { RPM_MAGIC, walkRpm } from "./rpm.ts";
import { beginsWith, broken, createWalker, type Walk, type WalkedFile, type WalkOptions } from "./walk.ts";
import { walkXz, XZ_MAGIC } from "./xz.ts";
import { isZstdMagic, walkZstd, ZSTD_MAGIC } from "./zstd.ts";

/** Bytes read first, which tell all formats but ISO. */
const SNIFFED_MAGIC_BYTES = 4;

/** The formats that have a walk of their own, and how they begin. */
const MAGIC = { rpm: RPM_MAGIC, deb: AR_MAGIC, zstd: ZSTD_MAGIC, xz: XZ_MAGIC, iso: [] };
type PackageKind = keyof typeof MAGIC;
const KIND_BY_SUFFIX = new Map<string, PackageKind>(
  Object.entries({ rpm: "rpm", drpm: "rpm", deb: "deb", udeb: "deb", iso: "iso", zst: "zstd", xz: "xz" }),
);

/**
 * Creates the verifier of one file. The bytes decide what the file is: rpm, deb, iso, or no known format (`unknown`). Frames of zstd and xz are
 * looked for only under a name that ends in `.zst` or `.xz` (pacman's packages, tarballs, images). Apart from that the name only says what should
 * have come: under the name of a package, an empty file, a file that ends inside the format's magic, and a page of HTML are `broken`.
 * @param path decoded path of the file.
 */
export function createVerifier(path: string, options: WalkOptions) {
  const expected = kindOf(path);
  return createWalker((file) => walkFile(file, expected), options);
}

function kindOf(path: string): PackageKind | undefined {
  return KIND_BY_SUFFIX.get(/\.(\w+)$/.exec(path)?.[1]?.toLowerCase() ?? "");
}

function* walkFile(file: WalkedFile, expected: PackageKind | undefined): Walk {
  const magic = (yield { at: 0, size: SNIFFED_MAGIC_BYTES }).slice();
  if (magic.length < SNIFFED_MAGIC_BYTES) {
    const isCut = expected !== undefined && beginsWith(MAGIC[expected], magic);
    return isCut ? broken(`the ${expected} ends after ${magic.length} bytes`) : { kind: "unknown" };
  }
  if (beginsWith(RPM_MAGIC, magic)) return yield* walkRpm(file);
  if (beginsWith(AR_MAGIC, magic)) {
    const rest = yield { at: SNIFFED_MAGIC_BYTES, size: AR_MAGIC.length - SNIFFED_MAGIC_BYTES };
    return beginsWith(AR_MAGIC.slice(SNIFFED_MAGIC_BYTES), rest) ? yield* walkDeb(file, expected === "deb") : { kind: "unknown" };
  }
  if (expected === "zstd" || expected === "xz") {
    if (isZstdMagic(magic)) return yield* walkZstd(file, magic);
    if (beginsWith(XZ_MAGIC, magic)) return yield* walkXz(file);
  }
  if (expected !== undefined) {
    const rest = yield { at: SNIFFED_MAGIC_BYTES, size: HTML_SNIFF_BYTES - SNIFFED_MAGIC_BYTES };
    if (isHtmlBody(Uint8Array.of(...magic, ...rest), null)) return broken(`an HTML page came instead of the ${expected}`);
  }
  return yield* walkIso(file);
}

/** Whether the structure of a file of this name covers its content: a deb declares its length, an rpm also digests, which only a `deep` look compares. */
export function judgesContent(path: string, deep: boolean): boolean {
  const kind = kindOf(path);
  return kind === "deb" || (kind === "rpm" && deep);
}

/** Whether the name is that of a format whose structure shows that a file is whole. */
export function hasStructure(path: string): boolean {
  return kindOf(path) !== undefined;
}
