import { once } from "node:events";
import { readdirSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { download, type Download } from "../support/download.ts";
import { makeNoise, sha256 } from "../support/fixture.ts";
import { startMirror, type MirrorProcess } from "../support/mirror.ts";

/** Three slices and a bit of SLICE_MIB = 1. */
const LONG = 3_300_000;
const SHORT = 60_000;

/** An upstream whose files a test sets. It honours Range. */
interface Origin {
  readonly url: string;
  readonly files: Map<string, File>;
  /** Paths that were asked for. */
  readonly asked: string[];
  close(): void;
}

interface File {
  readonly bytes: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  /** The second half of the body waits for it. */
  readonly gate?: Promise<void>;
}

async function startOrigin(): Promise<Origin> {
  const files = new Map<string, File>();
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    const path = (request.url ?? "").slice(1);
    asked.push(path);
    const file = files.get(path);
    if (file === undefined) return void response.writeHead(404).end();
    void send(request, response, file);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, files, asked, close: () => (server.close(), server.closeAllConnections()) };
}

async function send({ method, headers: sent }: IncomingMessage, response: ServerResponse, { bytes, headers, gate }: File): Promise<void> {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(sent.range ?? "") ?? [];
  const from = Number(first ?? 0);
  const to = Math.min(last ? Number(last) + 1 : bytes.length, bytes.length);
  const part = bytes.subarray(from, to);
  response.writeHead(first === undefined ? 200 : 206, {
    "Content-Length": part.length,
    ...(first === undefined ? {} : { "Content-Range": `bytes ${from}-${to - 1}/${bytes.length}` }),
    ...headers,
  });
  if (method === "HEAD") return void response.end();
  const half = gate === undefined ? part.length : Math.floor(part.length / 2);
  response.write(part.subarray(0, half));
  await gate;
  response.end(part.subarray(half));
}

let evil: Origin;
let good: Origin;
let mirror: MirrorProcess;

beforeAll(async () => {
  [evil, good] = [await startOrigin(), await startOrigin()];
  mirror = await startMirror({
    mirrors: { evil: { distro: "debian", upstreams: [evil.url] }, good: { distro: "debian", upstreams: [good.url] } },
    vars: { SLICE_MIB: 1 },
  });
});
afterAll(async () => {
  await mirror?.remove();
  evil?.close();
  good?.close();
});

const EVIL_LABELS = { "Content-Type": "text/html; charset=evil", "Last-Modified": "Mon, 01 Jan 1990 00:00:00 GMT", ETag: '"evil"' };

/** Puts a file at the good upstream and, under the same name, other bytes of the same length at the evil one. */
function place(pathOf: (digest: string) => string, seed: string, length: number, evilBytes?: Buffer): { path: string; bytes: Buffer } {
  const bytes = makeNoise(seed, length);
  const path = pathOf(sha256(bytes));
  good.files.set(path, { bytes, headers: { "Content-Type": "application/x-good" } });
  evil.files.set(path, { bytes: evilBytes ?? makeNoise(`${seed} of evil`, length), headers: EVIL_LABELS });
  const folder = /^(.*)\/repodata\//.exec(path)?.[1];
  // Without a root that names it a name in repodata/ is no promise.
  if (folder !== undefined) evil.files.set(`${folder}/repodata/repomd.xml`, { bytes: Buffer.from(repomdOf(path, folder)) });
  return { path, bytes };
}

function repomdOf(path: string, folder: string): string {
  const location = path.slice(folder.length + 1);
  const digest = /[0-9a-f]{64}/.exec(location)?.[0];
  const data = `<data type="other"><checksum type="sha256">${digest}</checksum><location href="${location}"/></data>`;
  return `<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo">${data}</repomd>`;
}

const get = (name: "evil" | "good", path: string, headers: Readonly<Record<string, string>> = {}): Promise<Download> =>
  download(`${mirror.prefixUrl(name)}/${path}`, { headers, isKept: true });

async function expectRight(path: string, bytes: Buffer): Promise<void> {
  const whole = await get("good", path);
  expect(whole).toMatchObject({ status: 200, isWhole: true, sha256: sha256(bytes) });
  expect(whole.headers["content-type"]).not.toContain("evil");
  expect(whole.headers["last-modified"]).not.toBe(EVIL_LABELS["Last-Modified"]);
  const part = await get("good", path, { Range: `bytes=${bytes.length - 500}-${bytes.length - 100}` });
  expect(part.status).toBe(206);
  expect(part.bytes.equals(bytes.subarray(bytes.length - 500, bytes.length - 99))).toBe(true);
}

const KINDS: readonly (readonly [kind: string, pathOf: (digest: string) => string])[] = [
  ["a by-hash file", (digest) => `dists/sid/main/binary-amd64/by-hash/SHA256/${digest}`],
  ["a file of repodata", (digest) => `os-${digest.slice(0, 8)}/repodata/${digest}-other.xml.gz`],
];

describe.each(KINDS)("%s of one mirror, whose upstream lies,", (kind, pathOf) => {
  test("is not another mirror's after a range miss", async () => {
    const { path, bytes } = place(pathOf, `${kind}: range`, LONG);
    expect((await get("evil", path, { Range: "bytes=0-99" })).status).toBe(206);
    expect((await get("evil", path, { Range: `bytes=${LONG - 100}-` })).status).toBe(206);
    const part = await get("good", path, { Range: "bytes=0-99" });
    expect(part.status).toBe(206);
    expect(part.bytes.equals(bytes.subarray(0, 100))).toBe(true);
    await expectRight(path, bytes);
  });

  test("is not another mirror's after its client has left in the middle, nor after a HEAD", async () => {
    const { path, bytes } = place(pathOf, `${kind}: left`, LONG);
    await download(`${mirror.prefixUrl("evil")}/${path}`, { method: "HEAD" });
    await download(`${mirror.prefixUrl("evil")}/${path}`, { stopAt: 1_200_000 });
    const head = await download(`${mirror.prefixUrl("good")}/${path}`, { method: "HEAD" });
    expect(head.headers["content-type"]).not.toContain("evil");
    await expectRight(path, bytes);
  });

  test("is fetched for each of two mirrors at the same time, and fails for the one alone", async () => {
    const { path, bytes } = place(pathOf, `${kind}: at once`, LONG);
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => (open = resolve));
    const wrong = evil.files.get(path) as File;
    evil.files.set(path, { ...wrong, gate });
    const lied = get("evil", path);
    await expect.poll(() => evil.asked.filter((one) => one === path).length, { timeout: 20_000 }).toBeGreaterThan(0);
    await expectRight(path, bytes);
    open();
    const ended = await lied;
    expect(ended.status === 200 && ended.isWhole && ended.sha256 !== sha256(bytes)).toBe(false);
  });

  test("fails visibly, and the next mirror asks its own upstream", async () => {
    const { path, bytes } = place(pathOf, `${kind}: short`, SHORT);
    expect((await get("evil", path)).status).toBe(502);
    await expectRight(path, bytes);
    // What another mirror's upstream has proven serves this one too.
    expect(await get("evil", path)).toMatchObject({ status: 200, sha256: sha256(bytes), isWhole: true });
  });

  test.each([SHORT, LONG])("is shared once its %i bytes are proven, without the labels of its upstream", async (length) => {
    const seed = `${kind}: proven ${length}`;
    const { path, bytes } = place(pathOf, seed, length, makeNoise(seed, length));
    expect(await get("evil", path)).toMatchObject({ status: 200, sha256: sha256(bytes), isWhole: true });
    await expectRight(path, bytes);
    expect(good.asked).not.toContain(path);
  });

  test("is shared once the pieces that a mirror has of it are proven, and not before", async () => {
    const seed = `${kind}: pieces`;
    const { path, bytes } = place(pathOf, seed, LONG, makeNoise(seed, LONG));
    await get("evil", path, { Range: `bytes=${LONG - 100}-` });
    await get("evil", path, { Range: "bytes=1200000-1200100" });
    expect(await get("evil", path)).toMatchObject({ status: 200, sha256: sha256(bytes), isWhole: true });
    await expect
      .poll(async () => (await get("good", path, { Range: "bytes=0-9" })).headers["cache-status"], { timeout: 20_000 })
      .toContain("hit");
    await expectRight(path, bytes);
    expect(good.asked).not.toContain(path);
  });

  test("gets no piece of another upstream where it is shared and has lost one", async () => {
    const { path, bytes } = place(pathOf, `${kind}: lost`, LONG);
    await expectRight(path, bytes);
    for (const folder of readdirSync(join(mirror.stateFolder, "store/slices"))) {
      for (const version of readdirSync(join(mirror.stateFolder, "store/slices", folder)))
        rmSync(join(mirror.stateFolder, "store/slices", folder, version, "2"), { force: true });
    }
    await get("evil", path);
    await get("evil", path, { Range: `bytes=${LONG - 1_000_000}-` });
    // Begun before the loss shows, it may break off; then it is whole again.
    await get("good", path);
    await expectRight(path, bytes);
  });
});

test.each(["wrong", "right"])("a repository proves the %s pieces that a client had of a file before it publishes it", async (pieces) => {
  const bytes = makeNoise(`pieces, ${pieces}`, LONG);
  const path = `${pieces}/repodata/${sha256(bytes)}-primary.xml.gz`;
  evil.files.set(path, { bytes: pieces === "right" ? bytes : makeNoise("other pieces", LONG) });
  expect((await get("evil", path, { Range: `bytes=${LONG - 100}-` })).status).toBe(206);
  evil.files.set(path, { bytes });
  evil.files.set(`${pieces}/repodata/repomd.xml`, { bytes: Buffer.from(repomdOf(path, pieces)) });
  expect((await get("evil", `${pieces}/repodata/repomd.xml`)).status).toBe(200);
  expect(await get("evil", path)).toMatchObject({ status: 200, sha256: sha256(bytes), isWhole: true });
  expect(await get("good", path)).toMatchObject({ status: 200, sha256: sha256(bytes), isWhole: true });
  expect(good.asked).not.toContain(path);
});

/** Two files of one MD5 (Wang and Yu, 2005). */
const COLLISION = [
  "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f8955ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5bd8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70",
  "d131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f8955ad340609f4b30283e4888325f1415a085125e8f7cdc99fd91dbd7280373c5bd8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70",
].map((hex) => Buffer.from(hex, "hex")) as [Buffer, Buffer];

test.each([
  ["by-hash/MD5Sum", (digest: string) => `dists/sid/main/source/by-hash/MD5Sum/${digest}`],
  ["repodata", (digest: string) => `os/repodata/${digest}-other.xml`],
])("MD5 binds inside one mirror, and shares nothing: %s", async (_kind, pathOf) => {
  const [one, other] = COLLISION;
  const md5 = (bytes: Buffer): string => createHash("md5").update(bytes).digest("hex");
  expect([md5(one), one.equals(other)]).toEqual([md5(other), false]);
  const path = pathOf(md5(one));
  evil.files.set(path, { bytes: one, headers: EVIL_LABELS });
  good.files.set(path, { bytes: other });
  expect((await get("evil", path)).bytes.equals(one)).toBe(true);
  expect((await get("good", path)).bytes.equals(other)).toBe(true);
});
