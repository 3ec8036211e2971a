import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { copyFixture, makeNoise } from "./fixture.ts";
import { mustRun, runTool } from "./run-tool.ts";
import { openSigningKey, signFile } from "./signing-key.ts";
import type { SigningKey } from "./signing-key.ts";

/** A signed apt repository on disk: suite `stable`, component `main`, by-hash, translations. */
export interface AptRepository {
  /** What an origin serves. */
  readonly folder: string;
  readonly key: SigningKey;
  /** Path below the folder of every package, `pool/…`. */
  paths(): string[];
  /** Adds (or replaces) a built package; a client sees it with the next generation. */
  add(deb: DebSpec): Promise<string>;
  /**
   * Writes a new generation over the pool as it is: indexes, Release, signatures, dated a minute after the last.
   * Superseded by-hash files stay, as on a real mirror.
   */
  publish(options?: { readonly validUntil?: Date }): Promise<void>;
}

/** A package to build. `bytes` of noise become `/usr/share/<name>/data`. */
export interface DebSpec {
  readonly name: string;
  readonly version: string;
  readonly bytes: number;
  readonly depends?: string;
  /** Other noise in a package of the same name, version and size. */
  readonly seed?: string;
}

/** Real, small packages without dependencies or scripts; most have a `+`, `~` or epoch in their version. */
const REAL_PACKAGES = [
  "node-yallist",
  "node-y18n",
  "node-wildemitter",
  "node-vary",
  "node-v8flags",
  "node-unorm",
  "node-ultron",
  "node-triple-beam",
  "node-trim-newlines",
  "node-through",
  "node-throttleit",
  "node-thenby",
  "node-strip-indent",
  "node-stream-shift",
  "node-stream-array",
  "node-safe-buffer",
  "node-retry",
  "node-prelude-ls",
  "node-pify",
  "node-osenv",
];

/** The package of several megabytes, and one that needs it. */
export const LARGE_DEB: DebSpec = { name: "mirror-test-large", version: "1:2.0+git~1-3", bytes: 6_000_000 };
export const SMALL_DEB: DebSpec = { name: "mirror-test-small++", version: "1.0~rc1-1", bytes: 20_000, depends: "mirror-test-large" };

const DATE_STEP_S = 60;
const INDEX_FOLDERS = { packages: "main/binary-amd64", translation: "main/i18n" };

/** A private copy of the repository, to serve and to change. */
export async function openAptRepository(): Promise<AptRepository> {
  const folder = await copyFixture("apt", [import.meta.url], buildFirst);
  return describeRepository(folder);
}

async function describeRepository(folder: string): Promise<AptRepository> {
  const key = await openSigningKey(join(folder, ".gnupg"));
  const repository: AptRepository = {
    folder,
    key,
    paths: () =>
      readdirSync(join(folder, "pool"), { recursive: true, encoding: "utf8" }).flatMap((name) =>
        name.endsWith(".deb") ? [`pool/${name}`] : [],
      ),
    add: (deb) => buildDeb(folder, deb),
    publish: (options = {}) => publish(folder, key, options.validUntil),
  };
  return repository;
}

async function buildFirst(folder: string): Promise<void> {
  const pool = join(folder, "pool/main/n");
  mkdirSync(pool, { recursive: true });
  // Where there is no archive to download from, packages of the same shape are built in their place.
  await runTool("apt-get", ["-qq", "-o", "APT::Sandbox::User=root", "download", ...REAL_PACKAGES], { cwd: pool });
  const found = readdirSync(pool);
  for (const name of REAL_PACKAGES) {
    if (!found.some((file) => file.startsWith(`${name}_`))) await buildDeb(folder, { name, version: "1.0+~1.0-1", bytes: 6000 });
  }
  await buildDeb(folder, LARGE_DEB);
  await buildDeb(folder, SMALL_DEB);
  const repository = await describeRepository(folder);
  await repository.publish();
}

/** Builds `deb` into the pool and gives its path below the folder. */
async function buildDeb(folder: string, deb: DebSpec): Promise<string> {
  const work = mkdtempSync(join(tmpdir(), "lazy-mirror-deb-"));
  const tree = join(work, "tree");
  mkdirSync(join(tree, "DEBIAN"), { recursive: true });
  mkdirSync(join(tree, "usr/share", deb.name), { recursive: true });
  writeFileSync(join(tree, "usr/share", deb.name, "data"), makeNoise(deb.seed ?? deb.name + deb.version, deb.bytes));
  const depends = deb.depends === undefined ? "" : `Depends: ${deb.depends}\n`;
  writeFileSync(
    join(tree, "DEBIAN/control"),
    `Package: ${deb.name}\nVersion: ${deb.version}\nArchitecture: all\nMaintainer: Mirror Test <test@example.com>\n${depends}Description: noise\n Noise of ${deb.bytes} bytes.\n`,
  );
  // Uncompressed, so that equal specs make equal sizes; the same date, so that equal specs make equal bytes.
  await mustRun("dpkg-deb", ["--build", "--root-owner-group", "-Znone", "tree", "made.deb"], {
    cwd: work,
    env: { SOURCE_DATE_EPOCH: "1700000000" },
  });
  const path = `pool/main/m/${deb.name}_${deb.version.replace(/^\d+:/, "")}_all.deb`;
  mkdirSync(join(folder, "pool/main/m"), { recursive: true });
  copyFileSync(join(work, "made.deb"), join(folder, path));
  rmSync(work, { recursive: true });
  return path;
}

async function publish(folder: string, key: SigningKey, validUntil: Date | undefined): Promise<void> {
  const suite = join(folder, "dists/stable");
  const release = join(suite, "Release");
  const seconds = existsSync(release) ? Math.floor(statSync(release).mtimeMs / 1000) + DATE_STEP_S : Math.floor(Date.now() / 1000) - 86_400;
  const draft = mkdtempSync(join(tmpdir(), "lazy-mirror-dists-"));
  const indexes = await writeIndexes(folder, draft);

  const options = {
    Origin: "Mirror Test",
    Suite: "stable",
    Codename: "stable",
    Architectures: "amd64 all",
    Components: "main",
    "Acquire-By-Hash": "yes",
    Date: new Date(seconds * 1000).toUTCString().replace("GMT", "+0000"),
    ...(validUntil === undefined ? {} : { "Valid-Until": validUntil.toUTCString().replace("GMT", "+0000") }),
  };
  const flags = Object.entries(options).flatMap(([name, value]) => ["-o", `APT::FTPArchive::Release::${name}=${value}`]);
  writeFileSync(join(draft, "Release"), await mustRun("apt-ftparchive", [...flags, "release", draft]));
  await signFile(key, "clear-sign", join(draft, "Release"), join(draft, "InRelease"));
  await signFile(key, "detach-sign", join(draft, "Release"), join(draft, "Release.gpg"));

  // Members first, roots last, each in one step: a reader under way never meets half a file.
  for (const path of [...indexes, "Release", "Release.gpg", "InRelease"]) {
    const target = join(suite, path);
    mkdirSync(join(target, ".."), { recursive: true });
    if (indexes.includes(path)) writeByHash(target, readFileSync(join(draft, path)));
    copyFileSync(join(draft, path), `${target}.new`);
    utimesSync(`${target}.new`, seconds, seconds);
    renameSync(`${target}.new`, target);
  }
  rmSync(draft, { recursive: true });
}

/** Writes the indexes into `draft` and gives their paths below it. */
async function writeIndexes(folder: string, draft: string): Promise<string[]> {
  const packages = await mustRun("apt-ftparchive", ["packages", "pool"], { cwd: folder });
  const translations = packages
    .split("\n\n")
    .filter((stanza) => stanza !== "")
    .map((stanza) => {
      const field = (name: string): string => new RegExp(`^${name}: (.*)$`, "m").exec(stanza)?.[1] ?? "";
      const md5 = createHash("md5")
        .update(`${field("Description")}\n`)
        .digest("hex");
      return `Package: ${field("Package")}\nDescription-md5: ${field("Description-md5") || md5}\nDescription-en: ${field("Description")}\n`;
    });
  const plain = [
    [`${INDEX_FOLDERS.packages}/Packages`, packages],
    [`${INDEX_FOLDERS.translation}/Translation-en`, translations.join("\n")],
  ] as const;
  for (const [path, text] of plain) {
    mkdirSync(join(draft, path, ".."), { recursive: true });
    writeFileSync(join(draft, path), text);
    writeFileSync(join(draft, `${path}.gz`), gzipSync(text));
    await mustRun("xz", ["--keep", join(draft, path)]);
  }
  return plain.flatMap(([path]) => [path, `${path}.gz`, `${path}.xz`]);
}

function writeByHash(index: string, bytes: Buffer): void {
  for (const [name, algorithm] of [
    ["SHA256", "sha256"],
    ["SHA512", "sha512"],
    ["MD5Sum", "md5"],
  ] as const) {
    const folder = join(index, "..", "by-hash", name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, createHash(algorithm).update(bytes).digest("hex")), bytes);
  }
}
