import type { Ask } from "./ask.ts";
import { type Attempt, attempt, heading } from "./finding.ts";
import { openBeginning } from "./open-beginning.ts";
import { chooseFiles, filesOfIndex, indexOfRoot, type RepositoryKind } from "./read-index.ts";
import { readListing, RELEASE, releasesToTry, type SetupPlace } from "./read-setup.ts";

/** What to ask one mirror for. */
export interface Target {
  /** The mirror in the doctor's words, such as `/debian`. */
  readonly name: string;
  /** A root of one of its repositories; absent: none was found, or the file that the caller named is all that is known. */
  readonly root?: URL;
  readonly file: URL;
  /** Another file, for ten clients at once. */
  readonly other: URL;
  /** A file of more than a megabyte, of which a part is asked for. */
  readonly large?: URL;
}

/** Why no target was found. */
export interface Miss {
  /** Of the answer in question; null: there was no answer. */
  readonly status: number | null;
  readonly why: string;
}

/** How much of an index is read: its beginning names enough packages. */
const INDEX_BYTES = 256 * 1024;
const ROOT_BYTES = 1024 * 1024;
const PAGE_BYTES = 256 * 1024;
/** Releases of one mirror that are tried. */
const MAX_RELEASES = 3;
/** Roots that a folder may have. */
const ROOTS: readonly (readonly [path: string, kind: RepositoryKind])[] = [
  ["repodata/repomd.xml", "rpm-md"],
  ["InRelease", "deb"],
  ["dists/stable/InRelease", "deb"],
  ["APKINDEX.tar.gz", "apk"],
  ["x86_64/APKINDEX.tar.gz", "apk"],
  ["core/os/x86_64/core.db", "pacman"],
];

export function isMiss(found: Target | Miss): found is Miss {
  return "why" in found;
}

/** A mirror's path; its host where the host is all that it has. */
export function nameOf({ pathname, host }: URL): string {
  return pathname.replace(/\/$/, "") || host;
}

/** The text of a page; empty where there is none. */
export async function textOf(page: URL, ask: Ask): Promise<string> {
  const reply = await attempt(ask(page, { maxBytes: PAGE_BYTES }));
  return "error" in reply || reply.status !== 200 ? "" : reply.body.toString("utf8");
}

/** From what a setup page says of a mirror to files of it: the example's release, else another one, else what its top folder has. */
export async function followPlace({ kind, base, root, release }: SetupPlace, ask: Ask): Promise<Target | Miss> {
  const top = new URL(`${base}/`);
  if (kind === "url") return followFolder(top, ask);
  const [before = "", after] = root.split(RELEASE);
  if (after === undefined) return followRoot(kind, new URL(`${base}/${root}`), top, ask);
  const folder = new URL(`${base}/${before}`);
  const follow = (name: string) => followRoot(kind, new URL(folder.href + name + after), top, ask);
  const known = release === "" ? null : await follow(release);
  if (known !== null && (!isMiss(known) || isFinal(known))) return known;
  for (const name of releasesToTry(release, readListing(await textOf(folder, ask))).slice(0, MAX_RELEASES)) {
    const found = await follow(name);
    if (!isMiss(found)) return found;
  }
  const any = await followFolder(top, ask);
  return isMiss(any) ? (known ?? any) : any;
}

/** From a folder to the first repository that it has, else to a file of its listing. */
export async function followFolder(folder: URL, ask: Ask): Promise<Target | Miss> {
  let first: Miss | null = null;
  for (const [path, kind] of ROOTS) {
    const found = await followRoot(kind, new URL(folder.href + path), folder, ask);
    if (!isMiss(found) || isFinal(found)) return found;
    first ??= found;
  }
  const names = readListing(await textOf(folder, ask));
  const suites = names.includes("dists/") ? readListing(await textOf(new URL("dists/", folder), ask)) : [];
  const suite = suites.find((name) => name.endsWith("/"));
  if (suite !== undefined) return followRoot("deb", new URL(`${folder.href}dists/${suite}InRelease`), folder, ask);
  const file = names.find((name) => !name.endsWith("/") && !name.includes(":"));
  if (file === undefined)
    return { status: first?.status ?? null, why: `no root of a repository, and no file in a listing (${first?.why ?? "no answer"})` };
  const url = new URL(folder.href + file);
  return { name: nameOf(folder), file: url, other: url };
}

/** Whether another path of the mirror will get the same. */
function isFinal({ status }: Miss): boolean {
  return status === null || status === 401 || status === 403 || status >= 500;
}

/** From a root to an index and to packages. `top`: the folder that gives the mirror its name. */
async function followRoot(kind: RepositoryKind, root: URL, top: URL, ask: Ask): Promise<Target | Miss> {
  const reply = await attempt(ask(root, { maxBytes: ROOT_BYTES }));
  if ("error" in reply) return { status: null, why: `no answer for ${root.pathname}: ${reply.error}` };
  if (reply.status !== 200) return { status: reply.status, why: `${root.pathname} is ${reply.status}: ${heading(reply.body)}` };
  const bare = { name: nameOf(top), root, file: root, other: root };
  const unlike = { status: 200, why: `what is at ${root.pathname} is no root of a repository` };
  // Paths of rpm-md start above repodata/, those of deb above dists/.
  const start =
    kind === "rpm-md" ? new URL("..", root) : kind === "deb" ? new URL(root.href.replace(/dists\/.*$|[^/]*$/, "")) : new URL(".", root);
  if (kind === "pacman" || kind === "apk") return (await targetOf(bare, start, kind, reply.body)) ?? unlike;

  const text = reply.body.toString("utf8");
  if (!(kind === "rpm-md" ? text.includes("<repomd") : /^(?:SHA256|SHA512|MD5Sum):/m.test(text))) return unlike;
  const path = indexOfRoot(kind, text);
  if (path === null) return bare;
  const index = below(kind === "rpm-md" ? start : new URL(".", root), path);
  const beginning: Attempt = await attempt(ask(index, { headers: { Range: `bytes=0-${INDEX_BYTES - 1}` }, maxBytes: INDEX_BYTES }));
  if ("error" in beginning || beginning.status >= 300) return bare;
  return (await targetOf(bare, start, kind, beginning.body)) ?? { ...bare, file: index, other: index };
}

/** `bare` with packages that the beginning of an index names; null: it names none. */
async function targetOf(bare: Target, start: URL, kind: RepositoryKind, beginning: Buffer): Promise<Target | null> {
  const choice = chooseFiles(filesOfIndex(kind, await openBeginning(beginning)));
  if (choice === null) return null;
  const { file, other, large } = choice;
  const packages = { file: below(start, file.path), other: below(start, other.path) };
  return { ...bare, ...packages, ...(large === undefined ? {} : { large: below(start, large.path) }) };
}

/** A path of an index, which is no URL: its characters are encoded, and it leads to no other host. */
function below(folder: URL, path: string): URL {
  return new URL(folder.href + encodeURI(path).replace(/[?#]/g, encodeURIComponent));
}
