import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { download } from "../support/download.ts";
import type { Download } from "../support/download.ts";
import { makeDeb, placeFile } from "../support/large-files.ts";
import type { PlacedFile } from "../support/large-files.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";

const SIZE = 150_000;
/** No hold of ours is longer than a minute; those that a test meets should be over, or not be there, long before. */
const HEALED_MS = 30_000;

/** A server of which each request waits for its answer until the test lets it go; it refuses those whose Via names `RING`. */
interface HeldServer {
  readonly url: string;
  /** The Via of each request so far. */
  readonly vias: readonly string[];
  /** Answers the requests that wait, and all later ones. */
  release(): void;
  close(): void;
}

const RING = "lazy-mirror-0badcafe";

async function startHeld(body: Buffer): Promise<HeldServer> {
  const vias: string[] = [];
  const waiting: (() => void)[] = [];
  let isReleased = false;
  const answer = (via: string, response: ServerResponse): void => {
    if (via.includes(RING)) response.writeHead(508, { "content-length": 0 }).end();
    else response.writeHead(200, { "content-length": body.length, "last-modified": new Date(1_700_000_000_000).toUTCString() }).end(body);
  };
  const server = createServer((request, response) => {
    const via = String(request.headers.via);
    vias.push(via);
    if (isReleased) answer(via, response);
    else waiting.push(() => answer(via, response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    vias,
    release() {
      isReleased = true;
      for (const run of waiting.splice(0)) run();
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

describe("trouble of one path, of one upstream or of one client", () => {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-neighbours-"));
  const held: HeldServer[] = [];
  let origin: Origin;
  let second: Origin;
  let limiting: Origin;
  let mirror: MirrorProcess;

  beforeAll(async () => {
    [origin, second, limiting] = [await startOrigin(folder), await startOrigin(folder), await startOrigin(folder)];
    for (let count = 0; count < 4; count++) held.push(await startHeld(makeDeb(`held-${count}`, SIZE + 2 * count)));
    mirror = await startMirror({
      mirrors: {
        one: { upstreams: [`${origin.url}/one`] },
        two: { upstreams: [`${origin.url}/two`] },
        pair: { upstreams: [`${origin.url}/pair`, `${second.url}/pair`] },
        limited: { upstreams: [`${limiting.url}/limited`] },
        ...Object.fromEntries(held.map(({ url }, index) => [`held${index}`, { upstreams: [url] }])),
      },
      vars: { UPSTREAM_FIRST_BYTE_SECONDS: 10, UPSTREAM_STALL_SECONDS: 60, METADATA_TTL_SECONDS: 0 },
    });
  });
  afterAll(async () => {
    await mirror?.remove();
    for (const server of [origin, second, limiting, ...held]) await server?.close();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    for (const server of [origin, second, limiting]) server.clearFaults();
  });

  const get = (name: string, path: string, headers: Record<string, string> = {}): Promise<Download> =>
    download(mirror.prefixUrl(name) + path, { headers });

  function place(name: string, path: string): PlacedFile {
    return placeFile(folder, `/${name}${path}`, makeDeb(`${name}${path}`, SIZE));
  }

  async function expectFile(name: string, path: string): Promise<void> {
    const { sha256 } = place(name, path);
    expect(await get(name, path)).toMatchObject({ status: 200, isWhole: true, sha256 });
  }

  /** Waits until so many requests read from the fill of a key. */
  async function waitForReaders(key: string, count: number): Promise<void> {
    const token = readFileSync(join(mirror.stateFolder, "admin-token"), "utf8").trim();
    await vi.waitUntil(
      async () => {
        const response = await fetch(`${mirror.url}/-/status.json`, { headers: { authorization: `Bearer ${token}` } });
        const { fills } = await response.json<{ readonly fills: readonly { readonly key: string; readonly readers: number }[] }>();
        return fills.some(({ key: filled, readers }) => filled === key && readers >= count);
      },
      { timeout: HEALED_MS, interval: 100 },
    );
  }

  it.each(["3600", "1e20", "Fri, 31 Dec 9999 23:59:59 GMT"])(
    "a 503 with Retry-After %s holds that path, and neither the other files of its upstream nor the other mirrors of its host",
    async (text) => {
      const path = `/pool/busy-${text.length}_1.0_amd64.deb`;
      place("one", path);
      origin.fault(`/one${path}`, { kind: "status", status: 503, headers: { "retry-after": text } });
      const refused = await get("one", path);
      expect(refused.status).toBe(503);
      expect(Number(refused.headers["retry-after"])).toBeLessThanOrEqual(60);
      await expectFile("one", `/pool/free-${text.length}_1.0_amd64.deb`);
      await expectFile("two", path);
    },
  );

  it("a held path is asked for at the next upstream, and not again at the one that asked to wait", async () => {
    const path = "/pool/held_1.0_amd64.deb";
    origin.fault(`/pair${path}`, { kind: "status", status: 503, headers: { "retry-after": "3600" } });
    second.fault(`/pair${path}`, { kind: "status", status: 503, headers: { "retry-after": "3600" } }, { times: 1 });
    place("pair", path);
    for (let times = 0; times < 3; times++) expect((await get("pair", path)).status).toBe(503);
    expect([origin.requests(`/pair${path}`).length, second.requests(`/pair${path}`).length]).toEqual([1, 1]);
    await expectFile("pair", "/pool/beside-held_1.0_amd64.deb");
    expect(origin.requests("/pair/pool/beside-held_1.0_amd64.deb")).toHaveLength(1);
  });

  it("a path that answers 500 for ever does not put its upstream behind the next, however often clients ask for it", async () => {
    const path = "/pool/broken_1.0_amd64.deb";
    origin.fault(`/pair${path}`, { kind: "status", status: 500 });
    second.fault(`/pair${path}`, { kind: "status", status: 500 });
    for (let times = 0; times < 30; times++) expect((await get("pair", path)).status).toBe(502);
    await expectFile("pair", "/pool/beside-broken_1.0_amd64.deb");
    expect(origin.requests("/pair/pool/beside-broken_1.0_amd64.deb")).toHaveLength(1);
  });

  it("after a 429 the upstream gets one request at a time, and all again as soon as one is answered", async () => {
    const limit = limiting.fault(/./, { kind: "status", status: 429, headers: { "retry-after": "3600" } });
    const refused = await get("limited", "/pool/first_1.0_amd64.deb");
    expect(refused.status).toBe(503);
    expect(Number(refused.headers["retry-after"])).toBeLessThanOrEqual(60);
    // Another mirror of another upstream is not concerned.
    await expectFile("two", "/pool/beside-limited_1.0_amd64.deb");
    limit.clear();
    const paths = Array.from({ length: 8 }, (_, index) => `/pool/later-${index}_1.0_amd64.deb`);
    const slow = limiting.fault(/later/, { kind: "black-hole" });
    const files = paths.map((path) => expectFile("limited", path));
    await limiting.waitForRequest(/later/);
    // Long enough for the others to set out, if they were let.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(limiting.requests(/later/)).toHaveLength(1);
    slow.clear();
    await Promise.all(files);
  });

  it("twenty bodies that stand still do not keep another file of their upstream away", async () => {
    const paths = Array.from({ length: 20 }, (_, index) => `/pool/still-${index}_1.0_amd64.deb`);
    for (const path of paths) place("one", path);
    const still = origin.fault(/still/, { kind: "stall", at: 0.1 });
    const files = paths.map((path) => get("one", path));
    await origin.waitForRequest(/still/, { count: paths.length });
    await expectFile("one", "/pool/quick_1.0_amd64.deb");
    expect(origin.requests(/still/).filter(({ finished }) => finished)).toEqual([]);
    still.clear();
    for (const file of await Promise.all(files)) expect(file).toMatchObject({ status: 200, isWhole: true, length: SIZE });
  });

  it("the Via of a client that joins a fill goes upstream with nothing", async () => {
    const [server] = held;
    const path = "/pool/joined_1.0_amd64.deb";
    const leader = get("held0", path);
    await vi.waitUntil(() => server!.vias.length === 1, { timeout: HEALED_MS });
    const joiner = get("held0", path, { via: `1.1 ${RING}` });
    await waitForReaders(`held0${path}`, 2);
    server!.release();
    for (const got of await Promise.all([leader, joiner])) expect(got).toMatchObject({ status: 200, isWhole: true, length: SIZE });
    for (const via of server!.vias) expect(via).toMatch(/^1\.1 lazy-mirror-[0-9a-f]{8}$/);
  });

  it("the Via of the client that began a fill decides nothing for those who joined it", async () => {
    const server = held[1];
    const path = "/pool/begun_1.0_amd64.deb";
    const leader = get("held1", path, { via: `1.1 ${RING}` });
    await vi.waitUntil(() => server!.vias.length === 1, { timeout: HEALED_MS });
    const joiner = get("held1", path);
    await waitForReaders(`held1${path}`, 2);
    server!.release();
    expect(await joiner).toMatchObject({ status: 200, isWhole: true, length: SIZE + 2 });
    await leader;
  });

  it.each([
    ["a package", 2, "/pool/alone_1.0_amd64.deb"],
    ["a root", 3, "/dists/stable/InRelease"],
    ["a listing", 2, "/pool/"],
  ])("a client whose Via has %s refused is refused alone, and the next has the file at once", async (_, index, path) => {
    const server = held[index];
    server!.release();
    expect(await get(`held${index}`, path, { via: `1.1 ${RING}` })).toMatchObject({ status: 502 });
    expect(await get(`held${index}`, path)).toMatchObject({ status: 200, isWhole: true, length: SIZE + 2 * index });
  });
});
