import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bodyPath } from "../../src/store/disk-path.ts";
import { download } from "../support/download.ts";
import { sha256 } from "../support/fixture.ts";
import { makeDeb, placeFile } from "../support/large-files.ts";
import { type MirrorProcess, startMirror } from "../support/mirror.ts";
import { type Origin, startOrigin } from "../support/origin.ts";

let folder: string;
let origin: Origin;
let mirror: MirrorProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-hot-"));
  origin = await startOrigin(folder);
  mirror = await startMirror({ mirrors: { m: { upstreams: [origin.url] } }, vars: { HOT_MIB: 16 } });
});
afterAll(async () => {
  await mirror?.remove();
  await origin?.close();
  rmSync(folder, { recursive: true, force: true });
});

const get = (path: string, headers: Record<string, string> = {}) => download(`${mirror.prefixUrl("m")}/${path}`, { headers, isKept: true });

test.each([
  ["all of it", "whole", {}],
  ["a part of it", "part", { Range: "bytes=1000-1999" }],
])("of a file that memory holds, a client that doubts it has the disk's bytes compared, and gets %s", async (_what, name, range) => {
  const path = `pool/hot-${name}_1.0_amd64.deb`;
  const { bytes } = placeFile(folder, path, makeDeb(`hot in memory, ${name}`, 40_000));
  // Memory takes a file with its second use.
  for (let use = 0; use < 4; use++) expect((await get(path)).sha256).toBe(sha256(bytes));
  const file = join(mirror.stateFolder, "store", bodyPath(`m/${path}`));
  const { atime, mtime } = statSync(file);
  const rotten = readFileSync(file);
  rotten.writeUInt8(rotten.readUInt8(20_000) ^ 1, 20_000);
  writeFileSync(file, rotten);
  utimesSync(file, atime, mtime);
  expect((await get(path)).sha256).toBe(sha256(bytes));
  const asked = origin.requests(`/${path}`).length;
  const mended = await get(path, { "Cache-Control": "no-cache", ...range });
  expect(mended.sha256).toBe(sha256("Range" in range ? bytes.subarray(1_000, 2_000) : bytes));
  expect(origin.requests(`/${path}`)).toHaveLength(asked + 1);
  expect((await get(path)).sha256).toBe(sha256(bytes));
  expect(readFileSync(file).equals(bytes)).toBe(true);
});
