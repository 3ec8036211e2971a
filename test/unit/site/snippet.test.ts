import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createApp } from "../../../src/app.ts";
import { siteDependencies } from "./site.ts";

const DISTROS = ["debian", "debian-security", "ubuntu", "fedora", "epel", "centos-stream", "rocky", "almalinux", "opensuse", "archlinux"];
const USERS = { access: { users: { ci: "a-password-of-sixteen" } } };

/** The text that a server with these mirrors gives for a path below `/-/setup/`. */
function serve(distros: readonly string[], more: object = {}): (path: string) => Promise<string> {
  const mirror = (distro: string) => ({ distro, upstreams: ["http://one.example/tree"], ...more });
  const vars = { MIRRORS: Object.fromEntries(distros.map((distro) => [distro, mirror(distro)])) };
  const app = createApp(siteDependencies(vars));
  return async (path) => (await app.fetch(new Request(`http://127.0.0.1/-/setup/${path}`, { headers: { host: "127.0.0.1:8787" } }))).text();
}

const get = serve([...DISTROS, "alpine", "koji"]);
const ALL = "sh, vagrant, docker, docker-add, github-actions, gitlab, cloud-init, ansible";

describe("lines to paste", () => {
  it.each([
    ["debian", `apt, apt-line, ${ALL}, preseed`],
    ["ubuntu", `apt, apt-line, ${ALL}, autoinstall`],
    ["fedora", `dnf, ${ALL}, kickstart, mock, koji`],
    ["epel", `dnf, ${ALL}, kickstart, mock, koji`],
    ["opensuse", `zypper, addrepo, ${ALL}`],
    ["archlinux", `pacman, ${ALL}`],
    ["alpine", `apk, ${ALL}`],
    ["koji", "kojid, koji, mock"],
  ])("of %s are for what its clients have, and the refusal lists them", async (name, formats) => {
    expect(await get(`${name}?for=nothing`)).toBe(`Cannot set ${name} up for "nothing": use ?for= with one of ${formats}\n`);
  });

  it("have the same text for docker, podman and buildah", async () => {
    const docker = await get("debian?for=docker");
    expect(docker).toMatch(/^ARG LAZY_MIRROR=http:\/\/127\.0\.0\.1:8787\/debian\n/);
    expect(await get("debian?for=podman")).toBe(docker);
    expect(await get("debian?for=buildah")).toBe(docker);
  });

  it.each([
    ["debian", "bookworm", "apt", ["Suites: bookworm bookworm-updates\n", "Suites: bookworm-security\n"]],
    ["debian", "sid", "apt", ["Suites: sid\n"]],
    ["debian", "trixie", "apt-line", [" http://127.0.0.1:8787/debian-security trixie-security main\n"]],
    ["debian", "sid", "preseed", ["d-i mirror/suite string sid\n", "d-i apt-setup/services-select multiselect\n"]],
    ["ubuntu", "jammy", "docker", ["'Suites: jammy jammy-updates jammy-backports jammy-security'"]],
    ["fedora", "rawhide", "kickstart", ['url --url="http://127.0.0.1:8787/fedora/development/rawhide/Everything/$basearch/os/"']],
    ["fedora", "42", "koji", ["'http://127.0.0.1:8787/fedora/updates/42/Everything/$arch/'"]],
    ["rocky", "9", "mock", ["include('/etc/mock/rocky-9-x86_64.cfg')", "RPM-GPG-KEY-Rocky-9\n"]],
    ["opensuse", "15.6", "cloud-init", ["baseurl: http://127.0.0.1:8787/opensuse/update/leap/$releasever/sle/\n"]],
    ["opensuse", "16.0", "ansible", ["baseurl=http://127.0.0.1:8787/opensuse/distribution/leap/$releasever/repo/oss/$basearch/\n"]],
    ["alpine", "v3.20", "cloud-init", ["base_url: http://127.0.0.1:8787/alpine\n", "version: v3.20\n"]],
    ["alpine", "edge", "sh", ["http://127.0.0.1:8787/alpine/edge/main\n"]],
  ])("for %s %s and %s name that release's places", async (name, release, format, wanted) => {
    const text = await get(`${name}?for=${format}&release=${release}`);
    for (const line of wanted) expect(text).toContain(line);
    expect(text).not.toContain("@RELEASE@");
  });

  it.each([
    ["debian", "http://ftp.debian.org/debian\tpriority:2\n"],
    ["ubuntu", "http://archive.ubuntu.com/ubuntu\tpriority:2\n"],
    ["fedora", "        https://dl.fedoraproject.org/pub/fedora/linux/updates/$releasever/Everything/$basearch/\n"],
    ["opensuse", "        https://download.opensuse.org/tumbleweed/repo/oss/\n"],
    ["archlinux", "Server = https://geo.mirror.pkgbuild.com/$repo/os/$arch\n"],
    ["alpine", "https://dl-cdn.alpinelinux.org/alpine/v3.22/main\n"],
  ])("of %s name the distribution's own servers only where a fallback is wanted, after the mirror", async (name, line) => {
    const direct = await get(`${name}?for=sh&fallback=direct`);
    expect(direct).toContain(line);
    expect(direct.indexOf("127.0.0.1")).toBeLessThan(direct.indexOf(line));
    expect(await get(`${name}?for=sh`)).not.toContain(line);
    expect(await get(`${name}?for=gitlab`)).toContain(line.trimEnd());
    expect(await get(`${name}?for=gitlab&fallback=none`)).not.toContain(line.trimEnd());
  });

  it("refuse a fallback that does not exist", async () => {
    expect(await get("debian?for=apt&fallback=maybe")).toContain("Cannot use fallback");
  });

  it("keep the archive that is not mirrored where they replace the distribution's file", async () => {
    const debian = await serve(["debian"])("debian?for=docker&fallback=none");
    expect(debian).toContain("'URIs: http://security.debian.org/debian-security'");
    expect(debian).toContain(`'URIs: '"$LAZY_MIRROR"`);
    const security = await serve(["debian-security"])("debian-security?for=sh&fallback=none");
    expect(security).toContain("URIs: http://ftp.debian.org/debian\n");
    expect(security).toContain("URIs: http://127.0.0.1:8787/debian-security\n");
  });

  it.each([
    ["debian", "apt", "machine http://127.0.0.1:8787/debian login NAME password PASSWORD\n"],
    ["fedora", "dnf", "baseurl=http://NAME:PASSWORD@127.0.0.1:8787/fedora/"],
    ["opensuse", "zypper", "/tumbleweed/repo/oss/?credentials=lazy-mirror\n"],
    ["archlinux", "pacman", "Server = http://NAME:PASSWORD@127.0.0.1:8787/archlinux/"],
    ["debian", "docker-add", 'LAZY_MIRROR_PASSWORD="$(cat /run/secrets/lazy_mirror)" sh /tmp/lazy-mirror.sh --user NAME\n'],
    ["alpine", "cloud-init", "base_url: http://NAME:PASSWORD@127.0.0.1:8787/alpine\n"],
  ])("of %s for %s show where name and password go, and never have a real one", async (name, format, line) => {
    const closed = serve([name], USERS);
    const text = await closed(`${name}?for=${format}&fallback=direct`);
    expect(text).toContain(line);
    expect(text).not.toContain("a-password");
    expect(text).not.toMatch(/PASSWORD@(?!127)/);
  });

  it.each(DISTROS)("of %s are commands that a shell can read", async (name) => {
    for (const fallback of ["direct", "none"]) {
      const input = await get(`${name}?for=sh&fallback=${fallback}`);
      expect(spawnSync("sh", ["-n"], { input, encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" });
    }
  });

  it.each(DISTROS)("of %s write the same files in an image as by commands, and turn the distribution's own off", async (name) => {
    const [, run = ""] = /^RUN ([^]*)$/m.exec(await get(`${name}?for=docker&fallback=direct`)) ?? [];
    const inImage = runOver(run, `http://127.0.0.1:8787/${name === "debian-security" ? "debian" : name}`);
    const byCommands = runOver(await get(`${name}?for=sh&fallback=direct`));
    expect(inImage).toEqual(byCommands);
    expect(Object.values(inImage).join("")).toContain("http://127.0.0.1:8787/");
    expect("apt/sources.list" in inImage).toBe(!/debian|ubuntu/.test(name));
    if (name === "fedora") expect(inImage["yum.repos.d/stock.repo"]).toBe(STOCK.replace("[fedora]\nenabled=1", "[fedora]\nenabled=0"));
    if (name === "opensuse")
      expect(inImage["zypp/repos.d/stock.repo"]).toBe("[repo-oss]\nenabled=0\nbaseurl=http://download.opensuse.org/x\n");
    if (name === "opensuse") expect(inImage["zypp/repos.d/vendor.repo"]).toBe("[vendor]\nenabled=1\nbaseurl=http://vendor.invalid/\n");
  });
});

const STOCK = "[fedora]\nenabled=1\n\n[fedora-debuginfo]\nenabled=0\n\n[vendor]\nenabled=1\n";

/** What /etc has after these commands ran over one with the distribution's own sources, by path. */
function runOver(commands: string, mirror = ""): Record<string, string> {
  const root = mkdtempSync(join(tmpdir(), "lazy-mirror-lines-"));
  const etc = `${root}/etc/`;
  for (const folder of ["apt/sources.list.d", "apt/apt.conf.d", "yum.repos.d", "zypp/repos.d", "zypp/services.d", "pacman.d", "apk"])
    mkdirSync(join(etc, folder), { recursive: true });
  writeFileSync(join(etc, "apt/sources.list"), "deb http://archive.invalid/debian stable main\n");
  writeFileSync(join(etc, "yum.repos.d/stock.repo"), STOCK);
  writeFileSync(join(etc, "zypp/repos.d/stock.repo"), "[repo-oss]\nenabled=1\nbaseurl=http://download.opensuse.org/x\n");
  writeFileSync(join(etc, "zypp/repos.d/vendor.repo"), "[vendor]\nenabled=1\nbaseurl=http://vendor.invalid/\n");
  const env = { PATH: "/usr/bin:/bin", LAZY_MIRROR: mirror, LAZY_MIRROR_SECURITY: "http://127.0.0.1:8787/debian-security" };
  const run = spawnSync("sh", ["-euc", commands.replaceAll("/etc/", etc)], { encoding: "utf8", env });
  expect(run).toMatchObject({ status: 0, stdout: "", stderr: "" });
  const files = readdirSync(etc, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const texts = files.map((file) => {
    const path = join(file.parentPath, file.name);
    return [path.slice(etc.length), readFileSync(path, "utf8").replaceAll(etc, "/etc/")] as const;
  });
  rmSync(root, { recursive: true });
  return Object.fromEntries(texts);
}
