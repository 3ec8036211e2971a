import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { download } from "../support/download.ts";
import { makeIso, placeFile } from "../support/large-files.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";

const MIB = 1024 * 1024;

let folder: string;
let origin: Origin;
let mirror: MirrorProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-slices-"));
  origin = await startOrigin(folder);
  // Half of the budget is 60 MB: what is longer passes unstored.
  mirror = await startMirror({
    mirrors: { m: { upstreams: [origin.url], distro: "debian" } },
    vars: { SLICE_MIB: 2, BUDGET_GB: 0.12, UPSTREAM_STALL_SECONDS: 3, UPSTREAM_FIRST_BYTE_SECONDS: 2 },
  });
});
afterAll(async () => {
  await mirror.remove();
  await origin.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("an object stored in slices of another length than the configured one", () => {
  test.each([1, 4])("is read, and completed, in its own (2 MiB, then %d)", async (sliceMib) => {
    const path = `old-${sliceMib}-1.0.iso`;
    const bytes = makeIso(path, 12_000_000);
    const { sha256 } = placeFile(folder, path, bytes);
    const part = placeFile(folder, `part-${path}`, bytes);
    expect((await download(`${mirror.prefixUrl("m")}/${path}`)).sha256).toBe(sha256);
    // Of this one only the end is stored.
    await download(`${mirror.prefixUrl("m")}/part-${path}`, { headers: { Range: "bytes=-1000000" } });
    await mirror.stop();
    await mirror.start({ SLICE_MIB: sliceMib });
    expect(await download(`${mirror.prefixUrl("m")}/${path}`)).toMatchObject({ status: 200, sha256, isWhole: true });
    const [first, last] = [2 * MIB - 50, 2 * MIB + 49];
    const headers = { Range: `bytes=${first}-${last}` };
    const range = await download(`${mirror.prefixUrl("m")}/${path}`, { headers, isKept: true });
    expect(range.bytes.equals(bytes.subarray(first, last + 1))).toBe(true);
    expect(await download(`${mirror.prefixUrl("m")}/part-${path}`)).toMatchObject({ status: 200, sha256: part.sha256, isWhole: true });
    await mirror.stop();
    await mirror.start();
  });
});

test("a whole stored copy is replaced only by a whole one: an upstream that dies half-way costs nothing", async () => {
  const path = "copy-1.0.iso";
  const old = placeFile(folder, path, makeIso("old", 9_000_000));
  const url = `${mirror.prefixUrl("m")}/${path}`;
  expect((await download(url)).sha256).toBe(old.sha256);
  // A doubt is followed up a minute after the copy was fetched.
  await mirror.stop();
  const meta = join(mirror.stateFolder, "store/meta/m", `${path}.json`);
  writeFileSync(
    meta,
    readFileSync(meta, "utf8").replace(/"storedAt":(\d+)/, (_, at: string) => `"storedAt":${Number(at) - 120_000}`),
  );
  await mirror.start();
  placeFile(folder, path, makeIso("new", 9_500_000), 1_800_000_000);
  const cut = origin.fault(`/${path}`, { kind: "cut", at: 0.6 });
  expect(await download(url, { headers: { "Cache-Control": "no-cache" } })).toMatchObject({ isWhole: false });
  expect(cut.hits).toBeGreaterThan(0);
  expect(await download(url)).toMatchObject({ status: 200, sha256: old.sha256, isWhole: true });
  cut.clear();
});

describe("a file that may not be stored", () => {
  const path = "huge-1.0.iso";

  test("is read to its end by a client slower than the origin, and by one that comes later", async () => {
    const { sha256 } = placeFile(folder, path, makeIso("huge", 70_000_000));
    const url = `${mirror.prefixUrl("m")}/${path}`;
    let isFar = (): void => {};
    const far = new Promise<void>((resolve) => (isFar = resolve));
    const slow = download(url, {
      onBytes: async (length) => {
        if (length > 50_000_000) isFar();
        await new Promise((resolve) => setImmediate(resolve));
      },
    });
    await far;
    const late = download(url);
    expect(await slow).toMatchObject({ status: 200, sha256, isWhole: true });
    expect(await late).toMatchObject({ status: 200, sha256, isWhole: true });
  });
});

test("what is stored under a folder's name without its slash keeps nothing below it out of the store", async () => {
  const bytes = makeIso("below", 100_000);
  const { sha256 } = placeFile(folder, "folder/sub/below-1.0.iso", bytes);
  await download(`${mirror.prefixUrl("m")}/folder/sub`);
  const url = `${mirror.prefixUrl("m")}/folder/sub/below-1.0.iso`;
  expect((await download(url)).sha256).toBe(sha256);
  const asked = origin.requests("/folder/sub/below-1.0.iso").length;
  expect((await download(url)).sha256).toBe(sha256);
  expect(origin.requests("/folder/sub/below-1.0.iso")).toHaveLength(asked);
});
