import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { OTHERS, PRIMARIES } from "../support/hostile-indexes.ts";
import { makeDeb, placeFile } from "../support/large-files.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";
import { findWorkerds, readFigures } from "../support/process-figures.ts";

const MIB = 1024 * 1024;
/** What the limits allow takes seconds; without them it was the better part of an hour. */
const ALL_READ_MS = 200_000;
const HIT = "pool/h/hit/hit_1.0_all.deb";

let folder: string;
let origin: Origin;
let mirror: MirrorProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-hostile-"));
  origin = await startOrigin(folder);
  mirror = await startMirror({
    mirrors: { bad: { upstreams: [`${origin.url}/bad`] }, good: { upstreams: [`${origin.url}/good`], distro: "debian" } },
    vars: { METADATA_TTL_SECONDS: 600 },
  });
});
afterAll(async () => {
  await mirror.remove();
  await origin.close();
  rmSync(folder, { recursive: true, force: true });
});

function placeRpm(name: string, primary: Buffer): string {
  const digest = createHash("sha256").update(primary).digest("hex");
  const href = `repodata/${digest}-primary.xml.${name.split(".")[1]}`;
  placeFile(folder, `bad/${name}/${href}`, primary);
  const data = `<data type="primary"><checksum type="sha256">${digest}</checksum><location href="${href}"/><size>${primary.length}</size></data>`;
  placeFile(folder, `bad/${name}/repodata/repomd.xml`, Buffer.from(`<repomd><revision>1767000000</revision>${data}</repomd>`));
  return `${name}/repodata/repomd.xml`;
}

test("indexes made to keep a reader busy cost other mirrors' clients nothing but a moment, and no memory to speak of", async () => {
  placeFile(folder, `good/${HIT}`, makeDeb("hostile-hit", 100_000));
  const paths = Object.entries(PRIMARIES).map(([name, make]) => placeRpm(name, make()));
  for (const [path, make] of Object.entries(OTHERS)) {
    placeFile(folder, `bad/${path}`, make());
    paths.push(path);
  }
  const hit = `${mirror.prefixUrl("good")}/${HIT}`;
  const get = async (url: string): Promise<number> => {
    const response = await fetch(url);
    await response.arrayBuffer();
    return response.status;
  };
  for (let n = 0; n < 3; n++) expect(await get(hit)).toBe(200);
  const [workerd = 0] = findWorkerds();
  const before = readFigures(workerd).residentBytes;
  const statuses = new Map<string, number | string>();
  const asked = paths.map(async (path) =>
    statuses.set(path, await get(`${mirror.prefixUrl("bad")}/${path}`).catch((error: unknown) => String(error))),
  );
  let isOver = false;
  const all = Promise.all(asked).then(async () => {
    // The tables are made behind the answers: until none of them is, workerd is busy.
    let idle = 0;
    for (const deadline = Date.now() + ALL_READ_MS; idle < 4 && Date.now() < deadline;) {
      const { cpuSeconds } = readFigures(workerd);
      await sleep(1000);
      idle = readFigures(workerd).cpuSeconds - cpuSeconds < 0.35 ? idle + 1 : 0;
    }
    isOver = true;
  });
  let [hits, longest, peak] = [0, 0, 0];
  while (!isOver) {
    const start = performance.now();
    expect(await get(hit)).toBe(200);
    longest = Math.max(longest, performance.now() - start);
    peak = Math.max(peak, readFigures(workerd).residentBytes);
    hits++;
    await sleep(20);
  }
  await all;
  const grown = Math.round((peak - before) / MIB);
  console.log(`${hits} hits, the longest took ${Math.round(longest)} ms; memory grew by ${grown} MiB`);
  // What is over a limit is served all the same.
  expect([...statuses].filter(([, status]) => status !== 200)).toEqual([]);
  expect(hits).toBeGreaterThan(50);
  expect(grown).toBeLessThan(300);
});
