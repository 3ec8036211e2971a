import type { RepositoryPlace } from "../../route/place.ts";
import { join } from "../formats/repository-path.ts";

/** What the files of a repository depend on. `form`: as in `RepositoryPlace`. */
type Rooted = Pick<RepositoryPlace, "kind" | "root" | "form">;

/** Ends of the names of detached signatures: OpenPGP in text or binary, usign (OpenWrt) and ed25519 (ostree), Debian's images, minisign. */
const SIGNATURE_ENDS = [".asc", ".gpg", ".sig", ".sign", ".minisig"];
const SIGNATURE_END = /\.(?:asc|gpg|sig|sign|minisig)$/;
/** The forms of an index without a Release that apt and opkg ask for. */
const INDEX_ENDS = ["", ".gz", ".xz", ".zst", ".bz2", ".lzma", ".lz4"];
/** A standing index; its signatures are members of nothing either. */
const INDEX = /^((?:.*\/)?(?:Packages|Sources))(?:\.(?:gz|xz|zst|bz2|lzma|lz4))?(?:\.(?:asc|gpg|sig|sign|minisig))?$/;

/** The file that a detached signature signs; null where the path names no detached signature. */
export function signedFile(path: string): string | null {
  return SIGNATURE_END.test(path) ? path.replace(SIGNATURE_END, "") : null;
}

/** The path of an index of packages without its compression, for any of its forms or a signature of one; null: it is no such index. */
export function indexWithoutForm(path: string): string | null {
  return INDEX.exec(path)?.[1] ?? null;
}

/** The paths at which the root of a repository may lie, in order: the first that exists is the root. */
export function rootFiles({ kind, root, form }: Rooted): readonly string[] {
  if (form !== undefined) return [form];
  if (kind === "rpm-md") return [`${root}/repomd.xml`];
  if (kind === "deb") return [join(root, "InRelease"), join(root, "Release")];
  return [root];
}

/** Whether the root of such a place names no other files, so that there is nothing to parse, and it may be long. */
export function standsAlone({ kind, form }: Pick<RepositoryPlace, "kind" | "form">): boolean {
  return form !== undefined || (kind !== "rpm-md" && kind !== "deb");
}

/**
 * The paths of a root's companions, which must be published together with it: signatures, keys, the Release beside an InRelease, the other forms of an
 * index. A signature stands behind what it signs.
 */
export function companionFiles({ kind, root, form }: Rooted, rootFile: string): readonly string[] {
  if (form !== undefined) {
    const forms = INDEX_ENDS.map((end) => root + end);
    return [...forms.filter((file) => file !== rootFile), ...forms.flatMap(signaturesOf)];
  }
  if (kind === "rpm-md") return [`${rootFile}.asc`, `${rootFile}.key`];
  if (kind === "pacman") return [`${rootFile}.sig`];
  if (kind === "apk") return [];
  if (kind === "pair") return signaturesOf(rootFile);
  const slash = rootFile.lastIndexOf("/");
  const folder = rootFile.slice(0, Math.max(slash, 0));
  const signature = join(folder, "Release.gpg");
  return isInRelease(rootFile) ? [join(folder, "Release"), signature] : [signature];
}

/**
 * Those of `companionFiles` that are fetched with a new root although no client has asked for them: only what comes in the same moment is sure to
 * belong together. The others may be many, and most exist nowhere: they are fetched at their first request, and with each new root from then on.
 */
export function likelyCompanions(place: Rooted, rootFile: string): readonly string[] {
  if (place.form !== undefined) return [`${place.root}.sig`];
  if (place.kind !== "pair") return companionFiles(place, rootFile);
  return /(?:^|\/)summary$/.test(rootFile) ? [`${rootFile}.sig`] : [".gpg", ".asc", ".sign"].map((end) => rootFile + end);
}

/** Whether clients refuse a root because of this companion: a detached signature, unless the root carries its own. */
export function isNeededSignature({ kind }: Rooted, rootFile: string, path: string): boolean {
  return kind !== "pair" && signedFile(path) === rootFile && !isInRelease(rootFile);
}

/** Whether the root carries its signature in itself: then apt asks for no other form of it. */
export function isInRelease(rootFile: string): boolean {
  return /(?:^|\/)InRelease$/.test(rootFile);
}

function signaturesOf(file: string): readonly string[] {
  return SIGNATURE_ENDS.map((end) => file + end);
}

/** Of pacman the database whose packages another name of it, or its list of files, names again: `core.db` for `core.files` and `core.db.tar.gz`. */
export function databaseOf(path: string): string {
  return path.replace(/\.(?:db|files)(?:\.tar(?:\.[a-z0-9]+)?)?$/, ".db");
}
