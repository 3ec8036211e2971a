import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { adminTokenPath } from "../../src/local/admin-token.ts";
import { askNetwork } from "../../src/local/doctor/ask.ts";
import { diagnose, type GroupedFinding } from "../../src/local/doctor/doctor.ts";
import { inspectTls } from "../../src/local/doctor/inspect-tls.ts";
import { type AptRepository, openAptRepository } from "../support/apt-repository.ts";
import { type Meddling, type MeddlingProxy, startMeddlingProxy } from "../support/meddling-proxy.ts";
import { apk, apkRepository } from "../support/miniature/apk.ts";
import type { Files } from "../support/miniature/deb-archive.ts";
import { pacmanDatabase, pacmanPackage } from "../support/miniature/pacman-database.ts";
import { type MirrorProcess, startMirror } from "../support/mirror.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { openRpmRepository, type RpmRepository } from "../support/rpm-repository.ts";
import { requireTools } from "../support/run-tool.ts";

const TOOLS = ["apt-ftparchive", "dpkg-deb", "gpg", "createrepo_c", "rpmbuild", "rpmsign"];

describe.runIf(requireTools(...TOOLS))("from the URL of a server, the doctor", () => {
  let apt: AptRepository;
  let rpm: RpmRepository;
  let origins: readonly Origin[] = [];
  let mirror: MirrorProcess;
  let proxy: MeddlingProxy;

  beforeAll(async () => {
    [apt, rpm] = [await openAptRepository(), await openRpmRepository()];
    origins = [await startOrigin(apt.folder), await startOrigin(rpm.folder)];
    const [debs = "", rpms = ""] = origins.map(({ url }) => url);
    mirror = await startMirror({ mirrors: { debian: { upstreams: [debs], distro: "debian" }, rpms: { upstreams: [rpms] } } });
    proxy = await startMeddlingProxy(mirror.port, readFileSync(adminTokenPath(mirror.stateFolder), "utf8").trim());
  });
  afterEach(() => (proxy.meddling = undefined));
  afterAll(async () => {
    await proxy?.close();
    await mirror?.remove();
    for (const origin of origins) await origin.close();
    for (const repository of [apt, rpm]) if (repository !== undefined) rmSync(repository.folder, { recursive: true });
  });

  async function examine(url: string): Promise<readonly GroupedFinding[]> {
    const ports = { ask: askNetwork, askAsStranger: askNetwork, isOver: () => false, inspectTls, sleep, now: Date.now };
    const resolve = (host: string): Promise<string[]> => Promise.resolve([host]);
    const findings: GroupedFinding[] = [];
    for await (const finding of diagnose(new URL(url), { ...ports, resolve })) findings.push(finding);
    return findings;
  }

  it("finds every mirror, a root, an index and a package of each, and nothing wrong", async () => {
    for (const url of [mirror.url, `${mirror.url}/-/setup/`, mirror.hostUrl("rpms"), proxy.url]) {
      const findings = await examine(url);
      // `wrangler dev` sends no Date.
      expect(findings.filter(({ verdict, check }) => verdict !== "good" && check !== "clock")).toEqual([]);
      const found = findings.filter(({ group }) => group === "Mirrors").map(({ detail }) => detail);
      expect(found).toEqual([
        expect.stringContaining("debian, rpms"),
        expect.stringMatching(/dists\/stable\/InRelease → .*\/pool\/main\/.*\.deb$/),
        expect.stringMatching(/repodata\/repomd\.xml → .*\/Packages\/.*\.rpm$/),
      ]);
      expect(findings.map(({ group }) => group)).toEqual(expect.arrayContaining(["Caching", "Downloads", "Other mirrors", "Operator"]));
    }
  });

  it("finds the release that a distribution has, and databases of pacman and apk", async () => {
    const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-doctor-"));
    const fedora = join(folder, "fedora/releases/42/Everything/x86_64");
    mkdirSync(fedora, { recursive: true });
    symlinkSync(rpm.folder, join(fedora, "os"));
    writeAll(folder, await pacmanDatabase("arch/core/os/x86_64", "core", [pacmanPackage("one", "seed"), pacmanPackage("two", "seed")]));
    // The example of the setup page is another release.
    writeAll(folder, await apkRepository("alpine/v3.9/main/x86_64", "old", [await apk("old", "1.0-r0", "seed")]));
    writeAll(folder, await apkRepository("alpine/v3.21/main/x86_64", "new", [await apk("new", "2.0-r0", "seed")]));
    const origin = await startOrigin(folder);
    const distributions = { alpine: "alpine", archlinux: "arch", fedora: "fedora" };
    const server = await startMirror({
      mirrors: Object.fromEntries(
        Object.entries(distributions).map(([distro, path]) => [distro, { distro, upstreams: [`${origin.url}/${path}`] }]),
      ),
    });
    try {
      const findings = await examine(server.url);
      expect(findings.filter(({ verdict, check }) => verdict !== "good" && check !== "clock")).toEqual([]);
      const found = findings.filter(({ group }) => group === "Mirrors").map(({ detail }) => detail);
      expect(found.slice(1)).toEqual([
        expect.stringMatching(/\/v3\.21\/main\/x86_64\/APKINDEX\.tar\.gz → .*\/new-2\.0-r0\.apk$/),
        expect.stringMatching(/\/core\.db → .*\/core\/os\/x86_64\/(?:one|two)-1\.0-1-any\.pkg\.tar\.zst$/),
        expect.stringMatching(/\/releases\/42\/Everything\/x86_64\/os\/repodata\/repomd\.xml → .*\.rpm$/),
      ]);
    } finally {
      await server.remove();
      await origin.close();
      rmSync(folder, { recursive: true });
    }
  });

  it("looks closely at the mirror whose host the URL has", async () => {
    const findings = await examine(mirror.hostUrl("rpms"));
    expect(findings.find(({ check }) => check === "no compression")?.detail).toContain("/repodata/repomd.xml");
    expect(findings.find(({ check }) => check === "part of a large file")?.detail).toMatch(/^100 bytes from the middle of 6\d{6}/);
  });

  it("finds the repository of a folder", async () => {
    const findings = await examine(`${mirror.prefixUrl("rpms")}/`);
    expect(findings.find(({ group }) => group === "Mirrors")?.detail).toContain("/rpms/repodata/repomd.xml →");
  });

  it.each<readonly [Meddling, string, RegExp, RegExp]>([
    ["redirects http to https", "http health", /redirected to https:.*apt/, /Always Use HTTPS/],
    ["compresses text", "no compression", /gzip: Content-Encoding is gzip/, /compression/],
    ["drops Range", "Range", /200 instead of 206/, /proxy/],
    ["drops Range", "resumed download", /200 instead of 206/, /proxy/],
    ["challenges apt", "clients", /apt 403, a page for people, dnf 200/, /WAF rule/],
    ["caches roots", "root is not cached", /Age is 36\d\d s/, /cache rules/],
    ["strips ETag", "headers", /missing: etag/, /headers/],
    ["claims a hit of its own cache", "outer cache", /cf-cache-status is HIT/, /cache rules/],
    ["answers for absent files", "absent file", /200: clients would take that answer for the file/, /proxy/],
    ["lets everybody see the operator's pages", "/-/metrics", /open to everybody/, /token/],
  ])("sees that a proxy in front %s, by the check %s", async (meddling, check, detail, remedy) => {
    proxy.meddling = meddling;
    const finding = (await examine(proxy.url)).find((one) => one.check === check);
    expect(finding).toMatchObject({ verdict: "bad", detail: expect.stringMatching(detail), remedy: expect.stringMatching(remedy) });
  });

  it("sees that a proxy in front cuts bodies", async () => {
    const [file = ""] = apt.paths();
    proxy.meddling = "cuts bodies";
    const finding = (await examine(`${proxy.url}/debian/${file}`)).find(({ check }) => check === "length");
    expect(finding).toMatchObject({ verdict: "bad", detail: expect.stringMatching(/ of \d+ bytes came/) });
  });
});

function writeAll(folder: string, files: Files): void {
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
}
