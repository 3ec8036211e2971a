import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** Real packages, built or downloaded by the distributions' own tools, kept between runs. */
const CACHE = join(process.cwd(), "node_modules/.cache/lazy-mirror/packages");
const SPEC = "lazy-mirror-sample";

/** A file and the name that it has in a repository. */
export interface SamplePackage {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * The tools that this machine lacks: `describe.skipIf(skips("rpmbuild"))("… (rpmbuild)")`. In CI nothing is skipped, so
 * that a test whose tool is missing fails there.
 */
export function lacksTools(...tools: readonly string[]): boolean {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return process.env["CI"] !== "true" && tools.some((tool) => !folders.some((folder) => existsSync(join(folder, tool))));
}

export const RPM_TOOLS = ["rpmbuild", "rpmsign", "gpg"] as const;

/** A small noarch rpm (v4) with every digest and length that this machine's rpm writes. */
export function buildRpm(options: { readonly payload: "gzip" | "zstd"; readonly isSigned: boolean }): SamplePackage {
  const payload = { gzip: "w6.gzdio", zstd: "w3.zstdio" }[options.payload];
  return cached(`rpm-${options.payload}-${options.isSigned ? "signed" : "unsigned"}`, (folder) => {
    writeFileSync(join(folder, "sample.spec"), specText());
    run(folder, "rpmbuild", "-bb", "--quiet", "--define", `_topdir ${folder}/top`, "--define", `_binary_payload ${payload}`, "sample.spec");
    const rpm = join(folder, `top/RPMS/noarch/${SPEC}-1.0-1.noarch.rpm`);
    if (options.isSigned) signRpm(folder, rpm);
    return rpm;
  });
}

/** A small deb with a control.tar and a data.tar. */
export function buildDeb(compression: "gzip" | "xz" | "zstd" | "none"): SamplePackage {
  return cached(`deb-${compression}`, (folder) => {
    mkdirSync(join(folder, "root/DEBIAN"), { recursive: true });
    mkdirSync(join(folder, "root/usr/share/sample"), { recursive: true });
    writeFileSync(
      join(folder, "root/DEBIAN/control"),
      `Package: ${SPEC}\nVersion: 1.0+b1\nArchitecture: all\nMaintainer: Nobody <nobody@example.com>\nDescription: A sample\n`,
    );
    writeFileSync(join(folder, "root/usr/share/sample/data"), noise(3000));
    const deb = join(folder, `${SPEC}_1.0+b1_all.deb`);
    run(folder, "dpkg-deb", "--root-owner-group", `-Z${compression}`, "--build", "root", deb);
    return deb;
  });
}

/** A package of this machine's distribution, or null where apt reaches no mirror. */
export function downloadDeb(name: string): SamplePackage | null {
  try {
    return cached(`download-${name}`, (folder) => {
      run(folder, "apt-get", "download", "-q", name);
      const deb = readdirSync(folder).find((file) => file.endsWith(".deb"));
      if (deb === undefined) throw new Error(`apt-get download ${name} left no .deb`);
      return join(folder, deb);
    });
  } catch {
    return null;
  }
}

/** An ISO 9660 image of a few hundred KiB. */
export function buildIso(): SamplePackage {
  return cached("iso", (folder) => {
    mkdirSync(join(folder, "root"));
    writeFileSync(join(folder, "root/data"), noise(40_000));
    const iso = join(folder, "sample.iso");
    run(folder, "genisoimage", "-quiet", "-J", "-R", "-o", iso, "root");
    return iso;
  });
}

/** Bytes that look random and are the same in each run. */
export function noise(length: number): Uint8Array {
  const blocks: Buffer[] = [];
  for (let count = 0; count * 32 < length; count++) blocks.push(createHash("sha256").update(String(count)).digest());
  return new Uint8Array(Buffer.concat(blocks).subarray(0, length));
}

function specText(): string {
  return `Name: ${SPEC}
Version: 1.0
Release: 1
Summary: A sample
License: MIT
BuildArch: noarch
%description
A sample.
%install
mkdir -p %{buildroot}/usr/share/sample
${Array.from({ length: 40 }, (_, index) => `echo ${createHash("sha256").update(String(index)).digest("hex")} >> %{buildroot}/usr/share/sample/data`).join("\n")}
%files
/usr/share/sample/data
`;
}

/** By a key that lives as long as this call. Its folder is a short one: gpg's sockets allow 108 bytes. */
function signRpm(folder: string, rpm: string): void {
  const home = mkdtempSync(join(tmpdir(), "gpg-"));
  const key = "sample@example.com";
  try {
    run(folder, "gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", "", "--quick-generate-key", key, "rsa2048", "sign");
    const gpg = ["--define", `_gpg_path ${home}`, "--define", `_gpg_name ${key}`, "--define", "__gpg /usr/bin/gpg"];
    run(folder, "rpmsign", ...gpg, "--addsign", rpm);
  } finally {
    run(folder, "gpgconf", "--homedir", home, "--kill", "all");
    rmSync(home, { recursive: true, force: true });
  }
}

/** Built in a folder of its own and moved into place: test files run at the same time. */
function cached(key: string, build: (folder: string) => string): SamplePackage {
  const place = join(CACHE, key);
  if (!existsSync(place)) {
    mkdirSync(CACHE, { recursive: true });
    const folder = mkdtempSync(join(CACHE, "building-"));
    try {
      const built = build(folder);
      const result = join(folder, "result");
      mkdirSync(result);
      renameSync(built, join(result, built.slice(built.lastIndexOf("/") + 1)));
      moveUnlessThere(result, place);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  const [name] = readdirSync(place);
  if (name === undefined) throw new Error(`${place} is empty: remove it, and it is built again`);
  return { name, bytes: new Uint8Array(readFileSync(join(place, name))) };
}

function moveUnlessThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!existsSync(to)) throw error;
  }
}

function run(cwd: string, tool: string, ...args: readonly string[]): void {
  execFileSync(tool, args, { cwd, stdio: "pipe" });
}
