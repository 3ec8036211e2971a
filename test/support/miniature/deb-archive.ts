import { createHash } from "node:crypto";
import { makeDeb } from "../large-files.ts";
import { type Form, pack } from "./compress.ts";
import { signClear, signDetached } from "./openpgp.ts";

/** Files of an upstream: path below it, without a slash before it → bytes. */
export type Files = Readonly<Record<string, Buffer>>;

/** A package as an index names it. */
export interface DebEntry {
  readonly name: string;
  readonly version: string;
  /** The `Filename` field, as it stands there. */
  readonly filename: string;
  readonly bytes: Buffer;
}

export type DebHash = "MD5sum" | "SHA1" | "SHA256" | "SHA512";

export interface IndexOptions {
  readonly hashes?: readonly DebHash[];
  /** Applied to the whole text at last: for the odd lines of the field. */
  readonly bend?: (text: string) => string;
}

/** A deb of `size` bytes (even) that is like no other. */
export function deb(
  name: string,
  seed: string,
  options: { readonly version?: string; readonly filename: string; readonly size?: number },
): DebEntry {
  return { name, version: options.version ?? "1.0", filename: options.filename, bytes: makeDeb(seed, options.size ?? 12_000) };
}

/** The text of a Packages file. */
export function packagesText(entries: readonly DebEntry[], options: IndexOptions = {}): string {
  const stanzas = entries.map(({ name, version, filename, bytes }) => {
    const hashes = (options.hashes ?? ["SHA256"]).map((hash) => `${hash}: ${hashOf(hash, bytes)}\n`);
    const head = `Package: ${name}\nVersion: ${version}\nArchitecture: amd64\nMaintainer: Mirror Test <test@example.com>\n`;
    return `${head}Filename: ${filename}\nSize: ${bytes.length}\n${hashes.join("")}Description: noise of ${name}\n of two lines\n`;
  });
  return (options.bend ?? ((text) => text))(stanzas.join("\n"));
}

export interface ReleaseOptions {
  /** Unix seconds. */
  readonly date: number;
  readonly fields?: Readonly<Record<string, string>>;
  /** Lists of hashes; default: SHA256. */
  readonly hashes?: readonly ("MD5Sum" | "SHA1" | "SHA256" | "SHA512")[];
  readonly bend?: (text: string) => string;
}

/** The text of a Release file over `members`, whose paths are below its folder. */
function releaseText(members: Files, options: ReleaseOptions): string {
  const fields = {
    Origin: "Mirror Test",
    Suite: "stable",
    Codename: "stable",
    Architectures: "amd64",
    Components: "main",
    ...options.fields,
  };
  const lines = Object.entries({ ...fields, Date: dateText(options.date) }).map(([name, value]) => `${name}: ${value}`);
  for (const hash of options.hashes ?? ["SHA256"]) {
    lines.push(`${hash}:`);
    for (const [path, bytes] of Object.entries(members)) lines.push(` ${hashOf(hash, bytes)} ${bytes.length} ${path}`);
  }
  return (options.bend ?? ((text) => text))(`${lines.join("\n")}\n`);
}

export type DebRoot = "InRelease" | "Release" | "Release.gpg";

export interface SuiteOptions extends ReleaseOptions {
  /** Of InRelease, without slash at its end; empty: a flat repository at the top. */
  readonly folder: string;
  /** Path of Packages below the folder. */
  readonly index?: string;
  readonly entries: readonly DebEntry[];
  /** Where a package lies, when that is not its Filename below the top. */
  readonly placeOf?: (entry: DebEntry) => string;
  /** Forms of Packages that are there; default: `.gz` and `.xz`, as Debian has it. */
  readonly forms?: readonly Form[];
  /** Forms that Release names; default: those that are there and the plain one. */
  readonly named?: readonly Form[];
  readonly roots?: readonly DebRoot[];
  readonly isByHash?: boolean;
  readonly indexOptions?: IndexOptions;
  /** How the index is packed, in place of the usual way. */
  readonly packAs?: (form: Form, bytes: Buffer) => Buffer;
  /** Further members, there and named. */
  readonly more?: Files;
  /** Further members, named only. */
  readonly holes?: Files;
}

/** All files of one suite: packages, indexes, roots. */
export function debSuite(options: SuiteOptions): Files {
  const { folder, entries, index = "main/binary-amd64/Packages", forms = [".gz", ".xz"], isByHash = false } = options;
  const named = options.named ?? ["", ...forms];
  const below = (path: string): string => (folder === "" ? path : `${folder}/${path}`);
  const text = Buffer.from(packagesText(entries, options.indexOptions));
  const made = new Map<Form, Buffer>([...new Set([...forms, ...named])].map((form) => [form, (options.packAs ?? pack)(form, text)]));
  const inForm = (form: Form): Buffer => made.get(form) ?? text;
  const listed = { ...Object.fromEntries(named.map((form) => [index + form, inForm(form)])), ...options.more, ...options.holes };
  const fields = isByHash ? { "Acquire-By-Hash": "yes", ...options.fields } : { ...options.fields };
  const release = releaseText(listed, { ...options, fields });
  const files: Record<string, Buffer> = {};
  for (const entry of entries) files[options.placeOf?.(entry) ?? entry.filename.replace(/^\.\//, "")] = entry.bytes;
  for (const form of forms) {
    files[below(index + form)] = inForm(form);
    if (isByHash) files[below(`${index.replace(/[^/]*$/, "")}by-hash/SHA256/${hashOf("SHA256", inForm(form))}`)] = inForm(form);
  }
  for (const [path, bytes] of Object.entries(options.more ?? {})) files[below(path)] = bytes;
  const roots = options.roots ?? ["InRelease", "Release", "Release.gpg"];
  if (roots.includes("Release")) files[below("Release")] = Buffer.from(release);
  if (roots.includes("Release.gpg")) files[below("Release.gpg")] = signDetached(Buffer.from(release));
  if (roots.includes("InRelease")) files[below("InRelease")] = signClear(release);
  return files;
}

function dateText(seconds: number): string {
  return new Date(seconds * 1000).toUTCString().replace("GMT", "+0000");
}

function hashOf(hash: string, bytes: Buffer): string {
  return createHash(hash.replace(/sum$/i, "").toLowerCase()).update(bytes).digest("hex");
}
