import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { download } from "../support/download.ts";
import { makeDeb, makeIso, placeFile } from "../support/large-files.ts";
import type { PlacedFile } from "../support/large-files.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";

const DISK_MIB = 32;
/** A file system of its own for the state folder, seen by the server alone. */
const SMALL_DISK = [
  "unshare",
  "-rm",
  "sh",
  "-c",
  `mkdir -p "$STATE" && mount -t tmpfs -o size=${DISK_MIB}m none "$STATE" && exec "$@"`,
  "sh",
];
const canMount = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "none", tmpdir()]).status === 0;
/** No file may grow beyond this, those of the ledger neither: writes are refused as on a full disk, where no disk can be mounted. */
const MAX_FILE_KIB = 192;
const WORKERD = join(import.meta.dirname, "../../node_modules/workerd/bin/workerd");

let folder: string;
let origin: Origin;
let mirror: MirrorProcess | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-disk-"));
  origin = await startOrigin(folder);
});
afterEach(async () => {
  await mirror?.remove();
  await origin.close();
  rmSync(folder, { recursive: true });
});

describe("a disk smaller than the budget", () => {
  test.runIf(canMount)("is said at the start, and never fills: what was used least goes", async () => {
    mirror = await start(SMALL_DISK);
    expect(mirror.output()).toMatch(/The disk has room for 0\.0 GB of BUDGET_GB 9\.0/);
    const files = placeAll(60, 1_000_000);
    for (const file of files) await expectRight(file);
    origin.log.length = 0;
    for (const file of files.slice(-5)) await expectRight(file);
    expect(origin.log).toEqual([]);
    expect(mirror.output()).not.toMatch(/Cannot PUT|unstored/);
  });

  test.runIf(canMount)("passes on what has no room in it at all", async () => {
    mirror = await start(SMALL_DISK);
    const iso = placeFile(folder, "/images/large.iso", makeIso("large", 40 * 1024 * 1024));
    for (let times = 0; times < 2; times++) await expectRight(iso);
    for (const file of placeAll(3, 300_000)) await expectRight(file);
  });
});

describe("a disk that refuses to take more", () => {
  test("gets in nobody's way: all is passed on, what it takes is kept", async () => {
    // By a script in workerd's place: Node gives a child the signals' own meaning back, which is to die.
    const script = join(folder, "workerd");
    writeFileSync(script, `#!/bin/sh\ntrap "" XFSZ\nulimit -f ${MAX_FILE_KIB * 2}\nexec ${WORKERD} "$@"\n`, { mode: 0o755 });
    mirror = await start([], { MINIFLARE_WORKERD_PATH: script });
    const files = [
      ...placeAll(5, 100_000),
      ...placeAll(5, 400_000),
      placeFile(folder, "/images/a.iso", makeIso("refused", 3 * 1024 * 1024)),
    ];
    for (let times = 0; times < 2; times++) {
      for (const file of files) await expectRight(file);
      await Promise.all(files.flatMap((file) => [expectRight(file), expectRight(file)]));
    }
    origin.log.length = 0;
    for (const file of files.slice(0, 5)) await expectRight(file);
    expect(origin.log).toEqual([]);
    expect((await download(`${mirror.url}/-/health`)).status).toBe(200);
    expect(mirror.output()).toMatch(/unstored/);
  });
});

function start(launcher: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<MirrorProcess> {
  return startMirror({ mirrors: { m: { upstreams: [origin.url] } }, vars: { SLICE_MIB: 1, HOLD_MIB: 0.5 }, launcher, env });
}

function placeAll(count: number, size: number): readonly PlacedFile[] {
  return Array.from({ length: count }, (_, index) =>
    placeFile(folder, `/pool/p${index}_${size}_all.deb`, makeDeb(`${index}-${size}`, size)),
  );
}

async function expectRight({ path, sha256 }: PlacedFile): Promise<void> {
  const got = await download(`${mirror?.prefixUrl("m")}${path}`);
  expect({ path, status: got.status, sha256: got.sha256 }).toEqual({ path, status: 200, sha256 });
}
