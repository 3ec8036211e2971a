import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { copyFixture, makeNoise } from "./fixture.ts";
import { mustRun } from "./run-tool.ts";
import { openSigningKey, stopAgent } from "./signing-key.ts";

/** A file and the name that it has in a repository. */
export interface SamplePackage {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What `buildRpm` needs. */
export const RPM_TOOLS = ["rpmbuild", "rpmsign", "gpg"] as const;

const RPM_SPEC = `Name: sample
Version: 1.0
Release: 1
Summary: A sample
License: MIT
BuildArch: noarch
%description
A sample.
%install
install -D -m 644 %{_topdir}/data %{buildroot}/usr/share/sample/data
%files
/usr/share/sample/data
`;
const DEB_CONTROL = "Package: sample\nVersion: 1.0+b1\nArchitecture: all\nMaintainer: Nobody <nobody@example.com>\nDescription: A sample\n";

/** A small noarch rpm (v4) with the lengths and digests that this machine's rpm writes. */
export function buildRpm(options: { readonly payload: "gzip" | "zstd"; readonly isSigned: boolean }): Promise<SamplePackage> {
  const payload = { gzip: "w6.gzdio", zstd: "w3.zstdio" }[options.payload];
  return sample(`rpm-${options.payload}-${options.isSigned ? "signed" : "unsigned"}`, async (work) => {
    writeFileSync(join(work, "data"), makeNoise("rpm", 2000));
    writeFileSync(join(work, "sample.spec"), RPM_SPEC);
    const defines = [`_topdir ${work}`, `_dbpath ${work}/db`, `_binary_payload ${payload}`];
    await mustRun("rpmbuild", ["-bb", ...defines.flatMap((define) => ["--define", define]), "sample.spec"], { cwd: work });
    const rpm = join(work, "RPMS/noarch/sample-1.0-1.noarch.rpm");
    if (options.isSigned) await signRpm(work, rpm);
    return rpm;
  });
}

async function signRpm(work: string, rpm: string): Promise<void> {
  const key = await openSigningKey(join(work, ".gnupg"));
  const defines = ["__gpg /usr/bin/gpg", `_gpg_name ${key.fingerprint}`, `_gpg_path ${key.home}`];
  await mustRun("rpmsign", [...defines.flatMap((define) => ["--define", define]), "--addsign", rpm], { env: { GNUPGHOME: key.home } });
  await stopAgent(key.home);
}

/** A small deb. Needs dpkg-deb. */
export function buildDeb(compression: "gzip" | "xz" | "zstd" | "none"): Promise<SamplePackage> {
  return sample(`deb-${compression}`, async (work) => {
    mkdirSync(join(work, "root/DEBIAN"), { recursive: true });
    mkdirSync(join(work, "root/usr/share/sample"), { recursive: true });
    writeFileSync(join(work, "root/DEBIAN/control"), DEB_CONTROL);
    writeFileSync(join(work, "root/usr/share/sample/data"), makeNoise("deb", 3000));
    const deb = join(work, "sample_1.0+b1_all.deb");
    await mustRun("dpkg-deb", ["--root-owner-group", `-Z${compression}`, "--build", "root", deb], { cwd: work });
    return deb;
  });
}

/** A package of this machine's own distribution, or null where apt reaches no mirror of it. Needs apt-get. */
export async function downloadDeb(name: string): Promise<SamplePackage | null> {
  try {
    return await sample(`download-${name}`, async (work) => {
      await mustRun("apt-get", ["download", "-q", name], { cwd: work });
      return join(work, readdirSync(work).find((file) => file.endsWith(".deb")) ?? "");
    });
  } catch {
    return null;
  }
}

/** An ISO 9660 image of a few hundred KiB. Needs genisoimage. */
export function buildIso(): Promise<SamplePackage> {
  return sample("iso", async (work) => {
    mkdirSync(join(work, "root"));
    writeFileSync(join(work, "root/data"), makeNoise("iso", 40_000));
    const iso = join(work, "sample.iso");
    await mustRun("genisoimage", ["-quiet", "-J", "-R", "-o", iso, "root"], { cwd: work });
    return iso;
  });
}

/** What `build` made in a folder of its own, kept between runs. */
async function sample(key: string, build: (work: string) => Promise<string>): Promise<SamplePackage> {
  const copy = await copyFixture(`sample-${key}`, [import.meta.url], async (folder) => {
    const work = join(folder, "work");
    mkdirSync(work);
    try {
      const built = await build(work);
      writeFileSync(join(folder, basename(built)), readFileSync(built));
    } catch (error) {
      rmSync(folder, { recursive: true });
      throw error;
    }
    rmSync(work, { recursive: true });
  });
  const [name = ""] = readdirSync(copy);
  const bytes = new Uint8Array(readFileSync(join(copy, name)));
  rmSync(copy, { recursive: true });
  return { name, bytes };
}
