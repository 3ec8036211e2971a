import { gzipSync } from "node:zlib";
import type { Random } from "./random.ts";
import { clearsign, sha256, sign } from "./signatures.ts";

/** The sorts of repositories, by what their clients read first. */
export const KINDS = ["rpm-md", "rpm-md-plain-names", "apt", "apt-detached", "apt-flat", "apt-no-release", "pacman", "files"] as const;
export type Kind = (typeof KINDS)[number];

/** What a repository publishes in one step: all of its files, by path below the mirror. */
export interface Publication {
  readonly number: number;
  /** Unix seconds. */
  readonly date: number;
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** The file from which clients learn the others, in each of its forms. */
  readonly roots: readonly string[];
  readonly signatures: readonly string[];
  readonly indexes: readonly string[];
  readonly packages: readonly string[];
  /** Whether the root names a file of this sort that never was there. */
  isLacking(sort: string): boolean;
}

export interface PublishOptions {
  readonly kind: Kind;
  readonly number: number;
  readonly date: number;
  readonly isSigned: boolean;
  /** Packages by name, with the bytes of each; those of a rebuilt one differ under the same name. */
  readonly packages: ReadonlyMap<string, Uint8Array>;
  /** Named by the root, and not among the files: they never existed. */
  readonly holes: readonly string[];
}

/** Not a Buffer, whose `slice` shares its memory: the streams would take it away. */
const text = (content: string): Uint8Array => new TextEncoder().encode(content);
const pack = (content: string | Uint8Array): Uint8Array => new Uint8Array(gzipSync(content));

/** Bytes that no other history has: content is shared by digest. Large ones are stored in slices. */
export function packageBytes(random: Random, name: string): Uint8Array {
  return new Uint8Array(Buffer.concat([text(`${name}\n`), random.bytes(random.pick([300, 2_000, 9_000, 90_000]))]));
}

export function publish(options: PublishOptions): Publication {
  const made = BUILDERS[options.kind](options);
  for (const hole of options.holes) for (const path of made.files.keys()) if (path.includes(hole)) made.files.delete(path);
  const isLacking = (sort: string) => options.holes.some((hole) => hole.includes(sort));
  return { signatures: [], ...made, number: options.number, date: options.date, isLacking };
}

type Made = Omit<Publication, "number" | "date" | "files" | "signatures" | "isLacking"> & {
  files: Map<string, Uint8Array>;
  signatures?: readonly string[];
};

const BUILDERS: Readonly<Record<Kind, (options: PublishOptions) => Made>> = {
  "rpm-md": (options) => rpmMd(options, (digest, name) => `${digest}-${name}`),
  "rpm-md-plain-names": (options) => rpmMd(options, (_digest, name) => name),
  apt: (options) => apt(options, "dists/stable/", true),
  "apt-detached": (options) => apt(options, "dists/stable/", false),
  "apt-flat": (options) => apt(options, "./", true),
  "apt-no-release": (options) => {
    const index = packagesIndex(options, "");
    const files = new Map([["Packages.gz", pack(index)], ...options.packages]);
    return { files, roots: ["Packages.gz"], indexes: [], packages: [...options.packages.keys()] };
  },
  pacman(options) {
    const database = pack(
      tar(
        [...options.packages].map(([name, bytes]) => [
          `${name.replace(/\.pkg\.tar$/, "")}/desc`,
          `%FILENAME%\n${name}\n\n%CSIZE%\n${bytes.length}\n\n%SHA256SUM%\n${sha256(bytes)}\n`,
        ]),
        options.date,
      ),
    );
    const files = new Map([["core.db", database], ...options.packages]);
    if (options.isSigned) files.set("core.db.sig", sign(database, options.date));
    const packages = [...options.packages.keys()];
    return { files, roots: ["core.db"], signatures: options.isSigned ? ["core.db.sig"] : [], indexes: [], packages };
  },
  files({ number, packages }) {
    const names = [...packages.keys()];
    const list = text(`${number}\n${names.map((name) => `${sha256(packages.get(name) as Uint8Array)}  ${name}`).join("\n")}\n`);
    return { files: new Map([["latest.txt", list], ...packages]), roots: ["latest.txt"], indexes: [], packages: names };
  },
};

function rpmMd({ packages, number, date, isSigned }: PublishOptions, nameOf: (digest: string, name: string) => string): Made {
  const entries = [...packages].map(
    ([path, bytes]) =>
      `<package type="rpm"><name>${path}</name><arch>noarch</arch><version epoch="0" ver="${number}" rel="1"/>` +
      `<checksum type="sha256" pkgid="YES">${sha256(bytes)}</checksum><size package="${bytes.length}" installed="1" archive="1"/><location href="${path}"/></package>`,
  );
  const types = ["primary", "filelists", "other", "productid"];
  const files = new Map(packages);
  const indexes: string[] = [];
  const data = types.map((type) => {
    const open = `<?xml version="1.0"?>\n<metadata xmlns="http://linux.duke.edu/metadata/common" packages="${entries.length}">${type === "primary" ? entries.join("\n") : `<!-- ${type} ${number} ${date} ${entries.length} -->`}</metadata>`;
    const packed = pack(open);
    const path = `repodata/${nameOf(sha256(packed), `${type}.xml.gz`)}`;
    files.set(path, packed);
    indexes.push(path);
    return (
      `<data type="${type}"><checksum type="sha256">${sha256(packed)}</checksum><location href="${path}"/>` +
      `<timestamp>${date}</timestamp><size>${packed.length}</size><open-checksum type="sha256">${sha256(text(open))}</open-checksum></data>`
    );
  });
  const repomd = text(
    `<?xml version="1.0"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>${date}</revision>${data.join("\n")}</repomd>\n`,
  );
  files.set("repodata/repomd.xml", repomd);
  if (isSigned) files.set("repodata/repomd.xml.asc", sign(repomd, date));
  return {
    files,
    roots: ["repodata/repomd.xml"],
    signatures: isSigned ? ["repodata/repomd.xml.asc"] : [],
    indexes,
    packages: [...packages.keys()],
  };
}

function packagesIndex({ packages, number }: PublishOptions, prefix: string): string {
  return [...packages]
    .map(
      ([path, bytes]) =>
        `Package: ${path.replace(/.*\//, "").replace(/_.*/, "")}\nVersion: ${number}\nArchitecture: all\n` +
        `Filename: ${prefix}${path}\nSize: ${bytes.length}\nSHA256: ${sha256(bytes)}\n`,
    )
    .join("\n");
}

function apt(options: PublishOptions, folder: string, isInline: boolean): Made {
  const base = folder === "./" ? "" : folder;
  const sub = folder === "./" ? "" : "main/binary-amd64/";
  const files = new Map(options.packages);
  const index = packagesIndex(options, folder === "./" ? "./" : "");
  const named: (readonly [string, Uint8Array])[] = [
    [`${sub}Packages`, text(index)],
    [`${sub}Packages.gz`, pack(index)],
    ...(base === "" ? [] : [[`main/i18n/Translation-en.gz`, pack(`Translation ${options.number} ${options.date}`)] as const]),
  ];
  const lines = named.map(([path, bytes]) => ` ${sha256(bytes)} ${bytes.length} ${path}`);
  const release = `Origin: chaos\nSuite: stable\nDate: ${new Date(options.date * 1000).toUTCString()}\nArchitectures: amd64\nComponents: main\nSHA256:\n${lines.join("\n")}\n`;
  // As Debian does it: the plain index is named, and never there.
  for (const [path, bytes] of named.slice(1)) files.set(base + path, bytes);
  files.set(`${base}Release`, text(release));
  if (isInline) files.set(`${base}InRelease`, clearsign(release, options.date));
  if (options.isSigned || !isInline) files.set(`${base}Release.gpg`, sign(text(release), options.date));
  return {
    files,
    roots: [`${base}Release`, ...(isInline ? [`${base}InRelease`] : [])],
    signatures: files.has(`${base}Release.gpg`) ? [`${base}Release.gpg`] : [],
    indexes: named.slice(1).map(([path]) => base + path),
    packages: [...options.packages.keys()],
  };
}

/** A tar archive in ustar format of short text files. */
function tar(entries: readonly (readonly [string, string])[], date: number): Uint8Array {
  const blocks = entries.flatMap(([name, content]) => {
    const body = Buffer.from(content);
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write(`0000644\0${"0000000\0".repeat(2)}`, 100);
    header.write(`${body.length.toString(8).padStart(11, "0")}\0${date.toString(8).padStart(11, "0")}\0        0`, 124);
    header.write(`ustar\0${"0".repeat(2)}`, 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    return [header, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}
