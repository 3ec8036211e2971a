import { setImmediate as breathe } from "node:timers/promises";
import { decompress } from "../../metadata/formats/decompress.ts";
import { compileXzModule } from "../xz-module.ts";

/** An open index is one string here. */
const MAX_OPEN_BYTES = 500_000_000;

/** Reads a file of the mirror by its path below the server; null if there is none. */
export type ReadFile = (path: string) => Promise<Uint8Array | null>;

/** The newest version of each named package, one path per architecture; `missing`: names that the repository does not have. */
export interface PackagePaths {
  readonly paths: readonly string[];
  readonly missing: readonly string[];
}

/** XML entities that paths of packages may hold. */
const ENTITIES: Readonly<Record<string, string>> = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'" };

/** One package as an index names it. */
export interface NamedPackage {
  readonly name: string;
  readonly architecture: string;
  /** Orders the versions of one package: the newest has the highest. */
  readonly time: number;
  /** Below the server. */
  readonly path: string;
}

/**
 * All packages of a repository. `folder`, a path below the server, is for dnf and zypper the folder that holds `repodata/`, for apt the one that holds a
 * Packages file (`debian/dists/trixie/main/binary-amd64`). Throws an Error if no repository is there or its index cannot be opened.
 */
export async function readPackages(folder: string, read: ReadFile): Promise<readonly NamedPackage[]> {
  const base = folder.replace(/^\/+|\/+$/g, "");
  const found = base.includes("/dists/") ? await findDebs(base, read) : await findRpms(base, read);
  if (found !== null) return [...found];
  throw new Error(`Cannot find packages in "${folder}": wanted the folder of repodata/repomd.xml, or of Packages.gz below dists/`);
}

/** Those of `packages` that have one of the names: the newest version of each architecture. */
export function pickPackages(packages: readonly NamedPackage[], names: readonly string[]): PackagePaths {
  const wanted = new Set(names);
  const newest = new Map<string, NamedPackage>();
  const seen = new Set<string>();
  for (const one of packages) {
    if (!wanted.has(one.name)) continue;
    seen.add(one.name);
    const key = `${one.name} ${one.architecture}`;
    if ((newest.get(key)?.time ?? -1) <= one.time) newest.set(key, one);
  }
  return { paths: [...newest.values()].map(({ path }) => path), missing: names.filter((name) => !seen.has(name)) };
}

async function findRpms(base: string, read: ReadFile): Promise<Iterable<NamedPackage> | null> {
  const repomd = await read(`${base}/repodata/repomd.xml`);
  const href = repomd === null ? undefined : /<data type="primary">.*?<location [^>]*href="([^"]+)"/s.exec(textOf(repomd))?.[1];
  const primary = href === undefined ? null : await read(`${base}/${href}`);
  return primary && parsePrimary(await unpack(primary), base);
}

function* parsePrimary(xml: string, base: string): Iterable<NamedPackage> {
  for (const [, body = ""] of xml.matchAll(/<package type="rpm">(.*?)<\/package>/gs)) {
    const href = /<location [^>]*href="([^"]+)"/.exec(body)?.[1];
    const name = /<name>([^<]+)<\/name>/.exec(body)?.[1];
    if (href === undefined || name === undefined) continue;
    const path = `${base}/${href.replace(/&\w+;/g, (entity) => ENTITIES[entity] ?? entity)}`;
    yield { name, architecture: /<arch>([^<]+)</.exec(body)?.[1] ?? "", time: Number(/<time file="(\d+)"/.exec(body)?.[1] ?? 0), path };
  }
}

async function findDebs(base: string, read: ReadFile): Promise<Iterable<NamedPackage> | null> {
  for (const name of ["Packages.gz", "Packages.xz", "Packages"]) {
    const index = await read(`${base}/${name}`);
    if (index !== null) return parsePackages(await unpack(index), base.slice(0, base.indexOf("/dists/")));
  }
  return null;
}

function* parsePackages(text: string, archive: string): Iterable<NamedPackage> {
  // Repositories list older versions first.
  for (const [time, stanza] of text.split("\n\n").entries()) {
    const field = (name: string) => new RegExp(`^${name}: (.+)$`, "m").exec(stanza)?.[1];
    const name = field("Package");
    const file = field("Filename");
    if (name !== undefined && file !== undefined)
      yield { name, architecture: field("Architecture") ?? "", time, path: `${archive}/${file}` };
  }
}

/** The text of an index, whatever it is packed with. */
async function unpack(packed: Uint8Array): Promise<string> {
  const xz = compileXzModule();
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of decompress(chunksOf(packed), { maxBytes: MAX_OPEN_BYTES, xz, breathe }))
    text += decoder.decode(piece, { stream: true });
  return text + decoder.decode();
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
