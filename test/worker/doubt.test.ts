import { describe, expect, it, vi } from "vitest";
import { createMeteredWorker, type Metered } from "../support/metered-worker.ts";

const TOKEN = "the-token-of-the-test";
const { bucket, fetch } = createMeteredWorker({
  vars: {
    MIRRORS: { fedora: { distro: "fedora", upstreams: ["http://origin.test/fedora"] } },
    SCRUB_KIB_PER_SECOND: 65_536,
    ADMIN_TOKEN: TOKEN,
  },
});

const DOUBT = { headers: { "cache-control": "no-cache" } };
const REPOMD = "/fedora/os/repodata/repomd.xml";

interface Bytes {
  readonly bytes: Uint8Array;
}

/** Changes the last byte of an object or slice, as a medium does that fails: what is kept beside the bytes stays. Returns the bytes that were there. */
async function rot(key: string): Promise<Bytes> {
  const found = await bucket.get(key);
  if (found === null) throw new Error(`There is no ${key}`);
  const { customMetadata = {}, httpMetadata = {} } = found;
  const bytes = new Uint8Array(await found.arrayBuffer());
  const rotten = bytes.slice();
  rotten[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await bucket.put(key, rotten, { customMetadata, httpMetadata });
  return { bytes };
}

/** The key of the root that holds `text`. */
async function keyOf(text: string): Promise<string> {
  for (const { key } of (await bucket.list({ prefix: "-/closed/fedora/sha256/" })).objects) {
    if ((await (await bucket.get(key))?.text())?.includes(text) === true) return key;
  }
  throw new Error(`No stored root holds ${text}`);
}

const same = ({ bytes }: Bytes, other: Bytes): boolean => Buffer.from(bytes).equals(other.bytes);

/** The request, which must cost one read at most, and neither a call of a Durable Object nor a request upstream. */
async function within(path: string, init?: RequestInit): Promise<Metered> {
  const answered = await fetch(path, init);
  expect(answered.response.status).toBe(200);
  const { classA, classB, objects, external } = answered.bill;
  expect({ classA, objects, external }).toEqual({ classA: [], objects: [], external: 0 });
  expect(classB.length).toBeLessThanOrEqual(1);
  return answered;
}

describe("a client that doubts a stored file", () => {
  it("costs a read, no call and no request upstream, where the file is as it was stored", async () => {
    const path = "/fedora/doubt/Packages/5101-doubted.rpm";
    const stored = await fetch(path);
    expect(same(await within(path, DOUBT), stored)).toBe(true);
    expect(same(await within(path, DOUBT), stored)).toBe(true);
  });

  it("gets a file that is too long to be held back as it goes by, from the bucket and from the data centre's cache", async () => {
    const path = "/fedora/doubt/Packages/6000000-doubted.rpm";
    const stored = await fetch(path);
    for (const _thrice of [1, 2, 3]) expect(same(await within(path, DOUBT), stored)).toBe(true);
  });

  it("has a rotten one fetched again in the same request, also where the data centre's cache has a copy of it", async () => {
    const path = "/fedora/doubt/Packages/5102-doubted.rpm";
    const stored = await fetch(path);
    await rot(path.slice(1));
    for (const _twice of [1, 2]) expect(same(await fetch(path), stored)).toBe(false);
    const mended = await fetch(path, DOUBT);
    expect([mended.response.status, same(mended, stored), mended.bill.external]).toEqual([200, true, 1]);
    for (const _twice of [1, 2]) expect(same(await within(path), stored)).toBe(true);
  });

  it("has a rotten root fetched again, whose version is the same as before", async () => {
    // Its bytes are in no cache yet.
    const first = await fetch(REPOMD, { method: "HEAD" });
    const good = await rot(await keyOf("<repomd"));
    for (const _twice of [1, 2]) expect(same(await fetch(REPOMD), good)).toBe(false);
    const mended = await fetch(REPOMD, DOUBT);
    expect([mended.response.status, same(mended, good)]).toEqual([200, true]);
    expect(mended.response.headers.get("etag")).toBe(first.response.headers.get("etag"));
    for (const _twice of [1, 2]) expect(same(await fetch(REPOMD), good)).toBe(true);
  });

  it("gets no clean end of a long one that is rotten, and the file from the next request on", async () => {
    const path = "/fedora/doubt/Packages/21000000-doubted.rpm";
    const stored = await fetch(path);
    const head = await bucket.head(path.slice(1));
    const { version } = JSON.parse(head?.customMetadata?.["object"] ?? "{}") as { version: string };
    await rot(`-/v/${version}/1`);
    expect(same(await fetch(path), stored)).toBe(false);
    await expect(fetch(path, DOUBT)).rejects.toThrow(/changed at rest/);
    expect(same(await fetch(path, DOUBT), stored)).toBe(true);
  });
});

it("a scrub, which is off at the edge unless it is asked for, finds in the bucket what changed there", async () => {
  const operator = { headers: { authorization: `Bearer ${TOKEN}` } };
  const [small, large, well] = ["5103-scrubbed", "17000000-scrubbed", "5104-scrubbed"].map((name) => `/fedora/doubt/Packages/${name}.rpm`);
  if (small === undefined || large === undefined || well === undefined) throw new Error("There are three files");
  const files = new Map<string, Metered>();
  for (const path of [small, large, well]) files.set(path, await fetch(path));
  const head = await bucket.head(large.slice(1));
  const { version } = JSON.parse(head?.customMetadata?.["object"] ?? "{}") as { version: string };
  await rot(`-/v/${version}/2`);
  await rot(small.slice(1));
  await fetch("/-/ledger/sweep", { ...operator, method: "POST" });
  interface Scrub {
    readonly ended: number | null;
    readonly last: readonly { readonly key: string }[];
  }
  const scrub = await vi.waitUntil(
    async () => {
      const { bytes } = await fetch("/-/status.json", operator);
      const { scrub: now } = JSON.parse(new TextDecoder().decode(bytes)) as { scrub: Scrub | null };
      return now === null || now.ended === null ? null : now;
    },
    { timeout: 40_000, interval: 200 },
  );
  expect(scrub.last.map(({ key }) => key).toSorted()).toEqual([large, small].map((path) => path.slice(1)));
  for (const [path, file] of files) {
    const answered = await fetch(path);
    expect([path, same(answered, file), answered.bill.external]).toEqual([path, true, path === well ? 0 : 1]);
  }
});
