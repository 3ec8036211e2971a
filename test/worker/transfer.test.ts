import { env } from "cloudflare:test";
import { beforeAll, describe, expect, it, vi } from "vitest";
import type { RepositoryObject } from "../../src/worker.ts";
import { contentOf } from "../support/content.ts";
import { createMeteredWorker } from "../support/metered-worker.ts";
import { sha256 } from "../unit/metadata/samples.ts";

const TOKEN = "a-token-for-the-operator";

const { fetch, bucket } = createMeteredWorker({
  vars: {
    MIRRORS: {
      fedora: { distro: "fedora", upstreams: ["http://origin.test/fedora"] },
      plain: { upstreams: ["http://origin.test/plain"] },
      small: { upstreams: ["http://origin.test/small"], budget_gb: 0.001 },
    },
    SLICE_MIB: 1,
    BUDGET_GB: 1,
    ADMIN_TOKEN: TOKEN,
  },
});
const { REPOSITORIES } = env as unknown as { readonly REPOSITORIES: DurableObjectNamespace<RepositoryObject> };

/** A package as the origin's index of fedora names it (metered-origin.ts). */
const known = (n: number): Uint8Array<ArrayBuffer> => new Uint8Array(new TextEncoder().encode(`package ${n} `.repeat(500)));
const path = (n: number): string => `fedora/os/Packages/known-${n}.rpm`;

interface Sent {
  readonly size?: number;
  readonly query?: Readonly<Record<string, string>>;
  readonly token?: string | null;
}

/** Sends a file as `mirror import` does. `body`: its bytes, or the pieces of a stream that an error may end. */
async function give(key: string, body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null, sent: Sent = {}) {
  const { size = body instanceof Uint8Array ? body.length : undefined, query = {}, token = TOKEN } = sent;
  const { response, bytes, bill } = await fetch(`/-/ledger/stored?${String(new URLSearchParams({ key, ...query }))}`, {
    method: "PUT",
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(size === undefined ? {} : { "content-length": String(size) }),
    },
    body,
  });
  const { error, ...answer } = JSON.parse(new TextDecoder().decode(bytes)) as Readonly<Record<string, unknown>>;
  return { status: response.status, error, answer, bill };
}

/** All that the bucket has below a mirror or `-/`. */
async function keysBelow(prefix: string): Promise<readonly string[]> {
  return (await bucket.list({ prefix })).objects.map(({ key }) => key);
}

function stream(pieces: readonly Uint8Array[], end?: Error): ReadableStream<Uint8Array> {
  const left = [...pieces];
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = left.shift();
      if (piece !== undefined) controller.enqueue(piece);
      else if (end === undefined) controller.close();
      else controller.error(end);
    },
  });
}

beforeAll(async () => {
  await fetch("/fedora/os/repodata/repomd.xml");
  const directory = REPOSITORIES.get(REPOSITORIES.idFromName("fedora"));
  await vi.waitUntil(async () => (await directory.lookUp("os/x.rpm", 0)).tables.length > 0, { timeout: 20_000 });
});

describe("a file that the operator sends", () => {
  it("is stored where the index names its digest, and clients get it while no upstream is asked", async () => {
    const given = await give(path(0), known(0));
    expect(given).toMatchObject({ status: 200, answer: { kind: "stored", verified: "digest", size: known(0).length } });
    expect(given.bill.external).toBe(0);
    expect(await keysBelow(path(0))).not.toEqual([]);
    const { response, bytes, bill } = await fetch(`/${path(0)}`);
    expect(response.status).toBe(200);
    expect(bytes).toEqual(known(0));
    expect(bill.external).toBe(0);
  });

  it("that is there already stays as it is, whatever is sent", async () => {
    await give(path(1), known(1));
    expect(await give(path(1), known(2))).toMatchObject({ status: 200, answer: { kind: "present" } });
    expect((await fetch(`/${path(1)}`)).bytes).toEqual(known(1));
  });

  it("is stored again right after a purge", async () => {
    await give(path(2), known(2));
    const purged = await fetch("/-/ledger/purge", {
      method: "POST",
      headers: { authorization: `Bearer ${TOKEN}` },
      body: JSON.stringify({ pattern: path(2) }),
    });
    expect(purged.response.status).toBe(200);
    expect(await keysBelow(path(2))).toEqual([]);
    expect(await give(path(2), known(2))).toMatchObject({ status: 200, answer: { kind: "stored" } });
    expect(await keysBelow(path(2))).not.toEqual([]);
  });

  it("in many slices is stored under its digest", async () => {
    const bytes = contentOf(3_300_001);
    const key = `-/sha256/${sha256(bytes)}`;
    expect(await give(key, bytes, { query: { mirror: "plain" } })).toMatchObject({
      status: 200,
      answer: { kind: "stored", size: 3_300_001 },
    });
    expect(await give(key, bytes, { query: { mirror: "plain" } })).toMatchObject({ status: 200, answer: { kind: "present" } });
  });

  it("of no bytes is stored where the operator vouches for it", async () => {
    expect(await give("plain/empty.txt", null, { size: 0, query: { vouched: "true" } })).toMatchObject({
      status: 200,
      answer: { kind: "stored", size: 0 },
    });
    const { response, bytes } = await fetch("/plain/empty.txt");
    expect([response.status, bytes.length]).toEqual([200, 0]);
  });
});

describe("nothing is stored of a file", () => {
  it.each([
    ["without the token", null, 401],
    ["with another token", "another-token-altogether", 401],
  ])("%s", async (_what, token, status) => {
    expect(await give(path(3), known(3), { token })).toMatchObject({ status });
    expect((await keysBelow(path(3))).length).toBe(0);
  });

  it("whose bytes are not those of the index", async () => {
    const changed = known(4).map((byte, at) => (at === 1000 ? byte ^ 1 : byte));
    const { status, error } = await give(path(4), changed);
    expect(status).toBe(422);
    expect(error).toMatch(/^Cannot store fedora\/os\/Packages\/known-4\.rpm: /);
    expect(await keysBelow(path(4))).toEqual([]);
    // Clients get the true one from upstream.
    expect((await fetch(`/${path(4)}`)).bytes).toEqual(known(4));
  });

  it("whose bytes are not those of the digest that is its name", async () => {
    const hex = sha256(known(5));
    const { status, error } = await give(`-/sha256/${hex}`, known(6), { query: { mirror: "plain" } });
    expect(status).toBe(422);
    expect(error).toMatch(/: its sha256 is [0-9a-f]{64} at \d+ bytes, not the [0-9a-f]{64} that its name names$/);
    expect(await keysBelow(`-/sha256/${hex}`)).toEqual([]);
  });

  it("whose body ends early, or breaks off", async () => {
    const half = known(7).subarray(0, 2000);
    expect(await give(path(7), stream([half]), { size: known(7).length })).toMatchObject({ status: 422 });
    expect(await give(path(7), stream([half], new Error("the line broke")), { size: known(7).length })).toMatchObject({ status: 422 });
    expect(await keysBelow(path(7))).toEqual([]);
  });

  it("whose body is longer than its length says", async () => {
    expect(await give(path(7), stream([known(7), known(7)]), { size: known(7).length })).toMatchObject({ status: 422 });
    expect(await keysBelow(path(7))).toEqual([]);
  });

  it("without its length", async () => {
    const { status, error } = await give(path(7), stream([known(7)]));
    expect(status).toBe(411);
    expect(error).toMatch(/Content-Length/);
  });

  it("for which there can be no room", async () => {
    // The mirror may have 1 MB.
    const { status, error } = await give("small/x.iso", contentOf(1_200_000), { query: { vouched: "true" } });
    expect(status).toBe(422);
    expect(error).toMatch(/budget|room/);
    expect(await keysBelow("small/x.iso")).toEqual([]);
  });

  it.each([
    ["plain/notes.txt", /no index names it, and files of its kind do not show whether they are whole/],
    ["nowhere/x.rpm", /^Cannot store nowhere\/x\.rpm: /],
    ["plain/../fedora/os/Packages/known-7.rpm", /leads out of its folder/],
    ["/-/ledger/purge", /^Cannot store \/-\/ledger\/purge: /],
    ["plain/", /it is a folder/],
    ["fedora/os/repodata/repomd.xml", /the server fetches it itself/],
    ["-/sha256/00", /^Cannot store -\/sha256\/00: /],
    ["-/sha1/../sha256/x", /^Cannot store /],
  ])("that has no place here: %s", async (key, wanted) => {
    const { status, error } = await give(key, known(8));
    expect(status).toBe(422);
    expect(error).toMatch(wanted);
  });
});
