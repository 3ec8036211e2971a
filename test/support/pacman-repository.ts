import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { copyFixture, makeNoise, sha256 } from "./fixture.ts";
import { mustRun } from "./run-tool.ts";

/** A pacman repository on disk, `core/os/x86_64/core.db` and packages; unsigned, with SHA-256 in the database. */
export interface PacmanRepository {
  readonly folder: string;
  /** Path below the folder of every package. */
  paths(): string[];
  /** Builds (or replaces) a package; a client sees it with the next generation. */
  add(spec: PacmanSpec): Promise<string>;
  /** Writes a new database over the packages as they are, dated a minute after the last. */
  publish(): Promise<void>;
}

/** A package to build. `bytes` of noise become `/usr/share/<name>/data`. */
export interface PacmanSpec {
  readonly name: string;
  readonly version: string;
  readonly bytes: number;
  readonly depends?: string;
  readonly seed?: string;
}

/** The package of several megabytes, and one that needs it. */
export const LARGE_PACMAN: PacmanSpec = { name: "mirror-test-large", version: "1:2.0+git1-1", bytes: 6_000_000 };
const SMALL_PACMAN: PacmanSpec = { name: "mirror-test-small++", version: "1.0-1", bytes: 20_000, depends: "mirror-test-large" };
const TINY: PacmanSpec = { name: "mirror-test-a", version: "1.0-1", bytes: 3000 };

const REPOSITORY = "core/os/x86_64";
const DATE_STEP_S = 60;

/** A private copy of the repository, to serve and to change. */
export async function openPacmanRepository(): Promise<PacmanRepository> {
  const folder = await copyFixture("pacman", [import.meta.url], async (draft) => {
    const repository = describeRepository(draft);
    for (const spec of [LARGE_PACMAN, SMALL_PACMAN, TINY]) await repository.add(spec);
    await repository.publish();
  });
  return describeRepository(folder);
}

function describeRepository(folder: string): PacmanRepository {
  const repository = join(folder, REPOSITORY);
  const paths = (): string[] => readdirSync(repository).flatMap((name) => (name.endsWith(".pkg.tar.zst") ? [`${REPOSITORY}/${name}`] : []));
  return { folder, paths, add: (spec) => buildPackage(folder, spec), publish: () => publish(repository, paths()) };
}

async function buildPackage(folder: string, spec: PacmanSpec): Promise<string> {
  const work = mkdtempSync(join(tmpdir(), "lazy-mirror-pkg-"));
  mkdirSync(join(work, "usr/share", spec.name), { recursive: true });
  writeFileSync(join(work, "usr/share", spec.name, "data"), makeNoise(spec.seed ?? spec.name + spec.version, spec.bytes));
  const info = {
    pkgname: spec.name,
    pkgbase: spec.name,
    pkgver: spec.version,
    pkgdesc: "Noise",
    url: "https://example.com/",
    builddate: "1700000000",
    packager: "Mirror Test <test@example.com>",
    size: String(spec.bytes),
    arch: "any",
    license: "MIT",
    ...(spec.depends === undefined ? {} : { depend: spec.depends }),
  };
  const lines = Object.entries(info).map(([name, value]) => `${name} = ${value}\n`);
  writeFileSync(join(work, ".PKGINFO"), lines.join(""));
  const path = `${REPOSITORY}/${spec.name}-${spec.version}-any.pkg.tar.zst`;
  mkdirSync(join(folder, REPOSITORY), { recursive: true });
  const flags = ["--zstd", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@1700000000", "--sort=name"];
  await mustRun("tar", [...flags, "-cf", join(folder, path), ".PKGINFO", "usr"], { cwd: work });
  rmSync(work, { recursive: true });
  return path;
}

/** Database field ← .PKGINFO field. */
const FIELDS = {
  NAME: "pkgname",
  VERSION: "pkgver",
  DESC: "pkgdesc",
  ISIZE: "size",
  ARCH: "arch",
  BUILDDATE: "builddate",
  DEPENDS: "depend",
};

async function publish(repository: string, paths: readonly string[]): Promise<void> {
  const before = statSync(join(repository, "core.db"), { throwIfNoEntry: false });
  const seconds = before === undefined ? Math.floor(Date.now() / 1000) - 86_400 : Math.floor(before.mtimeMs / 1000) + DATE_STEP_S;
  const draft = mkdtempSync(join(tmpdir(), "lazy-mirror-db-"));
  for (const path of paths) {
    const file = join(repository, basename(path));
    const info = new Map(
      (await mustRun("tar", ["-xOf", file, ".PKGINFO"])).split("\n").map((line) => line.split(" = ", 2) as [string, string]),
    );
    const entry = join(draft, `${info.get("pkgname")}-${info.get("pkgver")}`);
    const copied = Object.entries(FIELDS).flatMap(([field, name]) => (info.has(name) ? [[field, info.get(name)]] : []));
    const fields = [["FILENAME", basename(path)], ["CSIZE", statSync(file).size], ["SHA256SUM", sha256(file)], ...copied];
    mkdirSync(entry);
    writeFileSync(join(entry, "desc"), fields.map(([field, value]) => `%${field}%\n${value}\n\n`).join(""));
    writeFileSync(join(entry, "files"), `%FILES%\n${await mustRun("tar", ["-tf", file, "usr"])}\n`);
  }
  for (const name of ["core.files", "core.db"]) {
    const without = name === "core.db" ? ["--exclude=files"] : [];
    await mustRun("tar", ["--gzip", ...without, "-cf", join(repository, `${name}.new`), ...readdirSync(draft)], { cwd: draft });
    utimesSync(join(repository, `${name}.new`), seconds, seconds);
    renameSync(join(repository, `${name}.new`), join(repository, name));
  }
  rmSync(draft, { recursive: true });
}
