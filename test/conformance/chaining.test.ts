import { Buffer } from "node:buffer";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { download } from "../support/download.ts";
import { makeDeb, makeIso, placeFile } from "../support/large-files.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess, MirrorSetup } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";

/** Well below the first-byte limit: a loop must be noticed, not waited out. */
const FIRST_BYTE_SECONDS = 20;
const NOTICED_MS = 5_000;
const PASSWORD = "a secret";
const CREDENTIALS = `Basic ${Buffer.from(`lan:${PASSWORD}`).toString("base64")}`;
const VIA = /^1\.1 lazy-mirror-[0-9a-f]{8}$/;

let folder: string;
let origin: Origin;
let ends: (() => Promise<unknown>)[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-chaining-"));
  origin = await startOrigin(folder);
  ends = [];
});
afterEach(async () => {
  await Promise.all(ends.map((end) => end()));
  await origin.close();
  rmSync(folder, { recursive: true });
});

describe("a mirror whose upstream is another lazy mirror", () => {
  test("gets each byte through two and through three of them once, and keeps it", async () => {
    const deb = placeFile(folder, "/pool/a_1.0_amd64.deb", makeDeb("chained", 300_000));
    const iso = placeFile(folder, "/images/a.iso", makeIso("chained", 3 * 1024 * 1024));
    const edge = await chainTo(origin.url);
    const site = await chainTo(edge.prefixUrl("m"));
    const lan = await chainTo(site.prefixUrl("m"));
    for (const file of [deb, iso]) {
      for (const [index, mirror] of [site, lan].entries()) {
        const got = await download(mirror.prefixUrl("m") + file.path);
        expect(got).toMatchObject({ status: 200, isWhole: true, length: file.size, sha256: file.sha256 });
        expect(origin.requests(file.path)).toHaveLength(1);
        expect(got.headers["last-modified"], `through ${index + 2}`).toBe(new Date(1_700_000_000_000).toUTCString());
      }
    }
    await origin.close();
    await edge.stop();
    await site.stop();
    for (const file of [deb, iso]) expect((await download(lan.prefixUrl("m") + file.path)).sha256).toBe(file.sha256);
    await origin.restart();
  });

  test("does not make it ask its own upstream anew for what it has", async () => {
    const deb = placeFile(folder, "/pool/a_1.0_amd64.deb", makeDeb("undoubted", 300_000));
    const edge = await chainTo(origin.url);
    expect(await download(edge.prefixUrl("m") + deb.path)).toMatchObject({ status: 200 });
    const lan = await chainTo(edge.prefixUrl("m"));
    expect(await download(lan.prefixUrl("m") + deb.path)).toMatchObject({ status: 200, sha256: deb.sha256 });
    const [asked, ...more] = origin.requests(deb.path);
    expect(more).toEqual([]);
    // Neither says `no-cache`, which the runtime would send by itself past the cache of a Worker's zone.
    expect(asked?.headers).toMatchObject({ "cache-control": "no-transform", pragma: "no-transform" });
  });

  test("resumes a cut download at its upstream, whose own upstream was cut", async () => {
    const iso = placeFile(folder, "/images/a.iso", makeIso("cut", 3 * 1024 * 1024));
    origin.fault(iso.path, { kind: "cut", at: 0.5 }, { times: 1 });
    const lan = await chainTo((await chainTo(origin.url)).prefixUrl("m"));
    expect(await download(lan.prefixUrl("m") + iso.path)).toMatchObject({ status: 200, isWhole: true, sha256: iso.sha256 });
  });

  test("names itself to it, and the credentials to it alone", async () => {
    const deb = placeFile(folder, "/pool/a_1.0_amd64.deb", makeDeb("closed", 300_000));
    const closed = { m: { upstreams: [origin.url], access: { users: { lan: PASSWORD } } } };
    const edge = await start({ mirrors: {}, vars: { MIRRORS_M: JSON.stringify(closed) } });
    const url = edge.prefixUrl("m");
    const other = await startOrigin(mkdtempSync(join(folder, "other-")));
    ends.push(() => other.close());
    const chained = { m: { upstreams: [other.url, { url, authorization: CREDENTIALS }] } };
    const lan = await start({ mirrors: {}, vars: { MIRRORS_M: JSON.stringify(chained) } });
    expect((await download(url + deb.path)).status).toBe(401);
    expect(await download(lan.prefixUrl("m") + deb.path)).toMatchObject({ status: 200, sha256: deb.sha256 });
    const [atOther, ...more] = other.requests(deb.path);
    expect(more).toEqual([]);
    expect(atOther?.headers).not.toHaveProperty("authorization");
    expect(atOther?.headers.via).toMatch(VIA);
    const [atOrigin] = origin.requests(deb.path);
    expect(atOrigin?.headers).not.toHaveProperty("authorization");
    expect(String(atOrigin?.headers.via).split(", ")).toEqual([atOther?.headers.via, expect.stringMatching(VIA)]);
  });

  test("tells it nothing of what else the client's request has passed", async () => {
    const deb = placeFile(folder, "/pool/a_1.0_amd64.deb", makeDeb("via", 10_000));
    const lan = await chainTo(origin.url);
    await download(lan.prefixUrl("m") + deb.path, { headers: { via: "1.1 proxy.office.test (squid)" } });
    expect(origin.requests(deb.path)[0]?.headers.via).toMatch(VIA);
  });
});

describe("mirrors whose upstreams lead back to them", () => {
  test.for([1, 2, 3])("refuse what has gone round a loop of %i at once, with a word that says so", async (count) => {
    const relay = await closeLoop(count);
    for (const path of ["pool/a_1.0_amd64.deb", "repodata/repomd.xml", "dists/stable/InRelease", "notes.txt"]) {
      const started = Date.now();
      const got = await download(`${relay}/m/${path}`, { isKept: true });
      expect({ path, status: got.status }).toEqual({ path, status: 502 });
      expect(Date.now() - started).toBeLessThan(NOTICED_MS);
    }
  });

  test("refuse a request that names them, whoever sends it", async () => {
    const deb = placeFile(folder, "/pool/a_1.0_amd64.deb", makeDeb("named", 10_000));
    const lan = await chainTo(origin.url);
    await download(lan.prefixUrl("m") + deb.path);
    const { via = "" } = origin.requests(deb.path)[0]?.headers ?? {};
    const refused = await download(lan.prefixUrl("m") + deb.path, {
      headers: { via: `1.1 ${via.slice(4)}, 1.1 proxy.test` },
      isKept: true,
    });
    expect(refused.status).toBe(508);
    expect(refused.bytes.toString()).toMatch(/lead back to itself/);
  });

  test("answer from the next upstream that leads elsewhere", async () => {
    const deb = placeFile(folder, "/pool/a_1.0_amd64.deb", makeDeb("peers", 300_000));
    const relay = await closeLoop(2, origin.url);
    expect(await download(`${relay}/m${deb.path}`)).toMatchObject({ status: 200, sha256: deb.sha256 });
    expect(origin.requests(deb.path)).toHaveLength(1);
  });
});

async function start(setup: MirrorSetup): Promise<MirrorProcess> {
  const vars = { SLICE_MIB: 1, HOLD_MIB: 0.5, UPSTREAM_FIRST_BYTE_SECONDS: FIRST_BYTE_SECONDS, ...setup.vars };
  const mirror = await startMirror({ ...setup, vars });
  ends.push(mirror.remove);
  return mirror;
}

function chainTo(...upstreams: readonly string[]): Promise<MirrorProcess> {
  return start({ mirrors: { m: { upstreams } } });
}

/** Mirrors of each other in a ring; `relay` is an address of the one that was started first, known before it. */
async function closeLoop(count: number, ...others: readonly string[]): Promise<string> {
  let port = 0;
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    for (const socket of [client, upstream]) socket.on("error", () => [client, upstream].forEach((each) => each.destroy()));
    client.pipe(upstream).pipe(client);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  ends.push(async () => server.close());
  const relay = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const mirrors: MirrorProcess[] = [];
  for (let next = relay; mirrors.length < count; next = mirrors[0]?.url ?? relay) mirrors.unshift(await chainTo(`${next}/m`, ...others));
  port = mirrors[0]?.port ?? 0;
  return relay;
}
