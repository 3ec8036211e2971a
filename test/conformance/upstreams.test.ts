import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { download } from "../support/download.ts";
import type { Download } from "../support/download.ts";
import { makeDeb, makeIso, placeFile } from "../support/large-files.ts";
import type { PlacedFile } from "../support/large-files.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import type { Fault } from "../support/origin-fault.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";

const MIB = 1_048_576;
const SLICE = 8 * MIB;
const FIRST_BYTE_SECONDS = 2;
/** On a machine with other things to do. */
const NOISE_MS = 8_000;

/** Upstreams that tests break. */
const FRAGILE = 16;

/** Takes connections and says nothing, or (`false`) is not there at all. */
async function startMute(): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((socket) => socket.on("error", () => {}));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot listen on a port");
  return { url: `http://127.0.0.1:${address.port}`, close: () => server.close() };
}

describe("a mirror with two upstreams", () => {
  const folders = [mkdtempSync(join(tmpdir(), "lazy-mirror-first-")), mkdtempSync(join(tmpdir(), "lazy-mirror-second-"))] as const;
  let first: Origin;
  let second: Origin;
  let lonely: Origin;
  /** One for each test that breaks it: an upstream that failed before is not asked first. */
  const fragile: Origin[] = [];
  let used = 0;
  let mute: Awaited<ReturnType<typeof startMute>>;
  let mirror: MirrorProcess;

  beforeAll(async () => {
    [first, second, lonely] = [await startOrigin(folders[0]), await startOrigin(folders[1]), await startOrigin(folders[0])];
    for (let count = 0; count < FRAGILE; count++) fragile.push(await startOrigin(folders[0]));
    mute = await startMute();
    const refused = await startMute();
    refused.close();
    mirror = await startMirror({
      mirrors: {
        two: { upstreams: [first.url, second.url] },
        ...Object.fromEntries(
          fragile.map(({ url }, index) => [`fragile${index}`, { upstreams: [url, second.url], hosts: [`fragile${index}.test`] }]),
        ),
        refused: { upstreams: [refused.url, second.url] },
        mute: { upstreams: [mute.url, second.url] },
        hole: { upstreams: [lonely.url, second.url] },
        dead: { upstreams: [refused.url, mute.url] },
        alone: { upstreams: [lonely.url] },
      },
      vars: { UPSTREAM_STALL_SECONDS: 3, UPSTREAM_FIRST_BYTE_SECONDS: FIRST_BYTE_SECONDS, METADATA_TTL_SECONDS: 0 },
    });
  });
  afterAll(async () => {
    await mirror?.remove();
    for (const origin of [first, second, lonely, ...fragile]) await origin?.close();
    mute?.close();
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    for (const origin of [first, second, lonely]) {
      await origin.idle();
      origin.clearFaults();
      origin.bytesPerSecond = undefined;
      origin.log.length = 0;
    }
  });

  const get = (name: string, path: string, headers: Record<string, string> = {}): Promise<Download> =>
    download(mirror.prefixUrl(name) + path, { headers });
  /** The same file on both. */
  function place(path: string, bytes: Buffer): PlacedFile {
    placeFile(folders[0], path, bytes);
    return placeFile(folders[1], path, bytes);
  }
  function expectExact({ status, length, sha256, isWhole }: Download, file: PlacedFile): void {
    expect({ status, length, sha256, isWhole }).toEqual({ status: 200, length: file.size, sha256: file.sha256, isWhole: true });
  }
  /** An upstream that has not failed yet, before `second`. */
  function nextPair(): { readonly name: string; readonly origin: Origin } {
    const origin = fragile[used];
    if (origin === undefined) throw new Error(`Cannot break a ${used + 1}th upstream: FRAGILE is ${FRAGILE}`);
    return { name: `fragile${used++}`, origin };
  }
  const sent = (origin: Origin, path: string): number => origin.requests(path).reduce((sum, { bytes }) => sum + bytes, 0);

  it.each(["refused", "mute", "hole"])("answers from the second when the first is: %s; later requests wait no more", async (name) => {
    if (name === "hole") lonely.fault(/./, { kind: "black-hole" });
    const files = Array.from({ length: 6 }, (_, index) => place(`/${name}/${index}.deb`, makeDeb(`${name}-${index}`, MIB)));
    const took: number[] = [];
    for (const file of files) {
      const started = Date.now();
      expectExact(await get(name, file.path), file);
      took.push(Date.now() - started);
    }
    for (const ms of took) expect(ms).toBeLessThan(FIRST_BYTE_SECONDS * 1000 + NOISE_MS);
    // The breaker has opened: it is not asked each time.
    expect(took.filter((ms) => ms >= FIRST_BYTE_SECONDS * 1000).length).toBeLessThan(files.length);
  });

  const CUTS = [0.01, 0.6, 0.99].flatMap((at) =>
    (["cut", "reset", "stall"] as const).map((kind) => ({ at, kind, fault: { kind, at } satisfies Fault })),
  );
  it.each(CUTS)("goes on from the second when the first has a $kind at $at of a 3 MB deb", async ({ at, kind, fault }) => {
    const file = place(`/cut/${kind}-${at}.deb`, makeDeb(`${kind}-${at}`, 3 * MIB));
    const { name, origin } = nextPair();
    const active = origin.fault(file.path, fault);
    expectExact(await get(name, file.path), file);
    expect(active.hits).toBeGreaterThan(0);
    expectExact(await get(name, file.path), file);
  });

  it.each([0.01, 0.6, 0.99])(
    "goes on from the second when the first ends at %d of a 200 MB image: a slice is fetched twice at most",
    async (at) => {
      const file = place(`/cut/${at}.iso`, makeIso(`cut-${at}`, 200 * MIB));
      const { name, origin } = nextPair();
      // Once: the connection is lost, and the first upstream gone.
      origin.fault(file.path, { kind: "status", status: 500 });
      origin.fault(file.path, { kind: "cut", at }, { times: 1 });
      expectExact(await get(name, file.path), file);
      expect(sent(second, file.path)).toBeGreaterThan(0);
      expect(sent(origin, file.path) + sent(second, file.path)).toBeLessThan(file.size + SLICE);
    },
  );

  it.each([
    ["a deb that is held", "/other/a.deb", makeDeb("one", 3 * MIB), makeDeb("two", 3 * MIB)],
    ["an image that is streamed", "/other/a.iso", makeIso("one", 40 * MIB), makeIso("two", 40 * MIB)],
  ])("never mixes %s with another of the same name, size and date", async (_kind, path, one, two) => {
    const [left, right] = [placeFile(folders[0], path, one), placeFile(folders[1], path, two)];
    const { name, origin } = nextPair();
    origin.fault(path, { kind: "status", status: 500 });
    origin.fault(path, { kind: "cut", at: 0.5 }, { times: 1 });
    const mixed = await get(name, path);
    if (mixed.isWhole && mixed.status === 200) expect([left.sha256, right.sha256]).toContain(mixed.sha256);
    origin.clearFaults();
    const after = await get(name, path);
    expect([left.sha256, right.sha256]).toContain(after.sha256);
    expect(after.isWhole).toBe(true);
    const rest = await get(name, path, { range: `bytes=${mixed.length}-`, "if-range": mixed.headers.etag ?? '"none"' });
    if (rest.status === 200) expect([left.sha256, right.sha256]).toContain(rest.sha256);
  });

  it("serves what it has when all are dead, and works at once when one is back", async () => {
    const warm = placeFile(folders[0], "/all/warm.deb", makeDeb("warm", 3 * MIB));
    const image = placeFile(folders[0], "/all/warm.iso", makeIso("warm", 20 * MIB));
    const metadata = placeFile(folders[0], "/all/dists/x/Release", Buffer.from("Origin: nobody\n"));
    const cold = placeFile(folders[0], "/all/cold.deb", makeDeb("cold", 3 * MIB));
    for (const file of [warm, image, metadata]) expectExact(await get("alone", file.path), file);
    await lonely.close();
    for (const file of [warm, image, metadata]) expectExact(await get("alone", file.path), file);
    const refusal = await get("alone", cold.path);
    expect([502, 504]).toContain(refusal.status);
    expect(refusal.length).toBeGreaterThan(0);
    await lonely.restart();
    expectExact(await get("alone", cold.path), cold);
  });

  it("refuses what is cold within its limits when nobody answers, with a body", async () => {
    for (let times = 0; times < 3; times++) {
      const started = Date.now();
      const refusal = await get("dead", `/nothing/${times}.deb`);
      expect([502, 504]).toContain(refusal.status);
      expect(refusal.length).toBeGreaterThan(0);
      expect(Date.now() - started).toBeLessThan(2 * FIRST_BYTE_SECONDS * 1000 + NOISE_MS);
    }
  });

  it("says 404 only when nobody has it", async () => {
    const onlySecond = placeFile(folders[1], "/some/second.deb", makeDeb("second", MIB));
    expectExact(await get("two", onlySecond.path), onlySecond);
    expect((await get("two", "/some/none.deb")).status).toBe(404);
    expect((await get("mute", "/some/none.deb")).status).toBe(502);
    // The first sends a broken one, and the second has none.
    const broken = placeFile(folders[0], "/some/broken.deb", makeDeb("broken", MIB));
    const { name, origin } = nextPair();
    origin.fault(broken.path, { kind: "short", at: 0.5 });
    expect((await get(name, broken.path)).status).toBe(502);
  });

  it("begins a held file anew from the second when the first's proves bad, however slow the second is", async () => {
    const file = place("/slow/a.deb", makeDeb("slow", MIB));
    const { name, origin } = nextPair();
    origin.fault(file.path, { kind: "short", at: 0.5 });
    const silent = second.fault(file.path, { kind: "black-hole" });
    const asked = get(name, file.path);
    await second.waitForRequest(file.path);
    // Longer than a small file is held for.
    await new Promise((resolve) => setTimeout(resolve, 1_700));
    silent.clear();
    expectExact(await asked, file);
  });

  it("keeps the stored copy when the upstream's new one is broken", async () => {
    const old = placeFile(folders[0], "/moving/x.db", Buffer.alloc(MIB, "old"), 1_700_000_000);
    expectExact(await get("alone", old.path), old);
    placeFile(folders[0], old.path, Buffer.alloc(MIB, "new"), 1_700_001_000);
    lonely.fault(old.path, { kind: "cut", at: 0.5 });
    expectExact(await get("alone", old.path), old);
  });
});
