import { cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { copyFixture, makeNoise } from "./fixture.ts";
import { mustRun } from "./run-tool.ts";
import { openSigningKey, signFile, stopAgent } from "./signing-key.ts";
import type { SigningKey } from "./signing-key.ts";

/** A signed rpm-md repository on disk, with `repomd.xml.asc` and `repomd.xml.key`. */
export interface RpmRepository {
  readonly folder: string;
  readonly key: SigningKey;
  /** Path below the folder of every package, `Packages/…`. */
  paths(): string[];
  /** Builds and signs (or replaces) a package; a client sees it with the next generation. */
  add(rpm: RpmSpec): Promise<string>;
  /** Signs a package again: other bytes, equal size and inner digests, and the date kept. */
  resign(path: string): Promise<void>;
  /** Writes a new generation over the packages as they are, dated a minute after the last. What it supersedes is gone. */
  publish(options?: PublishOptions): Promise<void>;
}

export interface PublishOptions {
  /** `primary.xml.gz` rather than `<digest>-primary.xml.gz`. */
  readonly simpleNames?: boolean;
  /** Adds the zchunk form of each index. */
  readonly zchunk?: boolean;
}

/** A package to build. `bytes` of noise become `/usr/share/<name>/data`. */
export interface RpmSpec {
  readonly name: string;
  readonly version: string;
  readonly bytes: number;
  readonly requires?: string;
  readonly seed?: string;
}

/** The package of several megabytes, and one that needs it. */
export const LARGE_RPM: RpmSpec = { name: "mirror-test-large", version: "2.0^git1", bytes: 6_000_000 };
const SMALL_RPM: RpmSpec = { name: "mirror-test-small++", version: "1.0~rc1", bytes: 20_000, requires: "mirror-test-large" };
const TINY_RPMS: readonly RpmSpec[] = ["a", "b", "c", "d", "e"].map((letter) => ({
  name: `mirror-test-${letter}`,
  version: "1.0",
  bytes: 3000,
}));

const DATE_STEP_S = 60;

/** A private copy of the repository, to serve and to change. */
export async function openRpmRepository(): Promise<RpmRepository> {
  const folder = await copyFixture("rpm", [import.meta.url], async (draft) => {
    const repository = await describeRepository(draft);
    for (const rpm of [LARGE_RPM, SMALL_RPM, ...TINY_RPMS]) await repository.add(rpm);
    await repository.publish();
  });
  return describeRepository(folder);
}

async function describeRepository(folder: string): Promise<RpmRepository> {
  const key = await openSigningKey(join(folder, ".gnupg"));
  return {
    folder,
    key,
    paths: () =>
      readdirSync(join(folder, "Packages"), { recursive: true, encoding: "utf8" }).flatMap((name) =>
        name.endsWith(".rpm") ? [`Packages/${name}`] : [],
      ),
    add: (rpm) => buildRpm(folder, key, rpm),
    async resign(path) {
      const { mtimeMs } = statSync(join(folder, path));
      // rpmsign leaves a signature of the same key alone.
      await mustRun("rpmsign", ["--delsign", join(folder, path)]);
      await signRpm(key, join(folder, path));
      utimesSync(join(folder, path), mtimeMs / 1000, mtimeMs / 1000);
    },
    publish: (options = {}) => publish(folder, key, options),
  };
}

async function buildRpm(folder: string, key: SigningKey, rpm: RpmSpec): Promise<string> {
  const work = mkdtempSync(join(tmpdir(), "lazy-mirror-rpm-"));
  writeFileSync(join(work, "data"), makeNoise(rpm.seed ?? rpm.name + rpm.version, rpm.bytes));
  const spec = [
    `Name: ${rpm.name}`,
    `Version: ${rpm.version}`,
    "Release: 1",
    "Summary: Noise",
    "License: MIT",
    "BuildArch: noarch",
    "AutoReqProv: no",
    ...(rpm.requires === undefined ? [] : [`Requires: ${rpm.requires}`]),
    "%description",
    "Noise.",
    "%install",
    `install -D -m 644 ${work}/data %{buildroot}/usr/share/${rpm.name}/data`,
    "%files",
    `/usr/share/${rpm.name}/data`,
  ];
  writeFileSync(join(work, "noise.spec"), `${spec.join("\n")}\n`);
  // Stored, not compressed: a flipped byte then reaches every client that checks nothing.
  const defines = [`_topdir ${work}`, `_dbpath ${work}/db`, "_binary_payload w0.gzdio", "_build_id_links none"];
  await mustRun("rpmbuild", ["-bb", ...defines.flatMap((define) => ["--define", define]), "noise.spec"], { cwd: work });
  const [made = ""] = readdirSync(join(work, "RPMS/noarch"));
  const target = join(folder, "Packages", rpm.name.slice(0, 1), made);
  mkdirSync(join(target, ".."), { recursive: true });
  await signRpm(key, join(work, "RPMS/noarch", made));
  cpSync(join(work, "RPMS/noarch", made), target);
  rmSync(work, { recursive: true });
  return `Packages/${rpm.name.slice(0, 1)}/${made}`;
}

async function signRpm(key: SigningKey, file: string): Promise<void> {
  const defines = ["__gpg /usr/bin/gpg", `_gpg_name ${key.fingerprint}`, `_gpg_path ${key.home}`];
  await mustRun("rpmsign", [...defines.flatMap((define) => ["--define", define]), "--resign", file], { env: { GNUPGHOME: key.home } });
  await stopAgent(key.home);
}

async function publish(folder: string, key: SigningKey, options: PublishOptions): Promise<void> {
  const repodata = join(folder, "repodata");
  const before = statSync(join(repodata, "repomd.xml"), { throwIfNoEntry: false });
  const seconds = before === undefined ? Math.floor(Date.now() / 1000) - 86_400 : Math.floor(before.mtimeMs / 1000) + DATE_STEP_S;
  const draft = mkdtempSync(join(tmpdir(), "lazy-mirror-repodata-"));
  const flags = [
    options.simpleNames === true ? "--simple-md-filenames" : "--unique-md-filenames",
    ...(options.zchunk === true ? ["--zck"] : []),
    "--set-timestamp-to-revision",
    `--revision=${seconds}`,
    "--no-database",
    "--quiet",
    `--outputdir=${draft}`,
  ];
  await mustRun("createrepo_c", [...flags, folder]);
  const made = join(draft, "repodata");
  await signFile(key, "detach-sign", join(made, "repomd.xml"), join(made, "repomd.xml.asc"));
  cpSync(key.publicKeyFile, join(made, "repomd.xml.key"));
  for (const name of readdirSync(made)) utimesSync(join(made, name), seconds, seconds);
  cpSync(made, `${repodata}.new`, { recursive: true, preserveTimestamps: true });
  rmSync(repodata, { recursive: true, force: true });
  renameSync(`${repodata}.new`, repodata);
  rmSync(draft, { recursive: true });
}
