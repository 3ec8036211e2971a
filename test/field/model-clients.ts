import { createHash } from "node:crypto";
import { unpackTar } from "modern-tar";
import { type Download, download } from "../support/download.ts";
import { sha256 } from "../support/fixture.ts";
import { type Form, formOf, unpack } from "../support/miniature/compress.ts";
import { isSignatureOf, signClear } from "../support/miniature/openpgp.ts";

/** What a client holds at its end: a name (of a file, of a package, `root`) → digest of the bytes. */
export type Seen = Readonly<Record<string, string>>;

/** A client's whole run against one URL. It rejects with a `Refusal` when it could not get what it wants, as the real one would. */
export type Client = (url: string) => Promise<Seen>;

/** The client does not take what it got. */
export class Refusal extends Error {}

const ABSENT = [401, 403, 404, 410];

/** GET of a file that has to be there and whole. */
export async function getFile(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Download> {
  const got = await download(url, { headers, isKept: true });
  if (got.status !== 200)
    throw new Refusal(`GET ${pathOf(url)} is answered by ${got.status}: ${got.bytes.toString("latin1").slice(0, 300)}`);
  if (!got.isWhole) throw new Refusal(`GET ${pathOf(url)} breaks off after ${got.length} bytes`);
  return got;
}

/** GET of a file that may be absent; trouble is no absence. */
export async function getOptional(url: string): Promise<Buffer | null> {
  const got = await download(url, { isKept: true });
  if (ABSENT.includes(got.status)) return null;
  if (got.status !== 200 || !got.isWhole) {
    throw new Refusal(`GET ${pathOf(url)} is answered by ${got.status}, whole: ${got.isWhole}, and not by a file or its absence`);
  }
  return got.bytes;
}

function pathOf(url: string): string {
  return url.replace(/^https?:\/\/[^/]+/, "");
}

/** A path below `url`, encoded as clients do; `..` is resolved first, as they do too. */
function urlOf(url: string, path: string): string {
  const top = new URL(`${url}/`);
  const plain = path.split("/").map(encodeURIComponent).join("/");
  return new URL(plain, top).href;
}

/** curl, once for each path: whatever the status, as long as the message is whole. */
export function plainFiles(...paths: readonly string[]): Client {
  return async (url) => {
    const seen: Record<string, string> = {};
    for (const path of paths) {
      const got = await download(urlOf(url, path), { isKept: true });
      if (!got.isWhole) throw new Refusal(`GET ${path} breaks off after ${got.length} bytes (status ${got.status})`);
      seen[path] = got.status === 200 ? got.sha256 : String(got.status);
    }
    return seen;
  };
}

export interface AptOptions {
  /** Of the root; empty: flat, at the top. */
  readonly folder?: string;
  /** Below the folder. */
  readonly index?: string;
  /** Tried in this order; default: `.xz`, `.gz`, plain. */
  readonly forms?: readonly Form[];
  /** Asks for indexes below `by-hash/` alone. */
  readonly isByHash?: boolean;
  /** What package names are relative to; default: the URL itself. */
  readonly base?: string;
  /** Optional indexes below the folder that it asks for where Release names them. */
  readonly extra?: readonly string[];
  /** Takes an archive that has no Release at all. */
  readonly isTrusted?: boolean;
}

/** apt: root, one index, all packages that it names; each checked as apt does. */
export function apt(options: AptOptions = {}): Client {
  const { folder = "dists/stable", index = "main/binary-amd64/Packages", forms = [".xz", ".gz", ""], base = "" } = options;
  const below = (path: string): string => (folder === "" ? path : `${folder}/${path}`);
  return async (url) => {
    const get = async (path: string): Promise<Buffer> => (await getFile(urlOf(url, path))).bytes;
    const root = await aptRoot(url, below, options.isTrusted === true);
    const seen: Record<string, string> = { root: root === null ? "none" : sha256(root.bytes) };
    const members = root === null ? null : listMembers(root.text);
    for (const extra of options.extra ?? []) {
      const member = members?.get(extra);
      if (member === undefined) continue;
      const bytes = await getOptional(urlOf(url, below(extra)));
      if (bytes !== null) checkMember(extra, member, bytes);
    }
    const text = await aptIndex();
    for (const entry of stanzas(text)) {
      const name = entry.get("package") ?? "?";
      const path = [base, entry.get("filename") ?? ""].filter((part) => part !== "").join("/");
      const bytes = await get(path);
      checkPackage(path, entry, bytes);
      seen[name] = `${entry.get("version")} ${sha256(bytes)}`;
    }
    return seen;

    async function aptIndex(): Promise<string> {
      const tried: string[] = [];
      for (const form of forms) {
        const member = members?.get(index + form);
        if (members !== null && member === undefined) continue;
        const hashed = `${index.replace(/[^/]*$/, "")}by-hash/SHA256/${member?.sha256}`;
        const bytes = await getOptional(urlOf(url, below(options.isByHash === true ? hashed : index + form)));
        tried.push(index + form);
        if (bytes === null) continue;
        if (member !== undefined) checkMember(index + form, member, bytes);
        return unpack(form, bytes).toString();
      }
      throw new Refusal(`none of ${tried.join(", ")} is there`);
    }
  };
}

async function aptRoot(url: string, below: (path: string) => string, isTrusted: boolean): Promise<{ bytes: Buffer; text: string } | null> {
  const inline = await getOptional(urlOf(url, below("InRelease")));
  if (inline !== null) {
    const [, body = ""] = /\n\n([^]*?)-----BEGIN PGP SIGNATURE-----/.exec(inline.toString()) ?? [];
    const text = body.replaceAll(/^- /gm, "");
    if (!signClear(text).equals(inline)) throw new Refusal("InRelease is not what was signed");
    return { bytes: inline, text };
  }
  const release = await getOptional(urlOf(url, below("Release")));
  if (release === null) {
    if (isTrusted) return null;
    throw new Refusal("there is neither InRelease nor Release");
  }
  const signature = await getOptional(urlOf(url, below("Release.gpg")));
  if (signature === null && !isTrusted) throw new Refusal("there is no Release.gpg");
  if (signature !== null && !isSignatureOf(release, signature)) throw new Refusal("Release.gpg signs another Release");
  return { bytes: release, text: release.toString() };
}

interface Member {
  readonly size: number;
  readonly sha256: string;
}

function listMembers(release: string): Map<string, Member> {
  const members = new Map<string, Member>();
  let isList = false;
  for (const line of release.split("\n")) {
    if (!/^[ \t]/.test(line)) {
      isList = /^sha256:/i.test(line);
      continue;
    }
    const [digest = "", size = "", path = ""] = line.trim().split(/\s+/);
    if (isList && path !== "") members.set(path, { size: Number(size), sha256: digest });
  }
  return members;
}

function checkMember(path: string, member: Member, bytes: Buffer): void {
  if (bytes.length !== member.size || sha256(bytes) !== member.sha256) throw new Refusal(`${path} is not what the root names`);
}

function* stanzas(text: string): Generator<Map<string, string>> {
  for (const stanza of text.split(/\n\n+/)) {
    const fields = stanza.split("\n").flatMap((line) => {
      const colon = line.indexOf(":");
      return colon <= 0 || /^[ \t]/.test(line) ? [] : [[line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const];
    });
    const map = new Map(fields);
    if (map.has("filename")) yield map;
  }
}

const PACKAGE_HASHES = { sha512: "sha512", sha256: "sha256", sha1: "sha1", md5sum: "md5" } as const;

function checkPackage(path: string, entry: Map<string, string>, bytes: Buffer): void {
  const size = entry.get("size");
  if (size !== undefined && bytes.length !== Number(size)) throw new Refusal(`${path} has ${bytes.length} bytes, named are ${size}`);
  for (const [field, algorithm] of Object.entries(PACKAGE_HASHES)) {
    const named = entry.get(field);
    if (named !== undefined && createHash(algorithm).update(bytes).digest("hex") !== named)
      throw new Refusal(`${path} is not what the index names`);
  }
}

export interface RpmOptions {
  /** Of the repository. */
  readonly folder?: string;
  /** Types of members that it needs beside primary. */
  readonly types?: readonly string[];
  /** Asks for repomd.xml.asc and checks it where it is there. */
  readonly checksSignature?: boolean;
  /** Asks for repomd.xml.key too, as zypper does. */
  readonly wantsKey?: boolean;
}

/** dnf: repomd.xml, primary and other members, all packages; each checked as librepo does. */
export function dnf(options: RpmOptions = {}): Client {
  const { folder = "", types = [] } = options;
  return async (url) => {
    const at = folder === "" ? url : `${url}/${folder}`;
    const signature = options.checksSignature === true ? await getOptional(`${at}/repodata/repomd.xml.asc`) : null;
    if (options.wantsKey === true) await getOptional(`${at}/repodata/repomd.xml.key`);
    const root = (await getFile(`${at}/repodata/repomd.xml`)).bytes;
    if (signature !== null && !isSignatureOf(root, signature)) throw new Refusal("repomd.xml.asc signs another repomd.xml");
    const seen: Record<string, string> = { root: sha256(root) };
    let primary: Buffer | undefined;
    for (const [, type = "", body = ""] of root.toString().matchAll(/<data type="([^"]+)">([^]*?)<\/data>/g)) {
      if (type !== "primary" && !types.includes(type)) continue;
      const [, href = ""] = /<location href="([^"]+)"/.exec(body) ?? [];
      const [, algorithm = "", digest = ""] = /<checksum type="([^"]+)">([^<]+)</.exec(body) ?? [];
      const { bytes } = await getFile(urlOf(at, href));
      if (hashOf(algorithm, bytes) !== digest) throw new Refusal(`${type} is not what repomd.xml names`);
      seen[type] = digest;
      if (type === "primary") primary = unpack(formOf(href), bytes);
    }
    if (primary === undefined) throw new Refusal("repomd.xml names no primary");
    for (const [, body = ""] of primary.toString().matchAll(/<package type="rpm">([^]*?)<\/package>/g)) {
      const [, name = ""] = /<name>([^<]+)</.exec(body) ?? [];
      const [, version = ""] = /<version [^>]*ver="([^"]+)"/.exec(body) ?? [];
      const [, algorithm = "", digest = ""] = /<checksum type="([^"]+)" pkgid="YES">([^<]+)</.exec(body) ?? [];
      const [, href = ""] = /<location [^>]*href="([^"]+)"/.exec(body) ?? [];
      const { bytes } = await getFile(urlOf(at, href));
      if (hashOf(algorithm, bytes) !== digest) throw new Refusal(`${href} is not what primary.xml names`);
      seen[name] = `${version} ${sha256(bytes)}`;
    }
    return seen;
  };
}

function hashOf(algorithm: string, bytes: Buffer): string {
  return createHash(algorithm === "sha" ? "sha1" : algorithm)
    .update(bytes)
    .digest("hex");
}

/** apk of Alpine, for APKv2: the index, all packages; each checked by `C:` and by its own `datahash`. */
export function apk(folder: string): Client {
  return async (url) => {
    const index = (await getFile(`${url}/${folder}/APKINDEX.tar.gz`)).bytes;
    const seen: Record<string, string> = { root: sha256(index) };
    const text = (await unpackTar(unpack(".gz", index))).find(({ header }) => header.name === "APKINDEX");
    for (const block of Buffer.from(text?.data ?? [])
      .toString()
      .split("\n\n")) {
      const field = (letter: string): string | undefined =>
        block
          .split("\n")
          .find((line) => line.startsWith(`${letter}:`))
          ?.slice(2);
      const name = field("P");
      if (name === undefined) continue;
      const path = `${folder}/${name}-${field("V")}.apk`;
      const { bytes } = await getFile(urlOf(url, path));
      await checkApk(path, field("C") ?? "", bytes);
      seen[name] = `${field("V")} ${sha256(bytes)}`;
    }
    return seen;
  };
}

async function checkApk(path: string, checksum: string, bytes: Buffer): Promise<void> {
  // The control stream ends where the next gzip stream begins.
  const GZIP = Buffer.from([0x1f, 0x8b, 0x08]);
  for (let at = bytes.indexOf(GZIP, 1); at >= 0; at = bytes.indexOf(GZIP, at + 1)) {
    if (`Q1${createHash("sha1").update(bytes.subarray(0, at)).digest("base64")}` !== checksum) continue;
    const control = unpack(".gz", bytes.subarray(0, at));
    const [, datahash] = /datahash = ([0-9a-f]+)/.exec(control.toString("latin1")) ?? [];
    if (sha256(bytes.subarray(at)) === datahash) return;
  }
  throw new Refusal(`${path} is not what the index names`);
}

export interface PacmanOptions {
  readonly folder: string;
  readonly database: string;
  /** Asks for `.db.sig` first, and checks it where it is there. */
  readonly checksSignature?: boolean;
}

/** pacman: the database, its signature where there is one, all packages. */
export function pacman(options: PacmanOptions): Client {
  return async (url) => {
    const path = `${options.folder}/${options.database}.db`;
    const database = (await getFile(`${url}/${path}`)).bytes;
    if (options.checksSignature === true) {
      const signature = await getOptional(`${url}/${path}.sig`);
      if (signature !== null && !isSignatureOf(database, signature)) throw new Refusal("the database's signature is of another one");
    }
    const seen: Record<string, string> = { root: sha256(database) };
    const tar = database[0] === 0x1f ? unpack(".gz", database) : database[0] === 0x28 ? unpack(".zst", database) : unpack(".xz", database);
    for (const { header, data } of await unpackTar(tar)) {
      if (!header.name.endsWith("/desc")) continue;
      const lines = Buffer.from(data ?? [])
        .toString()
        .split("\n");
      const field = (name: string): string => lines[lines.indexOf(`%${name}%`) + 1] ?? "";
      const { bytes } = await getFile(urlOf(url, `${options.folder}/${field("FILENAME")}`));
      if (sha256(bytes) !== field("SHA256SUM")) throw new Refusal(`${field("FILENAME")} is not what the database names`);
      seen[field("NAME")] = `${field("VERSION")} ${sha256(bytes)}`;
    }
    return seen;
  };
}

/** A file and what signs it, fetched one after the other and compared. */
export function signedPair(first: string, second: string, isPair: (first: Buffer, second: Buffer) => boolean): Client {
  return async (url) => {
    const one = (await getFile(urlOf(url, first))).bytes;
    const two = (await getFile(urlOf(url, second))).bytes;
    if (!isPair(one, two)) throw new Refusal(`${first} and ${second} are of two generations`);
    return { [first]: sha256(one), [second]: sha256(two) };
  };
}
