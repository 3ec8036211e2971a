import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { download } from "../support/download.ts";
import { makeDeb, makeIso, placeFile } from "../support/large-files.ts";
import type { PlacedFile } from "../support/large-files.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess, MirrorSetup } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";

const KILLS = 6;
const CLIENTS = 12;
const DAY_MS = 86_400_000;
const VARS = { SLICE_MIB: 1, HOLD_MIB: 0.5 };

let folder: string;
let origin: Origin;
let mirror: MirrorProcess | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-hostile-"));
  origin = await startOrigin(folder);
});
afterEach(async () => {
  await mirror?.remove();
  await origin.close();
  rmSync(folder, { recursive: true });
});

test("a server that is killed again and again under load never gives a wrong byte for a right one", async () => {
  mirror = await start();
  const files = [
    ...placeAll(30, 200_000),
    ...placeAll(6, 900_000),
    ...[1, 2, 3].map((seed) => placeFile(folder, `/images/${seed}.iso`, makeIso(`storm-${seed}`, 5 * 1024 * 1024))),
  ];
  const wrong: string[] = [];
  let whole = 0;
  let isOver = false;
  const client = async (number: number): Promise<void> => {
    for (let turn = number; !isOver; turn += 7) {
      const file = files[turn % files.length] as PlacedFile;
      const got = await download(`${mirror?.prefixUrl("m")}${file.path}`);
      if (got.status === 200 && got.isWhole) whole += 1;
      if (got.status === 200 && got.isWhole && got.sha256 !== file.sha256) wrong.push(file.path);
      if (got.status === 0) await sleep(20);
    }
  };
  const clients = Array.from({ length: CLIENTS }, (_, number) => client(number));
  for (let kills = 0; kills < KILLS; kills++) {
    const before = whole;
    await expect.poll(() => whole, { timeout: 30_000 }).toBeGreaterThan(before + 10);
    await mirror.kill();
    await mirror.start();
  }
  isOver = true;
  await Promise.all(clients);
  expect(wrong).toEqual([]);
  for (const file of files) await expectRight(file);
  await mirror.stop();
  await mirror.start();
  const store = join(mirror.stateFolder, "store");
  const unfinished = (): readonly string[] =>
    readdirSync(store, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".tmp"));
  // The server removes them while it runs, at its second look.
  await expect.poll(unfinished, { timeout: 90_000, interval: 1_000 }).toEqual([]);
});

test.for([-3650, -120, 3, 3650])("files stored under a clock that was %i days off are served when it is set right", async (days) => {
  mirror = await start();
  const files = [...placeAll(3, 200_000), placeFile(folder, "/images/a.iso", makeIso("clock", 3 * 1024 * 1024))];
  for (const file of files) await expectRight(file);
  await mirror.stop();
  const meta = join(mirror.stateFolder, "store/meta");
  for (const name of readdirSync(meta, { recursive: true, encoding: "utf8" }).filter((each) => each.endsWith(".json"))) {
    const shift = (_: string, storedAt: string) => `"storedAt":${Number(storedAt) + days * DAY_MS}`;
    const path = join(meta, name);
    const before = readFileSync(path, "utf8");
    writeFileSync(path, before.replace(/"storedAt":(\d+)/, shift));
    expect(readFileSync(path, "utf8")).not.toBe(before);
  }
  await mirror.start();
  for (let times = 0; times < 2; times++) for (const file of files) await expectRight(file);
  origin.log.length = 0;
  for (const file of files) await expectRight(file);
  expect(origin.log.filter(({ bytes }) => bytes > 0)).toEqual([]);
});

test("a limit of few open files is told at the start; who reaches it gets no wrong byte, and a new start has all", async () => {
  mirror = await start({ launcher: ["sh", "-c", 'ulimit -n 128; exec "$@"', "sh"] });
  expect(mirror.output()).toMatch(/Only 128 files may be open at once, .*LimitNOFILE/);
  const files = placeAll(8, 300_000);
  const flood = await Promise.all(
    Array.from({ length: 150 }, async (_, number) => {
      const file = files[number % files.length] as PlacedFile;
      return { file, got: await download(`${mirror?.prefixUrl("m")}${file.path}`) };
    }),
  );
  const wrong = flood.filter(({ file, got }) => got.status === 200 && got.isWhole && got.sha256 !== file.sha256);
  expect(wrong).toEqual([]);
  // workerd ends when it cannot accept a connection, and the server with it.
  await mirror.stop().catch(() => {});
  await mirror.start();
  for (const file of files) await expectRight(file);
});

function start(setup: Pick<MirrorSetup, "launcher" | "env"> = {}): Promise<MirrorProcess> {
  return startMirror({ mirrors: { m: { upstreams: [origin.url] } }, vars: VARS, ...setup });
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
