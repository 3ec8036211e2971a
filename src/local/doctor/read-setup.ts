import type { RepositoryKind } from "./read-index.ts";

/** A repository as the setup page of a mirror names it. */
export interface SetupPlace {
  readonly kind: RepositoryKind | "url";
  /** The mirror's URL in it, without trailing slash, as far as the page shows where it ends. */
  readonly base: string;
  /** The repository's root, below `base`, with `{release}` where the release stands; empty for `url`. */
  readonly root: string;
  /** The release of the example; empty where the root has none. */
  readonly release: string;
}

const ARCH = "x86_64";
/** Stands for the release in `SetupPlace.root`. */
export const RELEASE = "{release}";

/** The repositories that a setup page (`/-/setup/<mirror>`, as text) names: the first of each mirror's. */
export function readSetup(text: string): readonly SetupPlace[] {
  const stanzas = [...text.matchAll(/^URIs: (\S+)\nSuites: (\S+)/gm)];
  if (stanzas.length > 0)
    return stanzas.map(([, base = "", release = ""]) => ({ kind: "deb", base, root: `dists/${RELEASE}/InRelease`, release }));
  const baseurl = /^baseurl=(\S+?)\/*$/m.exec(text)?.[1];
  if (baseurl !== undefined) return [rpmPlace(baseurl)];
  const server = /^Server = (\S+)\/\$repo\/os\/\$arch$/m.exec(text)?.[1];
  if (server !== undefined) return [{ kind: "pacman", base: server, root: `core/os/${ARCH}/core.db`, release: "" }];
  const line = /^(https?:\/\/\S+?)\/(v[\d.]+|edge)\/main$/m.exec(text);
  if (line !== null) return [{ kind: "apk", base: line[1] ?? "", root: `${RELEASE}/main/${ARCH}/APKINDEX.tar.gz`, release: line[2] ?? "" }];
  const url = /^(https?:\/\/\S+?)\/?$/m.exec(text)?.[1];
  return url === undefined ? [] : [{ kind: "url", base: url, root: "", release: "" }];
}

/** The folder in which releases stand ends the base: `…/releases/$releasever/…`. */
function rpmPlace(baseurl: string): SetupPlace {
  const plain = `${baseurl.replaceAll("$basearch", ARCH)}/repodata/repomd.xml`;
  const [before = "", after] = plain.split("$releasever", 2);
  return after === undefined
    ? { kind: "rpm-md", base: plain.replace(/\/repodata\/repomd\.xml$/, ""), root: "repodata/repomd.xml", release: "" }
    : { kind: "rpm-md", base: before.replace(/\/$/, ""), root: RELEASE + after, release: "" };
}

/** The mirrors' names, of the text of `/-/setup`: a URL a line. */
export function readSetupList(text: string): readonly string[] {
  return [...text.matchAll(/^https?:\/\/\S+\/-\/setup\/([a-z0-9][a-z0-9-]*)$/gm)].map(([, name = ""]) => name);
}

/** Names that a listing links to, one step below it: folders end with a slash. */
export function readListing(html: string): readonly string[] {
  const names = [...html.matchAll(/\bhref=["']?(?:\.\/)?([^"'?#/>\s]+\/?)["'?#>\s]/gi)].map(([, name = ""]) => name);
  return [...new Set(names)].filter((name) => !/^\.{1,2}\/?$/.test(name));
}

/** The releases to try: the given one, then folders of a listing, the highest number first. */
export function releasesToTry(given: string, listed: readonly string[]): readonly string[] {
  const folders = listed.filter((name) => name.endsWith("/")).map((name) => name.slice(0, -1));
  const [numbers, words] = [folders.filter((name) => /^v?\d/.test(name)), folders.filter((name) => !/^v?\d/.test(name))];
  const ordered = [...numbers.toSorted((a, b) => b.localeCompare(a, "en", { numeric: true })), ...words];
  return [...new Set([...(given === "" ? [] : [given]), ...ordered])];
}
