import { once } from "node:events";
import { linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { measureStore } from "../../src/local/server/measure-store.ts";
import { makeNoise } from "../support/fixture.ts";
import { startMirror, type MirrorProcess, type MirrorSetup, type MirrorTable } from "../support/mirror.ts";
import { startOrigin, type Origin } from "../support/origin.ts";

const MB = 1_000_000;
/** Where the outcome is waited for, and not the clock. */
const LONG_MS = 60_000;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean();
});

/** A mirror of files of these sizes (bytes), by name; the bytes of all are a part of one noise. */
async function startPair(
  seed: string,
  sizes: Readonly<Record<string, number>>,
  vars: MirrorSetup["vars"],
  table: Partial<MirrorTable> = {},
) {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-quota-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "pool"));
  const noise = makeNoise(seed, Math.max(...Object.values(sizes)) + Object.keys(sizes).length);
  const bodies = Object.fromEntries(Object.entries(sizes).map(([name, size], at) => [name, noise.subarray(at, at + size)]));
  for (const [name, body] of Object.entries(bodies)) writeFileSync(join(folder, `pool/${name}.tar.gz`), body);
  const origin: Origin = await startOrigin(folder);
  cleanups.push(() => origin.close());
  const mirror = await startMirror({ mirrors: { files: { upstreams: [origin.url], ...table } }, vars: { SLICE_MIB: 1, ...vars } });
  cleanups.push(() => mirror.remove());
  const url = (name: string): string => `${mirror.prefixUrl("files")}/pool/${name}.tar.gz`;
  /** Whether the whole file came, and how `Cache-Status` says that. */
  const get = async (name: string) => {
    const response = await fetch(url(name));
    const isWhole = Buffer.from(await response.arrayBuffer()).equals(bodies[name] ?? Buffer.alloc(0));
    return { isWhole, status: response.headers.get("cache-status") ?? "" };
  };
  return { mirror, origin, folder, url, get };
}

/** Bytes of files of the store, but for the few hundred that describe each. */
function bytesAtRest({ stateFolder }: MirrorProcess): number {
  return ["objects", "slices"].reduce((total, folder) => {
    const path = join(stateFolder, "store", folder);
    const entries =
      statSync(path, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(path, { recursive: true, withFileTypes: true });
    return entries.reduce((sum, entry) => {
      const isFile = entry.isFile();
      return sum + (isFile ? (statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0) : 0);
    }, total);
  }, 0);
}

function operatorOf({ stateFolder }: MirrorProcess): { readonly authorization: string } {
  return { authorization: `Bearer ${readFileSync(join(stateFolder, "admin-token"), "utf8").trim()}` };
}

async function verb(mirror: MirrorProcess, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const init = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(`${mirror.url}/-/ledger${path}`, { ...init, headers: operatorOf(mirror) });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json<Record<string, unknown>>();
}

describe("a server that was killed again and again, at a budget of 40 MB", () => {
  it("finds at its next start all that was left behind, and keeps its budget", async () => {
    const names = Array.from({ length: 90 }, (_, index) => `k${index}`);
    const sizes = Object.fromEntries(names.map((name, index) => [name, index % 3 === 0 ? 6 * MB : 0.9 * MB]));
    const { mirror, get } = await startPair("kills", sizes, { BUDGET_GB: 0.04 });
    const left = [...names];
    for (let kills = 0; kills < 6; kills++) {
      const fetched = left.splice(0, 15).map((name) => get(name).catch(() => null));
      // The kill comes while some are stored, some are being stored, and none is reported.
      await Promise.any(fetched);
      await mirror.kill();
      await Promise.all(fetched);
      await mirror.start();
    }
    await vi.waitFor(() => expect(bytesAtRest(mirror)).toBeLessThanOrEqual(40 * MB), { timeout: LONG_MS, interval: 100 });
    // What lies there is known: nothing is left that counts for nothing.
    await vi.waitFor(async () => expect(Number((await verb(mirror, "/"))["used"])).toBeGreaterThanOrEqual(bytesAtRest(mirror)), {
      timeout: LONG_MS,
      interval: 100,
    });
    for (const name of names.slice(0, 6)) expect((await get(name)).isWhole).toBe(true);
    expect(bytesAtRest(mirror)).toBeLessThanOrEqual(40 * MB);
  });
});

describe("how full the store is", () => {
  it("a start learns from the ledgers after a stop, and from the files after a kill, which some ledger may not know", async () => {
    const { mirror, get } = await startPair("count", { a: 3 * MB, b: 0.9 * MB, c: 2 * MB }, {});
    const measure = (): number => measureStore(join(mirror.stateFolder, "store"), join(mirror.stateFolder, "objects"));
    await get("a");
    await vi.waitFor(async () => expect(await verb(mirror, "/")).toMatchObject({ used: 3 * MB, sweptAt: expect.any(Number) as number }), {
      timeout: LONG_MS,
      interval: 100,
    });
    await mirror.stop();
    // After the stop each ledger has been through its mirror's files in the first run of its server.
    await mirror.start();
    await mirror.stop();
    expect(measure()).toBe(3 * MB);
    await mirror.start();
    for (const name of ["b", "c"]) await get(name);
    await mirror.kill();
    expect(measure()).toBeGreaterThan(5.9 * MB);
    await mirror.start();
    await vi.waitFor(async () => expect((await verb(mirror, "/"))["used"]).toBe(5.9 * MB), { timeout: LONG_MS, interval: 100 });
  });
});

describe("a purge", () => {
  it("makes room at once, also where what it deletes lies in slices", async () => {
    const { mirror, get } = await startPair("purge", { a: 9 * MB, b: 9 * MB, c: 9 * MB, d: 9 * MB }, { BUDGET_GB: 0.02 });
    for (const name of ["a", "b"])
      expect(await get(name)).toMatchObject({ isWhole: true, status: expect.stringContaining("stored") as string });
    await verb(mirror, "/purge", { pattern: "files/*" });
    for (const name of ["c", "d"]) {
      expect(await get(name)).toMatchObject({ isWhole: true, status: expect.stringContaining("stored") as string });
      expect(bytesAtRest(mirror)).toBeLessThanOrEqual(20 * MB);
    }
    expect((await get("d")).status).toContain("hit");
  });
});

describe("a mirror with budget_gb", () => {
  it("keeps within it, and shows it", async () => {
    const names = Array.from({ length: 20 }, (_, index) => `q${index}`);
    const sizes = Object.fromEntries(names.map((name) => [name, 0.9 * MB]));
    const { mirror, get } = await startPair("quotas", sizes, { BUDGET_GB: 0.04 }, { budget_gb: 0.01 });
    for (const name of names) expect(await get(name)).toMatchObject({ isWhole: true, status: expect.stringContaining("stored") as string });
    expect(bytesAtRest(mirror)).toBeLessThanOrEqual(10 * MB);
    const { mirrors } = await (
      await fetch(`${mirror.url}/-/status.json`, { headers: operatorOf(mirror) })
    ).json<{ mirrors: readonly unknown[] }>();
    expect(mirrors).toMatchObject([{ name: "files", quota: 10 * MB }]);
  });
});

describe("90 clients that read no further than the headers of files that are not stored", () => {
  const CLIENTS = 90;

  it("keep no other client from a file that is fetched for it, stored or not", async () => {
    const { mirror, origin, url, get, folder } = await startPair(
      "stalled",
      { large: 40 * MB, cold: 3 * MB, passed: 36 * MB },
      { BUDGET_GB: 0.06, SLICE_MIB: 8 },
    );
    for (let index = 0; index < CLIENTS; index++) linkSync(join(folder, "pool/large.tar.gz"), join(folder, `pool/large-${index}.tar.gz`));
    const sockets = await Promise.all(
      Array.from({ length: CLIENTS }, async (_, index) => {
        const socket = connect(mirror.port, "127.0.0.1");
        cleanups.push(() => socket.destroy());
        socket.on("error", () => {});
        const { pathname, host } = new URL(url(`large-${index}`));
        socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
        const [first] = (await once(socket, "data")) as [Buffer];
        socket.pause();
        return { socket, first: first.toString("latin1") };
      }),
    );
    for (const { first } of sockets) expect(first).toMatch(/^HTTP\/1.1 200 /);
    // No more comes for any of them: all that they may hold is held.
    let asked = 0;
    await vi.waitFor(
      async () => {
        const before = asked;
        asked = origin.log.length;
        expect(asked).toBe(before);
      },
      { timeout: LONG_MS, interval: 1_000 },
    );
    const cold = await get("cold");
    expect(cold).toMatchObject({ isWhole: true, status: expect.stringContaining("stored") as string });
    const passed = await get("passed");
    expect(passed).toMatchObject({ isWhole: true, status: expect.not.stringContaining("stored") as string });
  });
});
