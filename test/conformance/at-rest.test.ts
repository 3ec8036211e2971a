import { spawnSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { download } from "../support/download.ts";
import { makeIso, placeFile } from "../support/large-files.ts";
import { deb, debSuite, type Files } from "../support/miniature/deb-archive.ts";
import { rpm, rpmMd } from "../support/miniature/rpm-md.ts";
import { type MirrorProcess, type MirrorSetup, startMirror } from "../support/mirror.ts";
import { type Origin, startOrigin } from "../support/origin.ts";

const TTL_MS = 1_000;
const VARS = { SLICE_MIB: 1, HOLD_MIB: 0.5, METADATA_TTL_SECONDS: TTL_MS / 1_000, METADATA_WAIT_SECONDS: 5 };
const canMount = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "none", tmpdir()]).status === 0;

let folder: string;
let origin: Origin;
let mirror: MirrorProcess | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-rest-"));
  mkdirSync(join(folder, "upstream"));
  origin = await startOrigin(join(folder, "upstream"));
});
afterEach(async () => {
  await mirror?.remove();
  await origin.close();
  rmSync(folder, { recursive: true });
});

describe.runIf(canMount)("on a full disk", () => {
  test("all that is published is served, what is new is passed on, and both heal when there is room", async () => {
    const pid = join(folder, "pid");
    mirror = await start([
      "unshare",
      "-rm",
      "sh",
      "-c",
      `mkdir -p "$STATE" && mount -t tmpfs -o size=24m none "$STATE" && echo $$ > ${pid} && exec "$@"`,
      "sh",
    ]);
    const state = `/proc/${readFileSync(pid, "utf8").trim()}/root${mirror.stateFolder}`;
    const first = publish(1);
    await expectAll(first, "at first");
    fillUp(join(state, "filler"));
    await expectAll(first, "within the TTL");
    await sleep(TTL_MS);
    for (const what of ["behind the TTL", "at once after"]) await expectAll(first, what);
    const second = publish(2);
    await sleep(TTL_MS);
    await expectAll(second, "a new generation");
    fillUp(join(state, "filler-2"));
    await sleep(TTL_MS);
    await expectAll(second, "the new generation again");
    rmSync(join(state, "filler"));
    rmSync(join(state, "filler-2"), { force: true });
    await sleep(TTL_MS);
    await expectAll(second, "with room again");
    await origin.close();
    await sleep(TTL_MS);
    await expectAll(second, "with room again, and the upstream gone");
    await origin.restart();
    expect(mirror.output()).not.toMatch(/Cannot answer/);
  });

  test.each([
    ["stop", 3, ""],
    ["kill", 4, ""],
    // As after a start on the full disk: there is room for databases, and for no copy of the Worker.
    ["stop with the reserve used up", 7, 'rm "$STATE/reserve"; head -c 640k /dev/zero >"$STATE/room"'],
  ])("a server starts after a %s, and serves what is published", async (how, n, useUp) => {
    const end = how === "kill" ? "kill" : "stop";
    const fill = `cp -a "$STATE" "$STATE.kept" && mount -t tmpfs -o size=24m none "$STATE" && cp -a "$STATE.kept/." "$STATE/"
      ${useUp}
      dd if=/dev/zero of="$STATE/a" bs=64k 2>/dev/null; dd if=/dev/zero of="$STATE/b" bs=512 2>/dev/null; rm -f "$STATE/room"`;
    mirror = await start(["unshare", "-rm", "sh", "-c", `if [ -e "$STATE/lock" ]; then ${fill}; fi; exec "$@"`, "sh"]);
    const files = publish(n);
    await expectAll(files, "before");
    await mirror[end]();
    await mirror.start();
    await expectAll(files, "after");
    await origin.close();
    await sleep(TTL_MS);
    await expectAll(files, "without an upstream");
    await origin.restart();
  });
});

describe("damaged state", () => {
  test("is named and set aside, and made anew: the server starts, and serves what is stored", async () => {
    mirror = await start();
    const files = publish(5);
    await expectAll(files, "before");
    await mirror.stop();
    const objects = join(mirror.stateFolder, "objects");
    const databases = readdirSync(objects, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".sqlite"));
    expect(databases.filter((name) => name.includes("LedgerObject")).length).toBeGreaterThan(1);
    databases.forEach((name, at) => damage(join(objects, name), at));
    const meta = "store/meta/m/pool/a_1.0_amd64.deb.json";
    writeFileSync(join(mirror.stateFolder, meta), '{"key":"m/pool/a_1');
    await mirror.start();
    expect(mirror.output().match(/^Set aside the damaged database/gm)).toHaveLength(databases.length);
    expect(mirror.output()).toMatch(/the ledger is made anew/);
    await expectAll(files, "after");
    expect(mirror.output().match(/damaged: its object is fetched again/g)).toHaveLength(1);
    // Without a hit or a fill of its own, the ledger knows what was stored before.
    await expect.poll(async () => (await storedObjects()) >= Object.keys(files).length - 2, { timeout: 30_000 }).toBe(true);
    await mirror.stop();
    await mirror.start();
    expect(mirror.output().match(/^Set aside the damaged database/gm)).toHaveLength(databases.length);
  });
});

describe("after a power cut", () => {
  test("what was not on the disk yet is fetched again where it is spoiled, and what is whole is served", async () => {
    mirror = await start();
    const files: Record<string, Buffer> = { ...publish(6), "images/a.iso": makeIso("power-cut", 3 * 1024 * 1024) };
    placeFile(join(folder, "upstream"), "/images/a.iso", files["images/a.iso"] ?? Buffer.alloc(0));
    await expectAll(files, "before");
    await mirror.kill();
    // The next start is another run of the machine, and the file system lost what these files held.
    const note = join(mirror.stateFolder, "flushed.json");
    writeFileSync(note, readFileSync(note, "utf8").replace(/"boot":("[^"]*"|null)/, '"boot":"another"'));
    const store = join(mirror.stateFolder, "store");
    const stored = readdirSync(store, { recursive: true, encoding: "utf8" });
    const spoiled = stored.filter((name) => /_1\.0_amd64\.deb$|slices\/.*\/1$|repomd\.xml$|Packages\.gz$/.test(name));
    expect(spoiled.length).toBeGreaterThanOrEqual(3);
    for (const name of spoiled) writeFileSync(join(store, name), Buffer.alloc(statSync(join(store, name)).size));
    origin.log.length = 0;
    await mirror.start();
    for (const what of ["at once", "again"]) await expectAll(files, what);
    expect(mirror.output()).toMatch(/_1\.0_amd64\.deb" in the store is damaged: its object is fetched again/);
    expect(origin.requests(/noarch\.rpm$/)).toEqual([]);
    // A second power cut does not make it forget the first.
    await mirror.kill();
    await mirror.start();
    expect(JSON.parse(readFileSync(note, "utf8"))).toMatchObject({ isEnded: false, suspects: [[expect.any(Number), expect.any(Number)]] });
    await mirror.stop();
    expect(JSON.parse(readFileSync(note, "utf8"))).toMatchObject({ isEnded: true, suspects: [[expect.any(Number), expect.any(Number)]] });
  });
});

/** Overwrites all of a database, its pages behind the first, or its first bytes. */
function damage(path: string, kind: number): void {
  const bytes = readFileSync(path);
  if (kind % 3 === 0 || bytes.length <= 4096) bytes.fill(7);
  else if (kind % 3 === 1) bytes.fill(7, 4096);
  else bytes.fill(0, 0, 512);
  writeFileSync(path, bytes);
}

/** How many objects the ledgers know. */
async function storedObjects(): Promise<number> {
  const token = readFileSync(join(mirror?.stateFolder ?? "", "admin-token"), "utf8").trim();
  const { bytes } = await download(`${mirror?.url}/-/ledger/`, { isKept: true, headers: { Authorization: `Bearer ${token}` } });
  const counts = [...bytes.toString().matchAll(/"objects":(\d+)/g)].map(([, count]) => Number(count));
  return counts.reduce((sum, count) => sum + count, 0);
}

function start(launcher: readonly string[] = [], vars: MirrorSetup["vars"] = VARS): Promise<MirrorProcess> {
  return startMirror({ mirrors: { m: { upstreams: [origin.url] } }, vars, launcher });
}

/** Publishes generation `n` of an rpm-md repository and of a suite, and gives all files of it that clients ask for: roots first. */
function publish(n: number): Files {
  const seconds = 1_700_000_000 + n * 3_600;
  const rpms = rpmMd({
    folder: "rpm",
    revision: seconds,
    entries: ["a", `b${n}`].map((name) => rpm(name, `rest-${name}`, { href: `Packages/${name}-1.0.noarch.rpm` })),
    isSigned: true,
  });
  const debs = debSuite({
    folder: "dists/stable",
    date: seconds,
    entries: ["a", `b${n}`].map((name) => deb(name, `rest-${name}`, { filename: `pool/${name}_1.0_amd64.deb` })),
    forms: [".gz"],
  });
  const files = { ...rpms, ...debs };
  for (const [path, bytes] of Object.entries(files)) {
    const file = join(folder, "upstream", path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
  const isRoot = (path: string): boolean => /repomd\.xml$|InRelease$/.test(path);
  return Object.fromEntries(Object.entries(files).toSorted(([one], [other]) => Number(isRoot(other)) - Number(isRoot(one))));
}

async function expectAll(files: Files, what: string): Promise<void> {
  const wrong: string[] = [];
  for (const [path, bytes] of Object.entries(files)) {
    const got = await download(`${mirror?.prefixUrl("m")}/${path}`, { isKept: true });
    if (got.status !== 200 || !got.bytes.equals(bytes)) wrong.push(`${path}: ${got.status}, ${got.length} of ${bytes.length} bytes`);
  }
  expect({ what, wrong }).toEqual({ what, wrong: [] });
}

/** Writes a file until its disk takes nothing more. */
function fillUp(path: string): void {
  const file = openSync(path, "a");
  for (const size of [65_536, 512]) {
    try {
      for (;;) writeSync(file, Buffer.alloc(size, 1));
    } catch (error) {
      expect(error).toMatchObject({ code: "ENOSPC" });
    }
  }
  closeSync(file);
}
