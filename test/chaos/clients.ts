import { gunzipSync } from "node:zlib";
import type { Got } from "./mirror.ts";
import type { Kind } from "./publications.ts";
import { isSignedBy, openClearsigned, sha256 } from "./signatures.ts";

/** How a client asks for one path, at an upstream itself or through the mirror. */
export type AskPath = (path: string) => Promise<Got>;

export interface ClientOptions {
  readonly kind: Kind;
  /** Refuses a root without a good signature. */
  readonly checksSignatures: boolean;
  readonly usesFilelists: boolean;
}

/** What became of one installation. */
export type Installed =
  /** Everything was there, and as its digests say; `root`: SHA-256 of the root's bytes. */
  | { readonly ok: true; readonly root: string; readonly hasRoot: true; readonly steps: readonly string[] }
  | {
      readonly ok: false;
      readonly why: string;
      readonly hasRoot: boolean;
      readonly root: string | null;
      readonly steps: readonly string[];
    };

interface Named {
  readonly path: string;
  readonly sha256: string;
  readonly size?: number;
}

/** Ends an installation: the client gives up here. */
class Refusal extends Error {}

/** Does what dnf, apt and pacman do: root, signature, indexes, packages, and checks each by what named it. */
export async function install(ask: AskPath, options: ClientOptions): Promise<Installed> {
  const steps: string[] = [];
  /** SHA-256 of the first file that was there: clients begin with the root. */
  let first: string | null = null;

  async function get(path: string): Promise<Uint8Array | null> {
    const got = await ask(path);
    steps.push(
      `${path}: ${got.status}, ${got.body.length} bytes${got.cut === null ? "" : `, cut (${got.cut})`}${got.status >= 500 ? ` ${new TextDecoder().decode(got.body).trim()}` : ""}`,
    );
    if (got.cut !== null) throw new Refusal(`${path} was cut`);
    if (got.status === 200) first ??= sha256(got.body);
    if (got.status === 200) return decode(got, path);
    if (got.status === 404 || got.status === 410 || got.status === 403 || got.status === 401) return null;
    throw new Refusal(`${path}: ${got.status}`);
  }

  async function need(path: string): Promise<Uint8Array> {
    const bytes = await get(path);
    if (bytes === null) throw new Refusal(`${path} is not there`);
    return bytes;
  }

  async function check({ path, sha256: digest, size }: Named): Promise<Uint8Array> {
    const bytes = await need(path);
    if (sha256(bytes) !== digest || (size !== undefined && bytes.length !== size)) throw new Refusal(`${path} has other bytes than named`);
    return bytes;
  }

  try {
    const { root, packages } = await CLIENTS[options.kind]({ get, need, check }, options);
    for (const named of packages) await check(named);
    return { ok: true, root: sha256(root), hasRoot: true, steps };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { ok: false, why: error.message, hasRoot: first !== null, root: first, steps };
  }
}

/** No client asks for an encoding: one that comes all the same is a label (of a .gz), or makes the file unreadable. */
function decode({ body, headers }: Got, path: string): Uint8Array {
  const encoding = headers.get("content-encoding");
  if (encoding === null || encoding === "identity" || path.endsWith(".gz")) return body;
  throw new Refusal(`${path} came ${encoding}-encoded`);
}

interface Steps {
  /** Null: absent. */
  get(path: string): Promise<Uint8Array | null>;
  need(path: string): Promise<Uint8Array>;
  check(named: Named): Promise<Uint8Array>;
}

type Read = (steps: Steps, options: ClientOptions) => Promise<{ readonly root: Uint8Array; readonly packages: readonly Named[] }>;

const CLIENTS: Readonly<Record<Kind, Read>> = {
  "rpm-md": readRpmMd,
  "rpm-md-plain-names": readRpmMd,
  apt: (steps, options) => readApt(steps, options, "dists/stable/", "main/binary-amd64/"),
  "apt-detached": (steps, options) => readApt(steps, options, "dists/stable/", "main/binary-amd64/"),
  "apt-flat": (steps, options) => readApt(steps, options, "", ""),
  async "apt-no-release"({ get, need }) {
    for (const root of ["InRelease", "Release"]) if ((await get(root)) !== null) throw new Refusal(`${root} is there`);
    const root = await need("Packages.gz");
    return { root, packages: parsePackages(gunzip(root, "Packages.gz")) };
  },
  async pacman({ get, need }, { checksSignatures }) {
    const root = await need("core.db");
    const signature = await get("core.db.sig");
    if (checksSignatures && (signature === null || !isSignedBy(root, signature))) throw new Refusal("core.db has no good signature");
    const database = gunzip(root, "core.db");
    const named = [...database.matchAll(/%FILENAME%\n(.*)\n\n%CSIZE%\n(\d+)\n\n%SHA256SUM%\n([0-9a-f]{64})\n/g)];
    return { root, packages: named.map(([, path = "", size, digest = ""]) => ({ path, size: Number(size), sha256: digest })) };
  },
  async files({ need }) {
    const root = await need("latest.txt");
    const [, ...lines] = text(root).trim().split("\n");
    return { root, packages: lines.map((line) => ({ sha256: line.slice(0, 64), path: line.slice(66) })) };
  },
};

async function readRpmMd({ get, need, check }: Steps, { checksSignatures, usesFilelists }: ClientOptions) {
  const root = await need("repodata/repomd.xml");
  if (checksSignatures) {
    const signature = await get("repodata/repomd.xml.asc");
    if (signature === null || !isSignedBy(root, signature)) throw new Refusal("repomd.xml has no good signature");
  }
  const named = new Map(
    [...text(root).matchAll(/<data type="(\w+)"><checksum type="sha256">([0-9a-f]{64})<\/checksum><location href="([^"]+)"/g)].map(
      ([, type = "", digest = "", path = ""]) => [type, { path, sha256: digest }] as const,
    ),
  );
  const primary = named.get("primary");
  const filelists = named.get("filelists");
  if (primary === undefined || filelists === undefined) throw new Refusal("repomd.xml names no primary");
  const index = gunzip(await check(primary), primary.path);
  if (usesFilelists) await check(filelists);
  const packages = [...index.matchAll(/pkgid="YES">([0-9a-f]{64})<\/checksum><size package="(\d+)"[^>]*\/><location href="([^"]+)"/g)];
  return { root, packages: packages.map(([, digest = "", size, path = ""]) => ({ path, size: Number(size), sha256: digest })) };
}

async function readApt({ get, need, check }: Steps, { checksSignatures }: ClientOptions, base: string, folder: string) {
  const inline = await get(`${base}InRelease`);
  const root = inline ?? (await need(`${base}Release`));
  const opened = inline === null ? null : openClearsigned(inline);
  if (checksSignatures && inline !== null && opened === null) throw new Refusal("InRelease has no good signature");
  if (inline === null && checksSignatures) {
    const signature = await get(`${base}Release.gpg`);
    if (signature === null || !isSignedBy(root, signature)) throw new Refusal("Release has no good signature");
  }
  const release = opened ?? text(root);
  // Acquire::Max-FutureTime: apt refuses what is not valid yet.
  if (Date.parse(/^Date: (.*)$/m.exec(release)?.[1] ?? "") > Date.now() + 10_000) throw new Refusal("Release is not valid yet");
  const named = [...release.matchAll(/^ ([0-9a-f]{64}) (\d+) (\S+)$/gm)];
  const index = named.find(([, , , path]) => path === `${folder}Packages.gz`);
  if (index === undefined) throw new Refusal("Release names no Packages.gz");
  const [, digest = "", size] = index;
  const packed = await check({ path: `${base}${folder}Packages.gz`, sha256: digest, size: Number(size) });
  return { root, packages: parsePackages(gunzip(packed, "Packages.gz")) };
}

function parsePackages(index: string): readonly Named[] {
  const entries = [...index.matchAll(/^Filename: (?:\.\/)?(.*)\nSize: (\d+)\nSHA256: ([0-9a-f]{64})$/gm)];
  return entries.map(([, path = "", size, digest = ""]) => ({ path, size: Number(size), sha256: digest }));
}

function gunzip(bytes: Uint8Array, path: string): string {
  try {
    return text(gunzipSync(bytes));
  } catch {
    throw new Refusal(`${path} is no gzip`);
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
