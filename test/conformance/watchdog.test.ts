import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Runtime } from "../../src/local/server/runtime.ts";
import type { SetAside } from "../../src/local/server/set-aside.ts";
import { openStateFolder, type StateFolder } from "../../src/local/server/state-folder.ts";
import { startWatchedRuntime } from "../../src/local/server/watched-runtime.ts";
import { placeFile } from "../support/large-files.ts";
import { findFreePort, startMirror } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";

/** A frozen runtime is noticed within some 14 s; the rest is for a slow machine. */
const NOTICED_MS = 90_000;
const MINUTE = 60_000;

/** A Worker that can be brought to a stand. */
const SPINNER = `
export default {
  scheduled() {
    console.log("scheduled");
  },
  fetch(request, env) {
    const path = request.url.replace(/^https?:..[^/]*/, "");
    if (path === "/aside") return Response.json(env.SET_ASIDE);
    if (path === "/start") return new Response(env.START);
    if (path === "/spin") {
      console.log(JSON.stringify({ reading: { mirror: "m", base: "os", part: "index", file: "os/repodata/endless.xml" } }));
      for (let turns = 0; ; turns++) globalThis.turns = turns;
    }
    return new Response("ok");
  },
};`;

interface Spinner {
  readonly runtime: Runtime;
  readonly url: string;
  readonly folder: string;
  readonly printed: string[];
  readonly logged: string[];
}

const started: { readonly runtime: Runtime; readonly state: StateFolder; readonly folder: string }[] = [];

async function startSpinner(): Promise<Spinner> {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-watchdog-"));
  const state = openStateFolder(folder);
  if (!state.ok) throw new Error(state.problems.join("\n"));
  const endpoint = { host: "127.0.0.1", port: await findFreePort() };
  const printed: string[] = [];
  const logged: string[] = [];
  const step = await startWatchedRuntime({
    modules: [{ type: "ESModule", path: "worker.js", contents: SPINNER }],
    project: { compatibilityDate: "2026-10-01", compatibilityFlags: [], durableObjects: [] },
    bindings: { START: "first" },
    rebind: () => ({ START: "again" }),
    state: state.value,
    endpoints: [endpoint],
    keyPair: () => null,
    gateway: null,
    onLog: (message) => void logged.push(message),
    stateFolder: folder,
    probe: endpoint,
    print: (line) => void printed.push(line),
  });
  if (!step.ok) throw new Error(step.problems.join("\n"));
  started.push({ runtime: step.value, state: state.value, folder });
  return { runtime: step.value, url: `http://127.0.0.1:${endpoint.port}`, folder, printed, logged };
}

afterAll(async () => {
  for (const { runtime, state, folder } of started) {
    await runtime.stop(0);
    state.release();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
});

async function until(isThere: () => boolean): Promise<void> {
  for (const deadline = Date.now() + NOTICED_MS; !isThere() && Date.now() < deadline;) await sleep(50);
  expect(isThere()).toBe(true);
}

const readSetAside = (folder: string) => JSON.parse(readFileSync(join(folder, "set-aside.json"), "utf8")) as SetAside[];
const getText = async (url: string): Promise<string> => (await fetch(url, { signal: AbortSignal.timeout(60_000) })).text();

describe("a runtime", () => {
  let spinning: Spinner;
  let sleeping: Spinner;
  beforeAll(async () => {
    // One after the other: a start takes the first process that begins meanwhile for its own.
    spinning = await startSpinner();
    sleeping = await startSpinner();
  });

  test.concurrent("that computes without an end is started anew, with what it was reading set aside, and may be asked to end then", async () => {
    const { url, folder, printed, logged, runtime } = spinning;
    expect(await getText(`${url}/aside`)).toBe("[]");
    expect(await getText(`${url}/start`)).toBe("first");
    const { pid } = runtime;
    const spin = fetch(`${url}/spin`).catch(() => "broken off");
    await until(() => printed.length === 2);
    expect(await spin).toBe("broken off");
    expect(printed[0]).toMatch(
      /^workerd answered nothing for 10 s .*was reading m\/os\/repodata\/endless\.xml, which is not read again before 20\d\d-/,
    );
    // Keeps house at once: the killed one may have left halves of writes.
    await until(() => logged.length > 0);
    expect(logged).toEqual(["scheduled"]);
    expect(runtime.pid).not.toBe(pid);
    expect(await getText(`${url}/start`)).toBe("again");
    const [aside] = JSON.parse(await getText(`${url}/aside`)) as SetAside[];
    expect(aside).toMatchObject({ mirror: "m", base: "os", part: "index", file: "os/repodata/endless.xml" });
    expect((aside?.until ?? 0) - (aside?.since ?? 0)).toBe(10 * MINUTE);
    expect(readSetAside(folder)).toEqual([aside]);

    void fetch(`${url}/spin`).catch(() => {});
    // A handler that cannot be run then holds up nothing, not even the watch; that workerd is ended meanwhile is no failure of its own.
    const scheduled = runtime.runScheduled();
    await until(() => printed.length === 3);
    await scheduled;
    await runtime.stop(5_000);
    expect(await runtime.ended).toBeNull();
    await expect(fetch(url)).rejects.toThrow("fetch failed");
    expect(readSetAside(folder).map(({ since, until: end }) => end - since)).toEqual([20 * MINUTE]);
  });

  test.concurrent("that stands still and computes nothing, as before a slow disk, is left alone and goes on", async () => {
    const { url, printed, runtime } = sleeping;
    const { pid } = runtime;
    process.kill(pid, "SIGSTOP");
    const waiting = getText(`${url}/`);
    // Longer than it takes to notice one that computes.
    await sleep(18_000);
    process.kill(pid, "SIGCONT");
    expect(await waiting).toBe("ok");
    expect([printed, runtime.pid]).toEqual([[], pid]);
  });
});

describe("what is set aside", () => {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-set-aside-"));
  let origin: Awaited<ReturnType<typeof startOrigin>>;
  beforeAll(async () => {
    origin = await startOrigin(folder);
  });
  afterAll(async () => {
    await origin.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("is served all the same, without a table, and shown until its time is over", async () => {
    const primary = gzipSync(
      `<metadata xmlns="http://linux.duke.edu/metadata/common" packages="1"><package type="rpm"><name>aside</name><checksum type="sha256" pkgid="YES">${"a5".repeat(32)}</checksum><size package="7"/><location href="aside-1.rpm"/></package></metadata>`,
    );
    const digest = createHash("sha256").update(primary).digest("hex");
    const index = `os/repodata/${digest}-primary.xml.gz`;
    placeFile(folder, `m/${index}`, primary);
    placeFile(
      folder,
      "m/os/repodata/repomd.xml",
      Buffer.from(
        `<repomd><revision>1767000001</revision><data type="primary"><checksum type="sha256">${digest}</checksum><location href="repodata/${digest}-primary.xml.gz"/></data></repomd>`,
      ),
    );
    const mirror = await startMirror({ mirrors: { m: { upstreams: [`${origin.url}/m`] } }, vars: { METADATA_TTL_SECONDS: 600 } });
    try {
      const token = readFileSync(join(mirror.stateFolder, "admin-token"), "utf8").trim();
      const ask = async (path: string): Promise<string> => {
        const response = await fetch(`${mirror.url}${path}`, { headers: { authorization: `Bearer ${token}` } });
        expect(response.status).toBe(200);
        return response.text();
      };
      await mirror.stop();
      const since = Date.now();
      const end = since + 10 * MINUTE;
      writeFileSync(
        join(mirror.stateFolder, "set-aside.json"),
        JSON.stringify([{ mirror: "m", base: "os", part: "index", file: index, since, until: end }]),
      );
      await mirror.start();
      await ask("/m/os/repodata/repomd.xml");
      await ask(`/m/${index}`);
      type Status = {
        troubles: { kind: string; where: string; until?: number }[];
        roots: { protection?: { state: string; detail: string | null } }[];
      };
      let status: Status;
      do {
        await sleep(100);
        status = JSON.parse(await ask("/-/status.json")) as Status;
      } while (status.roots[0]?.protection === undefined);
      expect(status.roots[0].protection).toMatchObject({
        state: "not",
        detail: expect.stringContaining("not read again before") as string,
      });
      expect(status.troubles).toContainEqual(expect.objectContaining({ kind: "set-aside", where: `m/${index}`, until: end }));
      expect(await ask("/-/metrics")).toContain(
        `lazy_mirror_repository_set_aside_until_seconds{mirror="m",base="os",part="index"} ${end / 1_000}\n`,
      );
      // Where nothing is set aside the index is read, and what the Worker says of that is not for the operator.
      await mirror.stop();
      writeFileSync(join(mirror.stateFolder, "set-aside.json"), "[]");
      placeFile(folder, "m/os2/repodata/repomd.xml", readFileSync(join(folder, "m/os/repodata/repomd.xml")));
      placeFile(folder, `m/os2/repodata/${digest}-primary.xml.gz`, primary);
      await mirror.start();
      await ask("/m/os2/repodata/repomd.xml");
      do {
        await sleep(100);
        status = JSON.parse(await ask("/-/status.json")) as Status;
      } while (!status.roots.some(({ protection }) => protection?.state === "bound"));
      expect(status.troubles).toEqual([]);
      expect(mirror.output()).not.toContain('"reading"');
    } finally {
      await mirror.remove();
    }
  });
});
