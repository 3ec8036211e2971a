import { createHash } from "node:crypto";
import { craftRpm } from "../crafted-rpm.ts";
import { makeNoise } from "../fixture.ts";
import { type Form, pack } from "./compress.ts";
import type { Files } from "./deb-archive.ts";
import { signDetached } from "./openpgp.ts";

/** A package as primary.xml names it. */
export interface RpmEntry {
  readonly name: string;
  readonly version: string;
  /** `location href`, as it stands there. */
  readonly href: string;
  /** `xml:base` of the location. */
  readonly base?: string;
  readonly bytes: Buffer;
}

export type RpmHash = "sha256" | "sha512" | "sha" | "md5" | "sha1" | "sha384";

/** A well-formed rpm that is like no other; equal `size` of payload makes equal files. */
export function rpm(
  name: string,
  seed: string,
  options: { readonly version?: string; readonly href: string; readonly base?: string; readonly size?: number },
): RpmEntry {
  const { bytes } = craftRpm({ payload: makeNoise(seed, options.size ?? 12_000), format: "v4" });
  const base = options.base === undefined ? {} : { base: options.base };
  return { name, version: options.version ?? "1.0", href: options.href, ...base, bytes: Buffer.from(bytes) };
}

/** The text of primary.xml. */
function primaryText(entries: readonly RpmEntry[], hash: RpmHash = "sha256"): string {
  const items = entries.map(({ name, version, href, base, bytes }) => {
    const location = `<location ${base === undefined ? "" : `xml:base="${base}" `}href="${href}"/>`;
    const provides = `<rpm:provides><rpm:entry name="${name}" flags="EQ" epoch="0" ver="${version}" rel="1"/></rpm:provides>`;
    return `<package type="rpm"><name>${name}</name><arch>noarch</arch><version epoch="0" ver="${version}" rel="1"/>
<checksum type="${hash}" pkgid="YES">${hashOf(hash, bytes)}</checksum><summary>noise</summary><description>noise</description><packager></packager><url></url>
<time file="1700000000" build="1700000000"/><size package="${bytes.length}" installed="1" archive="1"/>${location}
<format><rpm:license>MIT</rpm:license><rpm:group></rpm:group><rpm:sourcerpm></rpm:sourcerpm><rpm:header-range start="1" end="2"/>${provides}</format></package>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="${items.length}">
${items.join("\n")}
</metadata>\n`;
}

function filelistsText(entries: readonly RpmEntry[], kind: "filelists" | "other"): string {
  const items = entries.map(
    ({ name, version, bytes }) =>
      `<package pkgid="${hashOf("sha256", bytes)}" name="${name}" arch="noarch"><version epoch="0" ver="${version}" rel="1"/></package>`,
  );
  return `<?xml version="1.0" encoding="UTF-8"?>
<${kind} xmlns="http://linux.duke.edu/metadata/${kind}" packages="${items.length}">
${items.join("\n")}
</${kind}>\n`;
}

export interface RpmMdOptions {
  /** Of the repository, without slash at its end; empty: the top. */
  readonly folder?: string;
  /** Unix seconds; grows with each generation. */
  readonly revision: number;
  readonly entries: readonly RpmEntry[];
  /** Of primary and filelists; default `.gz`. */
  readonly form?: Form;
  /** Of packages, in primary. */
  readonly hash?: RpmHash;
  /** Of members, in repomd.xml. */
  readonly memberHash?: RpmHash;
  /** `primary.xml.gz` rather than `<digest>-primary.xml.gz`. */
  readonly isPlain?: boolean;
  /** Further members, named by type; `isThere` false: named only. */
  readonly more?: Readonly<
    Record<string, { readonly bytes: Buffer; readonly name: string; readonly isThere?: boolean; readonly served?: Buffer }>
  >;
  readonly isSigned?: boolean;
  /** How members are packed, in place of the usual way. */
  readonly packAs?: (form: Form, bytes: Buffer) => Buffer;
  /** Applied to primary.xml before it is packed. */
  readonly bendPrimary?: (text: string) => string;
  /** Applied to repomd.xml at last. */
  readonly bend?: (text: string) => string;
}

/** All files of one rpm-md repository. */
export function rpmMd(options: RpmMdOptions): Files {
  const { folder = "", revision, entries, form = ".gz", hash = "sha256", memberHash = "sha256" } = options;
  const top = folder === "" ? "" : `${folder}/`;
  const files: Record<string, Buffer> = {};
  const data: string[] = [];
  const add = (type: string, name: string, bytes: Buffer, open: Buffer | undefined, served: Buffer | undefined): void => {
    const href = `repodata/${options.isPlain === true ? "" : `${hashOf(memberHash, bytes)}-`}${name}`;
    const openPart =
      open === undefined
        ? ""
        : `<open-checksum type="${memberHash}">${hashOf(memberHash, open)}</open-checksum><open-size>${open.length}</open-size>`;
    data.push(`  <data type="${type}">
    <checksum type="${memberHash}">${hashOf(memberHash, bytes)}</checksum>${openPart}
    <location href="${href}"/><timestamp>${revision}</timestamp><size>${bytes.length}</size>
  </data>`);
    if (served !== undefined) files[top + href] = served;
  };
  for (const [type, text] of [
    ["primary", (options.bendPrimary ?? ((all) => all))(primaryText(entries, hash))],
    ["filelists", filelistsText(entries, "filelists")],
    ["other", filelistsText(entries, "other")],
  ] as const) {
    const open = Buffer.from(text);
    const bytes = (options.packAs ?? pack)(form, open);
    const more = options.more?.[type];
    add(type, `${type}.xml${form}`, bytes, open, more === undefined ? bytes : more.isThere === false ? undefined : (more.served ?? bytes));
  }
  for (const [type, member] of Object.entries(options.more ?? {})) {
    if (["primary", "filelists", "other"].includes(type)) continue;
    add(type, member.name, member.bytes, undefined, member.isThere === false ? undefined : (member.served ?? member.bytes));
  }
  for (const { href, base, bytes } of entries) {
    if (base !== undefined) continue;
    files[resolve(top, href)] = bytes;
  }
  const text = `<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
  <revision>${revision}</revision>
${data.join("\n")}
</repomd>\n`;
  const root = Buffer.from((options.bend ?? ((all) => all))(text));
  files[`${top}repodata/repomd.xml`] = root;
  if (options.isSigned === true) files[`${top}repodata/repomd.xml.asc`] = signDetached(root);
  return files;
}

/** Where `href` leads from the folder `top`: a path without a slash before it. */
function resolve(top: string, href: string): string {
  return decodeURI(new URL(href, `http://any/${top}`).pathname.slice(1));
}

function hashOf(hash: RpmHash, bytes: Buffer): string {
  return createHash(hash === "sha" ? "sha1" : hash)
    .update(bytes)
    .digest("hex");
}
