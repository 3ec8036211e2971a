import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findDamage, findWanted, LARGE, SCENARIOS, type ScenarioRepository, SMALL } from "../support/clients/scenario.ts";
import { type MirrorProcess, startMirror } from "../support/mirror.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { requireTools, runTool } from "../support/run-tool.ts";

const ROOT = join(import.meta.dirname, "../..");
const apt = SCENARIOS.apt;

/** A free port below 32768: apt-cacher-ng takes no higher one. */
async function findLowPort(): Promise<number> {
  for (let port = 20_000 + (process.pid % 10_000); ; port++) {
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    server.close();
    if (isFree) return port;
  }
}

describe.runIf(requireTools("apt-cacher-ng", ...apt.tools))("the cache of a real apt-cacher-ng", () => {
  let folder: string;
  let repository: ScenarioRepository;
  let origin: Origin;
  let mirror: MirrorProcess;
  let cacher: ChildProcess;
  let relay: Server;
  let ports: { readonly cacher: number; readonly origin: number };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "lazy-mirror-acng-"));
    repository = await apt.openRepository();
    origin = await startOrigin(repository.folder);
    for (const name of ["cache", "log"]) mkdirSync(join(folder, name));
    const port = await findLowPort();
    const settings = [
      `CacheDir=${folder}/cache`,
      `LogDir=${folder}/log`,
      `Port=${port}`,
      "BindAddress=127.0.0.1",
      "ForeGround=1",
      "AllowUserPorts=0",
      "PidFile=",
    ];
    cacher = spawn("apt-cacher-ng", settings, { stdio: ["ignore", "pipe", "pipe"] });
    let printed = "";
    for (const stream of [cacher.stdout, cacher.stderr]) stream?.on("data", (text: Buffer) => (printed += text.toString()));
    const deadline = Date.now() + 30_000;
    for (let cause = ""; ; await wait(100)) {
      try {
        await fetch(`http://127.0.0.1:${port}/`);
        break;
      } catch (error) {
        cause = String((error as Error).cause);
      }
      if (cacher.exitCode !== null || Date.now() > deadline) throw new Error(`Cannot start apt-cacher-ng: ${cause} ${printed}`);
    }
    // It connects to no higher port either: this one leads to the origin.
    const near = await findLowPort();
    relay = createServer((socket) => {
      const upstream = connect(Number(new URL(origin.url).port), "127.0.0.1");
      for (const one of [socket, upstream]) one.on("error", () => [socket, upstream].forEach((end) => end.destroy()));
      socket.pipe(upstream).pipe(socket);
    }).listen(near, "127.0.0.1");
    await once(relay, "listening");
    ports = { cacher: port, origin: near };
    mirror = await startMirror({ mirrors: { debian: { upstreams: [origin.url], distro: "debian" } }, vars: { METADATA_TTL_SECONDS: 0 } });
  });
  afterAll(async () => {
    if (cacher?.exitCode === null) {
      cacher.kill("SIGTERM");
      await once(cacher, "exit");
    }
    relay?.close();
    await mirror?.remove();
    await origin?.close();
    for (const path of [folder, repository?.folder]) if (path !== undefined) rmSync(path, { recursive: true, force: true });
  });

  test("is imported: clients of the mirror get its packages, and no upstream is asked for one", async () => {
    const client = repository.open(`http://127.0.0.1:${ports.cacher}/127.0.0.1:${ports.origin}`);
    expect(await client.refresh()).toMatchObject({ code: 0 });
    expect(await client.install(findWanted(repository, LARGE), findWanted(repository, SMALL))).toMatchObject({ code: 0 });
    client.remove();

    const fresh = repository.open(mirror.prefixUrl("debian"));
    expect(await fresh.refresh()).toMatchObject({ code: 0 });
    const node = join(ROOT, "node_modules/.bin/node");
    const options = ["--server", mirror.url, "import", join(folder, "cache"), "--mirror", "debian"];
    const imported = await runTool(node, ["src/local/operator/mirror-command.ts", ...options], {
      cwd: ROOT,
      env: { ADMIN_TOKEN: mirror.readToken() },
    });
    expect(imported.stdout).toMatch(/2 of 2 files are stored/);
    expect(imported.code).toBe(0);
    origin.log.length = 0;
    expect(await fresh.install(findWanted(repository, LARGE), findWanted(repository, SMALL))).toMatchObject({ code: 0 });
    expect(findDamage(fresh, repository)).toEqual([]);
    expect(origin.requests(/\.deb$/)).toEqual([]);
    fresh.remove();
  });
});
