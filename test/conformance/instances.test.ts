import { spawn, spawnSync } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type AptRepository, openAptRepository } from "../support/apt-repository.ts";
import { APT_TOOLS, openApt } from "../support/clients/apt.ts";
import { DNF_TOOLS, openDnf } from "../support/clients/dnf.ts";
import { download } from "../support/download.ts";
import { sha256 } from "../support/fixture.ts";
import { type Instances, instancesCommand, startInstances } from "../support/instances.ts";
import { findFreePort } from "../support/mirror.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { LARGE_RPM, openRpmRepository, type RpmRepository } from "../support/rpm-repository.ts";
import { requireTools, runTool } from "../support/run-tool.ts";

const COUNT = 3;
/** What `/-/status.json` says of repositories. */
function readStatus(text: string): {
  readonly roots: readonly { readonly mirror: string; readonly protection: { readonly state: string } }[];
} {
  return JSON.parse(text);
}

const MIB = 1_048_576;

describe.runIf(requireTools(...DNF_TOOLS, ...APT_TOOLS, "haproxy", "setpriv"))("npm run instances", () => {
  let plain: string;
  let rpm: RpmRepository;
  let deb: AptRepository;
  let origins: { readonly rpm: Origin; readonly deb: Origin; readonly plain: Origin };
  let instances: Instances;

  beforeAll(async () => {
    rpm = await openRpmRepository();
    deb = await openAptRepository();
    plain = mkdtempSync(join(tmpdir(), "lazy-mirror-plain-"));
    mkdirSync(join(plain, "packages"));
    for (let at = 0; at < 60; at++) writeFileSync(join(plain, `packages/file-${at}-1.0.tar.gz`), `\x1f\x8b${at}`.padEnd(5000, String(at)));
    writeFileSync(join(plain, "packages/image-1.0.img"), Buffer.alloc(24 * MIB, "image"));
    origins = { rpm: await startOrigin(rpm.folder), deb: await startOrigin(deb.folder), plain: await startOrigin(plain) };
    const MIRRORS = {
      rpm: { upstreams: [origins.rpm.url], hosts: ["rpm.test"] },
      deb: { upstreams: [origins.deb.url], access: { users: { alice: "password of alice" } } },
      plain: { upstreams: [origins.plain.url], distro: "fedora" },
      near: { upstreams: [origins.plain.url], access: { networks: ["127.0.0.9", "192.0.2.0/24"] } },
    };
    instances = await startInstances({ METADATA_TTL_SECONDS: 1, BUDGET_GB: 3, MIRRORS }, COUNT);
  });
  afterAll(async () => {
    await instances?.remove();
    await Promise.all(Object.values(origins ?? {}).map((origin) => origin.close()));
    for (const folder of [plain, rpm?.folder, deb?.folder]) if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  test("the client's address is that of its connection to the front end, whatever headers it sends", async () => {
    const ask = async (from: string, ...headers: readonly string[]): Promise<string> => {
      const url = `${instances.url}/near/packages/file-1-1.0.tar.gz`;
      const options = ["-s", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}", "--interface", from];
      return (await runTool("curl", [...options, ...headers.flatMap((header) => ["-H", header]), url])).stdout;
    };
    expect(await ask("127.0.0.9")).toBe("200");
    expect(await ask("127.0.0.9", "X-Forwarded-For: 203.0.113.1", "Forwarded: for=203.0.113.1")).toBe("200");
    for (const header of ["X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "CF-Connecting-IP: 127.0.0.9"]) {
      expect([header, await ask("127.0.0.8", header)]).toEqual([header, "401"]);
    }
  });

  /** What the status page of each instance says of a mirror's roots: whether their packages are bound. */
  async function protections(mirror: string): Promise<readonly unknown[]> {
    const answers = instances.urls.map(async (url) => {
      const response = await fetch(`${url}/-/status.json`, { headers: { authorization: `Bearer ${instances.token}` } });
      const { roots } = readStatus(await response.text());
      return roots.filter((root) => root.mirror === mirror).map((root) => root.protection.state);
    });
    return Promise.all(answers);
  }

  /** Paths that an upstream sent more than once. */
  function sentTwice(origin: Origin): readonly string[] {
    const sent = origin.log.filter(({ status, method }) => status === 200 && method === "GET").map(({ path }) => path);
    return sent.filter((path, at) => sent.indexOf(path) !== at);
  }

  test("dnf and apt install, every instance binds the packages, and the upstreams send each file once in all", async () => {
    const dnf = openDnf(`${instances.url}/rpm`);
    expect(await dnf.refresh()).toMatchObject({ code: 0 });
    expect(await dnf.install({ name: "mirror-test-small++", path: "" })).toMatchObject({ code: 0 });
    dnf.remove();
    const apt = openApt(`${instances.url.replace("//", "//alice:password%20of%20alice@")}/deb`, deb.key);
    expect(await apt.refresh()).toMatchObject({ code: 0 });
    expect(await apt.download({ name: "mirror-test-small++", path: "" })).toMatchObject({ code: 0 });
    apt.remove();
    const bound = Array.from({ length: COUNT }, () => ["bound"]);
    await expect.poll(() => protections("rpm"), { timeout: 20_000 }).toEqual(bound);
    await expect.poll(() => protections("deb"), { timeout: 20_000 }).toEqual(bound);
    await Promise.all([origins.rpm.idle(), origins.deb.idle()]);
    expect(sentTwice(origins.rpm)).toEqual([]);
    expect(sentTwice(origins.deb)).toEqual([]);
  });

  test("a second start on the same state is refused, and changes nothing of what runs", async () => {
    const [node, args] = instances.command;
    const state = args[args.indexOf("--state") + 1] ?? "";
    const files = ["1/wrangler.toml", "haproxy.cfg"].map((name) => join(state, name));
    const before = files.map(sha256);
    const ports = ["--port", String(await findFreePort()), "--first-port", String(await findFreePort())];
    const second = spawnSync(node, [...args, ...ports], { encoding: "utf8", timeout: 60_000 });
    expect(second.status).toBe(1);
    expect(second.stderr).toContain("another server runs on it");
    expect(files.map(sha256)).toEqual(before);
  });

  test("one file has one home, however its path is written, also in host mode", async () => {
    const { pathname } = new URL(`${origins.rpm.url}/${rpm.paths().find((path) => path.includes("small"))}`);
    const seen = origins.rpm.requests(/small/).length;
    const spellings = [
      { url: `${instances.url}/rpm${pathname.replaceAll("+", "%2B")}`, headers: {} },
      { url: `${instances.url}/rpm/${pathname.replaceAll("+", "%2b")}?countme=2`, headers: {} },
      { url: `${instances.url}${pathname}`, headers: { host: "rpm.test:80" } },
    ];
    for (const { url, headers } of spellings) expect(await download(url, { headers })).toMatchObject({ status: 200, isWhole: true });
    expect(origins.rpm.requests(/small/).length).toBe(Math.max(seen, 1));
  });

  test("a package that is signed anew under its name is the new one at every instance, once the new index is read", async () => {
    const path = await rpm.add(LARGE_RPM);
    await rpm.resign(path);
    await rpm.publish();
    const root = `${instances.url}/rpm/repodata/repomd.xml`;
    const wanted = sha256(join(rpm.folder, "repodata/repomd.xml"));
    await expect
      .poll(async () => (await download(root, { headers: { "cache-control": "no-cache" } })).sha256, { timeout: 20_000 })
      .toBe(wanted);
    const now = sha256(join(rpm.folder, path));
    const url = `${instances.url}/rpm/${path.replaceAll("^", "%5E")}`;
    await expect.poll(async () => (await download(url)).sha256, { timeout: 20_000 }).toBe(now);
  });

  test("a killed instance is started again; until then others serve its share, and only that is fetched anew", async () => {
    const urls = Array.from({ length: 60 }, (_, at) => `${instances.url}/plain/packages/file-${at}-1.0.tar.gz`);
    const readAll = () => Promise.all(urls.map((url) => download(url)));
    origins.plain.log.length = 0;
    await readAll();
    expect(origins.plain.log).toHaveLength(60);
    const [pid = 0] = instances.pids();
    process.kill(pid, "SIGKILL");
    for (const answer of await readAll()) expect(answer).toMatchObject({ status: 200, isWhole: true });
    await expect.poll(() => instances.pids()[0] ?? 0, { timeout: 20_000 }).not.toBe(0);
    await vi.waitFor(async () => expect((await fetch(`${instances.urls[0]}/-/health`)).status).toBe(200), { timeout: 20_000 });
    // Until haproxy has seen that it is back, others still serve its share.
    const fetchedByARound = async () => {
      const before = origins.plain.log.length;
      for (const answer of await readAll()) expect(answer).toMatchObject({ status: 200, isWhole: true });
      return origins.plain.log.length - before;
    };
    await expect.poll(fetchedByARound, { timeout: 20_000 }).toBe(0);
    // A share is 20 files of 60, more or less. (A request that met the killed instance may have gone elsewhere than the next one for its file.)
    expect(new Set(origins.plain.log.slice(urls.length).map(({ path }) => path)).size).toBeLessThan(40);
  });

  test("a package that no upstream has is missing, and an upstream is asked once", async () => {
    expect(await download(`${instances.url}/plain/packages/none-1.0-1.noarch.rpm`)).toMatchObject({ status: 404 });
    expect(origins.plain.requests(/none/)).toHaveLength(1);
  });

  test("the operator reaches each instance, and not one by chance", async () => {
    const headers = { authorization: `Bearer ${instances.token}` };
    const status = await fetch(`${instances.url}/-/instances/2/-/ledger/`, { headers });
    expect(await status.json()).toMatchObject({ budget: 1e9 });
    expect((await fetch(`${instances.url}/-/status`, { headers })).status).toBe(404);
    expect((await fetch(`${instances.url}/-/instances/4/-/status`, { headers })).status).toBe(404);
    expect((await fetch(`${instances.url}/-/setup/`)).status).toBe(200);
    expect((await fetch(`${instances.url}/-/health`)).status).toBe(200);
    const mirror = spawnSync(
      join(import.meta.dirname, "../../node_modules/.bin/node"),
      [
        join(import.meta.dirname, "../../src/local/operator/mirror-command.ts"),
        "--token",
        instances.token,
        "--server",
        `${instances.url}/-/instances/1`,
        "status",
      ],
      { encoding: "utf8" },
    );
    expect(mirror.stdout).toContain("of 1.00 GB");
  });

  test("Ctrl-C lets a download under way end, and leaves nothing behind", async () => {
    let begun = (): void => {};
    const started = new Promise<void>((resolve) => (begun = resolve));
    const whole = download(`${instances.url}/plain/packages/image-1.0.img`, {
      onHeaders: begun,
      onBytes: () => new Promise((resolve) => setTimeout(resolve, 2)),
    });
    await started;
    // What a terminal does: the whole group of the command.
    process.kill(-instances.pid, "SIGINT");
    expect(await instances.stop()).toBe(0);
    expect(await whole).toMatchObject({ isWhole: true, sha256: sha256(join(plain, "packages/image-1.0.img")) });
    for (const url of [instances.url, ...instances.urls]) expect(await download(url)).toMatchObject({ status: 0 });
  });
});

describe.runIf(requireTools("haproxy", "setpriv"))("npm run instances, refused", () => {
  const vars = { MIRRORS: { m: { upstreams: ["http://127.0.0.1:9"] } } };
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "lazy-mirror-refused-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function run(args: readonly string[], env = process.env) {
    const [file, all] = instancesCommand(folder, vars, ...args);
    return spawnSync(file, all, { encoding: "utf8", env, timeout: 60_000 });
  }

  test("says which port another program has", async () => {
    const blocker = createServer().listen(0, "127.0.0.1");
    await once(blocker, "listening");
    const { port } = blocker.address() as AddressInfo;
    const { status, stderr } = run(["--port", String(await findFreePort()), "--first-port", String(port)]);
    blocker.close();
    expect(status).toBe(1);
    expect(stderr).toBe(
      `Cannot listen on 127.0.0.1:${port}: another program uses that port; stop it or choose another with --first-port.\n`,
    );
  });

  test("says so where haproxy is missing or too old", () => {
    const bin = join(folder, "bin");
    mkdirSync(bin);
    const missing = run([], { ...process.env, PATH: bin });
    expect(missing.stderr).toMatch(/^Cannot run haproxy: .*; install it/);
    writeFileSync(join(bin, "haproxy"), "#!/bin/sh\necho HAProxy version 2.4.22-0ubuntu0.22.04.3 2023/12/04\n", { mode: 0o755 });
    const old = run([], { ...process.env, PATH: `${bin}:${process.env["PATH"]}` });
    expect(old.stderr).toBe("Cannot use haproxy 2.4.22-0ubuntu0.22.04.3: it must be 2.6 or later.\n");
    expect([missing.status, old.status]).toEqual([1, 1]);
  });

  test("prints a configuration that haproxy takes, and starts nothing", () => {
    const { status, stdout } = run(["--count", "3", "--print-haproxy"]);
    expect(status).toBe(0);
    expect(stdout).toContain("server 3 127.0.0.1:8783");
    const file = join(folder, "printed.cfg");
    writeFileSync(file, stdout);
    expect(spawnSync("haproxy", ["-c", "-q", "-f", file], { encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" });
  });

  test("ends everything where an instance does not start", () => {
    const state = join(folder, "state/2/store");
    mkdirSync(join(folder, "state/2"), { recursive: true });
    writeFileSync(state, "no folder");
    const { status, stdout, stderr } = run(["--count", "2", "--first-port", "18600", "--port", "18610"]);
    expect(stdout).toContain("2 | Cannot keep state in");
    expect(stderr).toContain("Instance 2 does not start: see above.");
    expect(status).toBe(1);
    rmSync(state);
  });

  test("ends haproxy and the instances when it is killed itself", async () => {
    const port = await findFreePort();
    const [file, args] = instancesCommand(folder, vars, "--count", "1", "--first-port", "18600", "--port", String(port));
    const child = spawn(file, args, { stdio: "ignore" });
    const answers = () =>
      fetch(`http://127.0.0.1:${port}/-/health`).then(
        ({ status }) => status,
        () => 0,
      );
    await expect.poll(answers, { timeout: 30_000 }).toBe(200);
    child.kill("SIGKILL");
    await expect.poll(answers, { timeout: 20_000 }).toBe(0);
    const instance = () =>
      fetch("http://127.0.0.1:18601/-/health").then(
        () => 1,
        () => 0,
      );
    await expect.poll(instance, { timeout: 30_000 }).toBe(0);
  });
});
