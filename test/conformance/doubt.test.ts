import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { bodyPath } from "../../src/store/disk-path.ts";
import { contentKey, ownContentKey } from "../../src/store/keys.ts";
import { download, type Download } from "../support/download.ts";
import { sha256 } from "../support/fixture.ts";
import { makeDeb, makeIso, placeFile } from "../support/large-files.ts";
import { deb, debSuite } from "../support/miniature/deb-archive.ts";
import { type MirrorProcess, startMirror } from "../support/mirror.ts";
import { type Origin, startOrigin } from "../support/origin.ts";

const DOUBT = { "Cache-Control": "no-cache" };
const ROOT = "debian/dists/doubtful/InRelease";
const NOW = Math.floor(Date.now() / 1000);

let folder: string;
let origin: Origin;
let mirror: MirrorProcess;
let pool: string;
let indexes: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-doubt-"));
  pool = "debian/pool/doubted_1.0_amd64.deb";
  const entries = [deb("doubted", "doubted of an index", { filename: pool.replace("debian/", ""), size: 40_000 })];
  const suite = debSuite({ folder: "dists/doubtful", date: NOW - 1_000, entries, isByHash: true });
  for (const [path, bytes] of Object.entries(suite)) placeFile(folder, `debian/${path}`, bytes);
  indexes = Object.keys(suite).find((path) => path.includes("by-hash/")) ?? "";
  origin = await startOrigin(folder);
  mirror = await startMirror({
    mirrors: { m: { upstreams: [origin.url] } },
    // Without bodies in memory, each request gets what lies on the disk.
    vars: { SLICE_MIB: 1, HOLD_MIB: 0.5, METADATA_TTL_SECONDS: 3600, HOT_MIB: 0 },
  });
});
afterAll(async () => {
  await mirror?.remove();
  await origin?.close();
  rmSync(folder, { recursive: true, force: true });
});

const get = (path: string, headers: Record<string, string> = {}): Promise<Download> =>
  download(`${mirror.prefixUrl("m")}/${path}`, { headers, isKept: true });

/** Changes one byte in the middle of a file, in place, as a bad disk does. */
function rot(file: string): void {
  const bytes = readFileSync(file);
  const at = Math.floor(bytes.length / 2);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(file, bytes);
}

const stored = (key: string): string => join(mirror.stateFolder, "store", bodyPath(key));
const digestOf = (bytes: Buffer) => ({ algorithm: "sha256", digest: sha256(bytes) });

/** The slices of a stored object, in order. */
function slicesOf(key: string): string[] {
  const { object } = JSON.parse(readFileSync(join(mirror.stateFolder, "store/meta", `${key}.json`), "utf8")) as {
    object: { version: string };
  };
  const at = join(mirror.stateFolder, "store/slices", object.version.slice(0, 2), object.version);
  return readdirSync(at)
    .toSorted((a, b) => Number(a) - Number(b))
    .map((name) => join(at, name));
}

/** A request with the operator's token. */
async function operator(
  path: string,
  init: { readonly method?: string; readonly headers?: Record<string, string> } = {},
): Promise<Response> {
  const token = readFileSync(join(mirror.stateFolder, "admin-token"), "utf8").trim();
  return fetch(mirror.url + path, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } });
}

/** Waits for a line of the log, which comes a moment after the answer. */
const logged = (line: RegExp): Promise<void> => vi.waitFor(() => expect(mirror.output()).toMatch(line), { timeout: 20_000 });

const status = async (): Promise<Record<string, unknown>> => (await operator("/-/status.json")).json<Record<string, unknown>>();

describe("a stored file of which a byte changed at rest", () => {
  test.each([
    ["without an index", "free/alone_1.0_amd64.deb", {}],
    ["that an index names", "", {}],
    ["of which a part is asked for", "free/part_1.0_amd64.deb", { Range: "bytes=59000-" }],
  ])("is sent to a client that doubts it as the upstream has it: a package %s", async (_what, name, range) => {
    const path = name === "" ? pool : name;
    const bytes = name === "" ? readFileSync(join(folder, pool)) : placeFile(folder, name, makeDeb(name, 60_000)).bytes;
    if (name === "") await get(ROOT);
    await get(path);
    rot(stored(`m/${path}`));
    // The upstream was asked a moment ago: a plain hit costs no comparison.
    expect((await get(path)).sha256).not.toBe(sha256(bytes));
    const asked = origin.requests(`/${path}`).length;
    const mended = await get(path, { ...DOUBT, ...range });
    expect(mended.isWhole).toBe(true);
    expect(mended.sha256).toBe(sha256("Range" in range ? bytes.subarray(59_000) : bytes));
    expect(origin.requests(`/${path}`)).toHaveLength(asked + 1);
    expect((await get(path)).sha256).toBe(sha256(bytes));
    await logged(new RegExp(`Deleted the stored m/${path.replaceAll(".", "\\.")}.*sha256 is [0-9a-f]{64}, not the ${sha256(bytes)}`));
  });

  test("is sent so too: a root, and an index by its hash", async () => {
    await get(ROOT);
    const root = readFileSync(join(folder, ROOT));
    rot(stored(ownContentKey({ name: "m" }, digestOf(root))));
    expect((await get(ROOT)).sha256).not.toBe(sha256(root));
    expect(await get(ROOT, DOUBT)).toMatchObject({ status: 200, sha256: sha256(root), isWhole: true });
    expect((await get(ROOT)).sha256).toBe(sha256(root));

    const member = `debian/${indexes}`;
    const bytes = readFileSync(join(folder, member));
    await get(member);
    rot(stored(contentKey({ name: "m" }, digestOf(bytes))));
    expect((await get(member)).sha256).not.toBe(sha256(bytes));
    expect(await get(member, { Pragma: "no-cache" })).toMatchObject({ status: 200, sha256: sha256(bytes), isWhole: true });
    expect((await get(member)).sha256).toBe(sha256(bytes));
  });

  test.each([
    ["in slices", 3_500_000],
    ["whole, but too long to be held back", 900_000],
  ])("is broken off if it is long, and is right from the next request on: one that is stored %s", async (what, size) => {
    const path = `free/long-${size}-1.0.iso`;
    const file = placeFile(folder, path, makeIso(`doubt of one ${what}`, size));
    const first = await get(path);
    expect(first.sha256).toBe(file.sha256);
    await origin.idle();
    rot(size > 1_048_576 ? (slicesOf(`m/${path}`)[1] ?? "") : stored(`m/${path}`));
    expect(await get(path)).toMatchObject({ isWhole: true });
    const cut = await get(path, DOUBT);
    expect(cut).toMatchObject({ status: 200, isWhole: false });
    expect(cut.length).toBeLessThan(size);
    // It must not be continued by its date.
    const headers = { Range: `bytes=${cut.length}-`, "If-Range": String(first.headers["last-modified"]) };
    expect(await get(path, headers)).toMatchObject({ status: 200, sha256: file.sha256, isWhole: true });
    expect(await get(path, DOUBT)).toMatchObject({ status: 200, sha256: file.sha256, isWhole: true });
  });

  test("is counted, and named on the status page", async () => {
    const { troubles } = (await status()) as { troubles: readonly { kind: string; where: string; cause: string }[] };
    const rotten = troubles.filter(({ kind }) => kind === "rotten");
    expect(rotten.map(({ where }) => where)).toContain(`m/${pool}`);
  });
});

describe("doubt is no lever", () => {
  test("of a file that is as it was stored nothing is fetched, and nothing is written", async () => {
    const path = "free/well_1.0_amd64.deb";
    const file = placeFile(folder, path, makeDeb("well", 50_000));
    await get(path);
    const before = statSync(stored(`m/${path}`)).mtimeMs;
    for (let n = 0; n < 20; n++) expect(await get(path, DOUBT)).toMatchObject({ status: 200, sha256: file.sha256, isWhole: true });
    expect(origin.requests(`/${path}`)).toHaveLength(1);
    expect(statSync(stored(`m/${path}`)).mtimeMs).toBe(before);
  });

  test("for a part of a long file only that part is read", async () => {
    const path = "free/parts-1.0.iso";
    const file = placeFile(folder, path, makeIso("doubted parts", 3_000_000));
    await get(path);
    await origin.idle();
    const [, middle = ""] = slicesOf(`m/${path}`);
    rot(middle);
    const part = await get(path, { ...DOUBT, Range: "bytes=0-9" });
    expect(part).toMatchObject({ status: 206, isWhole: true });
    expect(part.bytes.equals(file.bytes.subarray(0, 10))).toBe(true);
    // It is as it was: nothing looked at it.
    expect((await get(path)).sha256).not.toBe(file.sha256);
  });

  test("a HEAD reads nothing", async () => {
    const path = "free/head_1.0_amd64.deb";
    placeFile(folder, path, makeDeb("doubt of a head", 40_000));
    await get(path);
    rot(stored(`m/${path}`));
    const answered = await download(`${mirror.prefixUrl("m")}/${path}`, { method: "HEAD", headers: DOUBT });
    expect(answered).toMatchObject({ status: 200, length: 0 });
    expect(mirror.output()).not.toContain(`Deleted the stored m/${path}`);
  });
});

describe("the scrub", () => {
  interface Scrub {
    readonly began: number;
    readonly ended: number | null;
    readonly rotten: number;
    readonly last: readonly { readonly key: string }[];
  }

  /** Has a pass begun, and waits for its end. */
  async function scrubbed(): Promise<Scrub> {
    const asked = Date.now();
    await operator("/-/ledger/sweep", { method: "POST" });
    return vi.waitUntil(
      async () => {
        const { scrub } = (await status()) as { scrub: Scrub | null };
        return scrub !== null && scrub.began >= asked && scrub.ended !== null ? scrub : null;
      },
      { timeout: 90_000, interval: 250 },
    );
  }

  test("finds what changed without any client, in more turns than one, and the next client gets the file", async () => {
    // Of what other tests left.
    await scrubbed();
    const sizes = { "scrub/small_1.0_amd64.deb": 70_000, "scrub/long-1.0.iso": 7_500_000, "scrub/well-1.0.iso": 1_500_000 };
    const files = Object.entries(sizes).map(([path, size]) =>
      placeFile(folder, path, (path.endsWith(".deb") ? makeDeb : makeIso)(`scrub ${path}`, size)),
    );
    for (const { path } of files) await get(path);
    await origin.idle();
    rot(stored("m/scrub/small_1.0_amd64.deb"));
    rot(slicesOf("m/scrub/long-1.0.iso").at(-1) ?? "");
    const { rotten, last } = await scrubbed();
    expect(rotten).toBe(2);
    expect(last.map(({ key }) => key).toSorted()).toEqual(expect.arrayContaining(["m/scrub/long-1.0.iso", "m/scrub/small_1.0_amd64.deb"]));
    await logged(/Scrub: compared \d+ stored files of \d+ bytes .* 2 had changed/);
    const asked = origin.requests(/^\/scrub\/well/).length;
    for (const { path, sha256: wanted } of files) expect(await get(path)).toMatchObject({ status: 200, sha256: wanted, isWhole: true });
    expect(origin.requests(/^\/scrub\/well/)).toHaveLength(asked);
    expect(await (await operator("/-/status", { headers: { accept: "text/html" } })).text()).toContain("2 had changed");
    expect(await (await operator("/-/metrics")).text()).toMatch(/lazy_mirror_rotten_objects_total\{mirror="m"\} \d+/);
  });

  test("goes on when the mirror starts again, and keeps it from ending no longer than any request does", async () => {
    await operator("/-/ledger/sweep", { method: "POST" });
    const { scrub: under } = (await status()) as { scrub: Scrub };
    await mirror.stop();
    await mirror.start();
    const ended = await vi.waitUntil(
      async () => {
        const { scrub } = (await status()) as { scrub: Scrub };
        return scrub.ended === null ? null : scrub;
      },
      { timeout: 90_000, interval: 250 },
    );
    expect(ended.began).toBe(under.began);
  });
});
