import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Download, download } from "../support/download.ts";
import { sha256 } from "../support/fixture.ts";
import { CLOSED_USER, type StateManifest, type StateServer, startStateServer, unpackState } from "../support/state-fixture.ts";

const FIXTURE = join(import.meta.dirname, "../fixtures/state-0.1");
/** The project whose server is started. Another one shows that the fixture itself is right: the version that wrote it must pass too. */
const CHECKOUT = process.env["STATE_FIXTURE_CHECKOUT"] ?? join(import.meta.dirname, "../..");
/** Where the configuration's upstreams would listen. */
const UPSTREAM = "http://127.0.0.1:18999/";

const manifest = JSON.parse(readFileSync(join(FIXTURE, "manifest.json"), "utf8")) as StateManifest;
const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-state-fixture-"));
const state = join(folder, "state");
let server: StateServer;

beforeAll(async () => {
  const upstream = await fetch(UPSTREAM).catch(() => null);
  if (upstream !== null) throw new Error(`Cannot test without upstreams: a program on this machine answers ${UPSTREAM}, should be none`);
  mkdirSync(state);
  unpackState(join(FIXTURE, "state.tar.gz"), state);
});
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));

function get(path: string, headers: Readonly<Record<string, string>> = {}, method: "GET" | "HEAD" = "GET"): Promise<Download> {
  const authorization = path.startsWith("/closed/") ? { Authorization: CLOSED_USER } : {};
  return download(server.url + path, { method, headers: { ...headers, ...authorization }, isKept: true });
}

// The second start finds what the first one left of the state.
describe.each(["first", "second"])(`a state folder of version ${manifest.version}, at its %s start, with no upstream that answers`, () => {
  beforeAll(async () => {
    server = await startStateServer(CHECKOUT, join(FIXTURE, "wrangler.toml"), state);
    return () => server.stop();
  });

  test.each(manifest.files)("serves the stored bytes of $path under the entity tag that clients know", async (file) => {
    const answer = await get(file.path);
    expect(answer).toMatchObject({ status: 200, length: file.size, sha256: file.sha256, isWhole: true });
    expect(answer.headers).toMatchObject({ etag: file.etag, "content-length": String(file.size) });
    const head = await get(file.path, {}, "HEAD");
    expect(head.status).toBe(200);
    expect(head.headers).toMatchObject({ etag: file.etag, "content-length": String(file.size) });
    expect((await get(file.path, { "If-None-Match": file.etag })).status).toBe(304);

    const middle = Math.floor(file.size / 2);
    for (const [first, last] of [
      [0, 0],
      [middle - 5, middle + 5],
      [file.size - 1, file.size - 1],
    ] as const) {
      const part = await get(file.path, { Range: `bytes=${first}-${last}` });
      expect(part.status).toBe(206);
      expect(part.headers["content-range"]).toBe(`bytes ${first}-${last}/${file.size}`);
      expect(part.bytes.equals(answer.bytes.subarray(first, last + 1))).toBe(true);
    }
  });

  test("serves roots as stale, and says so", async () => {
    const roots = manifest.files.filter((file) => file.class === "root");
    expect(roots.length).toBeGreaterThan(8);
    for (const { path } of roots) {
      const { headers } = await get(path);
      expect({ path, status: headers["cache-status"] }).toEqual({ path, status: expect.stringMatching(/^lazy-mirror; hit; ttl=-\d+/) });
    }
  });

  test("serves a range that crosses slices", async () => {
    for (const { path, key } of manifest.files) {
      const sliceBytes = manifest.rows.find((row) => row.key === key)?.sliceBytes;
      if (sliceBytes == null) continue;
      const [first, last] = [sliceBytes - 100, sliceBytes + 99];
      const whole = await get(path);
      const part = await get(path, { Range: `bytes=${first}-${last}` });
      expect(part.status).toBe(206);
      expect(part.bytes.equals(whole.bytes.subarray(first, last + 1))).toBe(true);
    }
  });

  test.each(manifest.parts)("serves the stored range of $path, and never passes it off as the whole", async (part) => {
    const range = await get(part.path, { Range: `bytes=${part.first}-${part.last}` });
    expect(range).toMatchObject({ status: 206, isWhole: true });
    expect(sha256(range.bytes)).toBe(part.sha256);
    const whole = await get(part.path);
    expect(whole.status === 200 && whole.isWhole).toBe(false);
    const missing = await get(part.path, { Range: `bytes=${part.size - 10}-` });
    expect(missing.status === 206 && missing.isWhole).toBe(false);
  });

  test("lets no client go on from a date where an earlier version went bad", async () => {
    const tainted = manifest.files.filter(({ isTainted }) => isTainted);
    expect(tainted).toHaveLength(1);
    for (const { path, size } of tainted) {
      const date = String((await get(path)).headers["last-modified"]);
      const resumed = await get(path, { Range: `bytes=${size - 10}-`, "If-Range": date });
      expect(resumed).toMatchObject({ status: 200, length: size });
    }
  });

  test("knows the digests that the stored indexes state", async () => {
    for (const { path } of manifest.files.filter(({ isNamed }) => isNamed)) {
      await expect.poll(async () => (await server.why(path)).expected.kind, { message: path, timeout: 10_000 }).toBe("known");
    }
  });

  test("asks for the password of a closed mirror", async () => {
    const [closed] = manifest.files.filter(({ path }) => path.startsWith("/closed/"));
    expect((await download(server.url + closed?.path)).status).toBe(401);
  });

  test("keeps every object, its row of the ledger and the pins, over a run of housekeeping", async () => {
    await server.operate("/ledger/sweep", { method: "POST" });
    expect(await server.rows()).toEqual(manifest.rows);
    expect(await server.operate("/ledger")).toMatchObject({ pins: manifest.pins });
  });

  test("shows what is stored on the status page", async () => {
    const status = (await server.operate("/status.json")) as {
      readonly mirrors: readonly { readonly name: string; readonly objects: number; readonly held: number }[];
      readonly storage: { readonly used: number };
      readonly roots: readonly { readonly mirror: string; readonly root: string }[];
      readonly days: readonly { readonly mirror: string }[];
    };
    const mirrors = ["debian", "fedora", "archlinux", "alpine", "files", "closed"];
    for (const name of mirrors) {
      const own = manifest.rows.filter(({ key }) => key.startsWith(`${name}/`));
      const held = own.reduce((sum, { size }) => sum + size, 0);
      expect(status.mirrors).toContainEqual(expect.objectContaining({ name, objects: own.length, held }));
    }
    expect(status.storage.used).toBeGreaterThanOrEqual(manifest.rows.reduce((sum, { size }) => sum + size, 0));
    expect(status.roots.map(({ mirror, root }) => `${mirror}/${root}`).toSorted()).toEqual([
      "alpine/v3.22/main/x86_64/APKINDEX.tar.gz",
      "archlinux/core/os/x86_64/core.db",
      "archlinux/core/os/x86_64/core.files",
      "closed/dists/stable",
      "debian/dists/stable",
      "fedora/repodata",
    ]);
  });
});
