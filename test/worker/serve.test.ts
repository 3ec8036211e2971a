import { env } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config/parse-config.ts";
import type { Leases } from "../../src/fill/flight/leases.ts";
import { createFills } from "../../src/fill/fills.ts";
import { createStreamDigest } from "../../src/fill/pump/check.ts";
import { createMemory } from "../../src/fill/shared/memory.ts";
import type { Repositories, Resolution } from "../../src/metadata/ports/repositories.ts";
import { routeRequest } from "../../src/route/route-request.ts";
import { createReadyHeads } from "../../src/serve/answer/ready-heads.ts";
import { serve } from "../../src/serve/serve.ts";
import { createConfirmations } from "../../src/serve/shared/confirmations.ts";
import { createRoom } from "../../src/serve/shared/room.ts";
import type { ServeDependencies } from "../../src/serve/shared/dependencies.ts";
import { contentKey, newVersion } from "../../src/store/keys.ts";
import { createR2Store } from "../../src/store/r2-store.ts";
import type { StoredObject } from "../../src/store/stored-object.ts";
import type { Absent, UpstreamAnswer, UpstreamRequest } from "../../src/upstream/upstream.ts";
import { sha256 } from "../unit/metadata/samples.ts";

const { BUCKET } = env as unknown as { BUCKET: R2Bucket };
const UPSTREAM = "http://one.test/";
const SLICE = 65_536;
const DAY_MS = 86_400_000;
const store = createR2Store(BUCKET);

let worlds = 0;

interface Rig {
  readonly open: (request: UpstreamRequest) => Promise<UpstreamAnswer>;
  readonly repositories?: Partial<Repositories>;
  readonly leases?: Partial<Leases>;
  /** Whether there is room in the store; default: there is. */
  readonly admit?: () => Promise<boolean>;
}

/** A mirror of its own over the real store: `open` is the upstream, `leases` the coordinator (absent: this isolate leads whatever it claims). */
function createRig({ open, repositories, leases, admit = async () => true }: Rig) {
  const name = `m${++worlds}`;
  const parsed = parseConfig({ SLICE_MIB: 1, MIRRORS: { [name]: { upstreams: [UPSTREAM], distro: "debian" } } });
  if (!parsed.ok) throw new Error(parsed.problems.join());
  const { config } = parsed;
  const log: string[] = [];
  const works: Promise<unknown>[] = [];
  const flight: Leases = {
    claimSlice: async () => ({ kind: "lead", lease: { tell: () => true, [Symbol.dispose]() {} }, tainted: false }),
    follow: async () => ({ kind: "free" }),
    taint: async (key) => void log.push(`taint ${key}`),
    ...leases,
  };
  const upstreams = { open };
  const sleep = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));
  const fills = createFills({
    config,
    store,
    upstreams,
    leases: flight,
    memory: createMemory(64 * SLICE, sleep),
    now: () => Date.now(),
    sleep,
    createDigest: createStreamDigest,
    admit,
    maxPumpBytes: Infinity,
    onStored: () => {},
    onBroken: (_target, upstream, reason) => log.push(`${upstream}: ${reason}`),
    onUnstored: (_key, reason) => log.push(reason),
  });
  const deps: ServeDependencies = {
    config,
    store,
    fills,
    upstreams,
    repositories: {
      resolve: async () => ({ kind: "opaque" }),
      noteUse: async () => {},
      expected: async () => ({ kind: "none" }),
      ...repositories,
    } as Repositories,
    confirmations: createConfirmations(),
    native: null,
    now: () => Date.now(),
    taint: flight.taint,
    onUse: () => {},
    heads: createReadyHeads({ isLocal: true, now: Date.now }),
    room: createRoom(1 << 20),
    condemn: async () => {},
    log: (message) => log.push(message),
  };
  return {
    name,
    log,
    async get(path: string, headers: Record<string, string> = {}, method = "GET") {
      const routed = routeRequest(config, { url: `/${name}/${path}` });
      if (routed.kind !== "mirror") throw new Error(JSON.stringify(routed));
      const waitUntil = (work: Promise<unknown>) => void works.push(work);
      const response = await serve(
        { method, headers: new Headers(headers), waitUntil, onBody: () => {}, onHead: () => {} },
        routed.target,
        deps,
      );
      const text = new TextDecoder().decode(await response.arrayBuffer());
      await Promise.all(works);
      const location = response.headers.get("location");
      return {
        status: response.status,
        text,
        cache: response.headers.get("cache-status") ?? "",
        ...(location === null ? {} : { location }),
      };
    },
  };
}

function objectOf(size: number, more: Partial<StoredObject> = {}): StoredObject {
  return { version: newVersion(), size, contentType: "x/y", upstream: UPSTREAM, storedAt: Date.now(), verified: "digest", ...more };
}

function bodyOf(text: string, lastModified?: string, ended: string[] = []): UpstreamAnswer {
  const bytes = new TextEncoder().encode(text);
  let isRead = false;
  return {
    kind: "body",
    first: 0,
    representation: {
      size: bytes.length,
      etag: undefined,
      lastModified,
      contentType: "x/y",
      contentEncoding: undefined,
      upstream: UPSTREAM,
    },
    source: {
      async read() {
        if (isRead) return null;
        isRead = true;
        return bytes;
      },
      cancel: (reason = "") => void ended.push(reason),
    },
  };
}

const put = (key: string, text: string, more: Partial<StoredObject> = {}) =>
  store.put(key, objectOf(text.length, more), new TextEncoder().encode(text));

function hashed(text: string) {
  const digest = sha256(text);
  return {
    path: `dists/sid/main/binary-amd64/by-hash/SHA256/${digest}`,
    key: contentKey({ name: "any" }, { algorithm: "sha256", digest }),
  };
}

/** The coordinator of a world in which another isolate fetches what this one asks for, and stores it. */
function ledByAnother(stored: () => Promise<unknown>): Partial<Leases> {
  return {
    claimSlice: async (_key, _slice, { version }) =>
      version === undefined
        ? { kind: "follow", object: null, seen: 0 }
        : { kind: "lead", lease: { tell: () => true, [Symbol.dispose]() {} }, tainted: false },
    async follow() {
      await stored();
      return { kind: "committed" };
    },
  };
}

describe("a file named by its digest that is past its retention", () => {
  it.each(["object", "absent", "failure", "opaque"] as const)(
    "is answered from what the upstream sends; its repository says %s",
    async (kind) => {
      const { path, key } = hashed(`packages ${kind}`);
      const ended: string[] = [];
      const answers = {
        object: { kind: "object", key, object: objectOf(1), state: "fresh", ageSeconds: 0 },
        absent: { kind: "absent", status: 404 },
        failure: { kind: "failure", status: 503, detail: "it is down" },
        opaque: { kind: "opaque" },
      } as const;
      const rig = createRig({
        open: async () => bodyOf(`packages ${kind}`, "Tue, 02 Jan 2024 00:00:00 GMT", ended),
        repositories: { resolve: async () => answers[kind] },
      });
      const lastModified = "Mon, 01 Jan 2024 00:00:00 GMT";
      await put(key, `packages ${kind}`, { storedAt: Date.now() - 400 * DAY_MS, lastModified });
      expect(await rig.get(path)).toMatchObject({ status: 200, text: `packages ${kind}` });
      expect(ended.length).toBeGreaterThan(0);
      expect((await store.head(key))?.storedAt).toBeGreaterThan(Date.now() - DAY_MS);
    },
  );
});

describe("a file named by its digest that was stored for all mirrors before it was proven", () => {
  it.each(["none", "length"] as const)("is fetched anew where it was stored as %s, and is proven then", async (verified) => {
    const text = `an index that was once ${verified}`;
    const { path, key } = hashed(text);
    const rig = createRig({ open: async () => bodyOf(text) });
    await put(key, "other bytes that an earlier version stored", { verified });
    expect(await rig.get(path)).toMatchObject({ status: 200, text, cache: expect.stringContaining("fwd=miss") });
    expect(await store.head(key)).toMatchObject({ size: text.length, sha256: sha256(text) });
    expect(await rig.get(path)).toMatchObject({ status: 200, text, cache: expect.stringContaining("hit") });
  });

  it("is fetched anew where it is a head in slices", async () => {
    const text = "an index that was once in slices";
    const { path, key } = hashed(text);
    const rig = createRig({ open: async () => bodyOf(text) });
    await store.put(key, objectOf(2 * SLICE, { sliceBytes: SLICE, verified: "none" }), new Uint8Array(0));
    expect(await rig.get(path, { range: "bytes=0-7" })).toMatchObject({ status: 206, text: "an index" });
    expect(await rig.get(path)).toMatchObject({ status: 200, text });
  });
});

describe("an answer that falls through", () => {
  it("because a generation's file lost a slice, and the upstream has another version, comes from what the repository fetches again", async () => {
    const lost: (string | undefined)[] = [];
    const [old, again] = ["-/sha256/0a", "-/sha256/0b"];
    const rig = createRig({
      open: async ({ sameAs }) => (sameAs === undefined ? bodyOf("x") : { kind: "changed" }),
      repositories: {
        async resolve(_target, key) {
          lost.push(key);
          if (key !== undefined) await put(again, "the contents");
          return { kind: "object", key: key === undefined ? old : again, object: objectOf(1), state: "fresh", ageSeconds: 0 };
        },
      },
    });
    await store.put(old, objectOf(2 * SLICE, { sliceBytes: SLICE }), new Uint8Array(0));
    expect(await rig.get("dists/sid/main/Contents-amd64.gz")).toMatchObject({ status: 200, text: "the contents" });
    expect(lost).toEqual([undefined, old]);
  });

  it("because the store lost what the repository believes to be there is another isolate's", async () => {
    const { path, key } = hashed("packages lost");
    const rig = createRig({
      open: async () => bodyOf("unused"),
      repositories: { resolve: async () => ({ kind: "object", key, object: objectOf(1), state: "fresh", ageSeconds: 0 }) },
      leases: ledByAnother(() => put(key, "packages lost")),
    });
    expect(await rig.get(path)).toMatchObject({ status: 200, text: "packages lost" });
  });

  it("because a slice is lost and the upstream has a new version is another isolate's", async () => {
    const rig = createRig({
      open: async ({ sameAs }) => (sameAs === undefined ? bodyOf("new") : { kind: "changed" }),
      leases: ledByAnother(() => put(`m${worlds}/pool/a_1.deb`, "new")),
    });
    await store.put(`${rig.name}/pool/a_1.deb`, objectOf(2 * SLICE, { sliceBytes: SLICE }), new Uint8Array(0));
    expect(await rig.get("pool/a_1.deb")).toMatchObject({ status: 200, text: "new" });
  });

  it("because the upstream removed it while two clients asked is another isolate's", async () => {
    let asked = 0;
    const rig = createRig({
      async open() {
        asked++;
        await new Promise((resolve) => setTimeout(resolve, 20));
        return asked === 1 ? { kind: "absent", status: 404 } : bodyOf("new");
      },
      leases: ledByAnother(() => put(`m${worlds}/some/log.txt`, "new")),
    });
    await put(`${rig.name}/some/log.txt`, "old", { storedAt: Date.now() - DAY_MS });
    const [first, second] = await Promise.all([rig.get("some/log.txt"), rig.get("some/log.txt")]);
    expect([first.status, second.status, second.text]).toEqual([404, 200, "new"]);
  });
});

describe("a stored file that may change, and that an upstream has no more,", () => {
  it.each<readonly [string, Absent, string]>([
    ["is kept where another upstream cannot be asked", { kind: "absent", status: 404, unsure: ["http://two.example"] }, "some/log.txt"],
    ["is kept where the word is 403", { kind: "absent", status: 403 }, "some/log.txt"],
    ["goes where every upstream said so", { kind: "absent", status: 410 }, "some/log.txt"],
    ["goes so too where it is metadata that no root names", { kind: "absent", status: 410 }, "dists/x/Release.key"],
  ])("%s", async (_, answered, path) => {
    const rig = createRig({ open: async () => answered });
    const key = `${rig.name}/${path}`;
    await put(key, "old", { storedAt: Date.now() - DAY_MS });
    const isGone = answered.status === 410;
    for (let asked = 0; asked < 2; asked++) {
      expect(await rig.get(path)).toMatchObject(isGone ? { status: 410 } : { status: 200, text: "old" });
    }
    expect((await store.head(key)) === null).toBe(isGone);
  });
});

describe("a stored package with a slice missing, which an upstream has no more,", () => {
  it.each<readonly [string, UpstreamAnswer, number]>([
    ["is kept where another upstream cannot be asked", { kind: "absent", status: 404, unsure: ["http://two.example"] }, 502],
    ["is kept where the upstream has a folder of that name", { kind: "folder" }, 502],
    ["goes where every upstream said so", { kind: "absent", status: 404 }, 404],
  ])("%s", async (_, answered, status) => {
    const rig = createRig({ open: async () => answered });
    const key = `${rig.name}/pool/a_1.deb`;
    await store.put(key, objectOf(2 * SLICE, { sliceBytes: SLICE }), new Uint8Array(0));
    expect((await rig.get("pool/a_1.deb")).status).toBe(status);
    expect((await store.head(key)) === null).toBe(status === 404);
  });
});

describe("a stored file that may change", () => {
  const OLD = "Mon, 01 Jan 2024 00:00:00 GMT";
  const ONE = "http://one.test";
  const OLDER = "Sun, 31 Dec 2023 00:00:00 GMT";
  const long = { storedAt: Date.now() - DAY_MS };
  const from = (upstream: string, answered: UpstreamAnswer): UpstreamAnswer =>
    answered.kind === "body" ? { ...answered, representation: { ...answered.representation, upstream } } : answered;

  it("is compared by the validators of the upstream that gave it", async () => {
    const asked: UpstreamRequest["conditional"][] = [];
    const rig = createRig({
      async open({ conditional }) {
        asked.push(conditional);
        return { kind: "not-modified", upstream: "http://one.test" };
      },
    });
    await put(`${rig.name}/some/log.txt`, "old", { ...long, etag: '"x"', lastModified: OLD, upstream: "http://two.test" });
    expect((await rig.get("some/log.txt")).cache).toBe("lazy-mirror; fwd=stale; fwd-status=304");
    expect(asked).toEqual([{ etag: '"x"', lastModified: OLD, upstream: "http://two.test" }]);
  });

  it("is no miss when the upstream has a new one", async () => {
    const rig = createRig({ open: async () => bodyOf("new") });
    expect((await rig.get("some/log.txt")).cache).toBe("lazy-mirror; fwd=miss; fwd-status=200; stored");
    await put(`${rig.name}/other/log.txt`, "old", long);
    expect(await rig.get("other/log.txt")).toMatchObject({ text: "new", cache: "lazy-mirror; fwd=stale; fwd-status=200; stored" });
  });

  it.each([
    ["stays where another upstream lags behind", ONE, "http://two.test", OLD, 500, "old"],
    ["goes where its own upstream goes back", ONE, ONE, OLD, 500, "older"],
    ["goes where its own upstream is no longer asked", "http://gone.test", ONE, OLD, 500, "older"],
    ["goes where its own upstream has not confirmed it for DOUBT_SECONDS", ONE, "http://two.test", OLD, 700, "older"],
    ["goes where its own upstream's clock is ahead", ONE, "http://two.test", "Thu, 01 Jan 2099 00:00:00 GMT", 500, "older"],
  ])("%s", async (_, upstream, answers, lastModified, ageSeconds, text) => {
    const rig = createRig({ open: async () => from(answers, bodyOf("older", OLDER)) });
    await put(`${rig.name}/some/log.txt`, "old", { storedAt: Date.now() - ageSeconds * 1_000, lastModified, upstream });
    expect(await rig.get("some/log.txt")).toMatchObject({ status: 200, text });
  });
});

describe("a file named by a digest that is not its own", () => {
  const named = "0123456789abcdef0123456789abcdef01234567";
  const inRepodata = `os/repodata/${named}-notes.txt`;
  const known = (digest: string) => ({ kind: "known", expectations: [{ algorithm: "sha1", digest, source: "name" }] }) as const;
  const root: Resolution = { kind: "object", key: "-/x", object: objectOf(1), state: "fresh", ageSeconds: 0 };

  function rigFor(resolved: Resolution, names: string | null) {
    const open = async () => bodyOf("notes");
    return createRig({
      open,
      repositories: {
        resolve: async (target) => (target.class === "root" ? resolved : { kind: "opaque" }),
        expected: async (target) => {
          if (target.class === "hashed") return known(named);
          return target.class === "member" && names === target.path ? known(named) : { kind: "none" };
        },
      },
    });
  }

  it.each([
    ["there is no root", { kind: "absent", status: 404 }],
    ["the root cannot be read", { kind: "opaque" }],
    ["the root does not name it", root],
  ] as const)("passes, each time and unstored, where %s", async (_, resolved) => {
    const rig = rigFor(resolved, null);
    for (let times = 0; times < 2; times++) {
      expect(await rig.get(inRepodata)).toMatchObject({ status: 200, text: "notes", cache: "lazy-mirror; fwd=miss; fwd-status=200" });
    }
    expect(await store.head(`${rig.name}/${inRepodata}`)).toBeNull();
    expect(await store.head(`-/sha1/${named}`)).toBeNull();
  });

  it.each([
    ["the root names it", root, inRepodata, inRepodata],
    ["the root cannot be asked for", { kind: "failure", status: 502, detail: "down" }, null, inRepodata],
    ["its folder is by-hash/", root, null, `dists/x/by-hash/SHA1/${named}`],
  ] as const)("is refused where %s", async (_, resolved, names, path) => {
    expect(await rigFor(resolved, names).get(path)).toMatchObject({ status: 502 });
  });
});

describe("a folder without its slash", () => {
  const moved = (location: string) => ({ status: 301, location, cache: "lazy-mirror; fwd=miss; fwd-status=301" });

  it.each(["GET", "HEAD"])("is a redirect to %s, relative to the request, with the query that the mirror allows", async (method) => {
    const rig = createRig({ open: async () => ({ kind: "folder" }) });
    expect(await rig.get("pool/a+b:c?x=1", {}, method)).toMatchObject(moved("./a%2Bb%3Ac/"));
    expect(await rig.get("pool/x.iso", {}, method)).toMatchObject(moved("./x.iso/"));
  });

  it("is the same for all clients that ask at once, and nothing is stored", async () => {
    let asked = 0;
    const rig = createRig({
      async open() {
        asked++;
        await new Promise((resolve) => setTimeout(resolve, 20));
        return { kind: "folder" };
      },
    });
    const answers = await Promise.all([rig.get("pool"), rig.get("pool"), rig.get("pool")]);
    for (const answer of answers) expect(answer).toMatchObject(moved("./pool/"));
    expect(asked).toBe(1);
    expect(await store.head(`${rig.name}/pool`)).toBeNull();
  });

  it("is so too where an earlier version stored the listing there", async () => {
    const rig = createRig({ open: async () => ({ kind: "folder" }) });
    await put(`${rig.name}/pool`, "<a href=x>", { storedAt: Date.now() - DAY_MS });
    expect(await rig.get("pool")).toMatchObject({ status: 301, location: "./pool/" });
  });
});

describe("a package that was stored while its index could not be asked", () => {
  const MODIFIED = "Mon, 01 Jan 2024 00:00:00 GMT";

  async function stored(content: string, named: string | null) {
    const digest = named === null ? null : sha256(named);
    const rig = createRig({
      open: async ({ conditional }) =>
        conditional === undefined ? bodyOf("right", MODIFIED) : { kind: "not-modified", upstream: "http://one.test" },
      repositories: {
        expected: async () =>
          digest === null ? { kind: "none" } : { kind: "known", expectations: [{ algorithm: "sha256", digest, size: 5, source: "index" }] },
      },
    });
    const key = `${rig.name}/pool/a_1.tar.gz`;
    const more = { storedAt: Date.now() - 2 * DAY_MS, lastModified: MODIFIED, verified: "length", provisional: true } as const;
    await put(key, content, { ...more, sha256: sha256(content) });
    return { ...rig, key, fetch: () => rig.get("pool/a_1.tar.gz") };
  }

  it("is compared the next day, and known by its digest from then on", async () => {
    const { fetch, key } = await stored("right", "right");
    expect(await fetch()).toMatchObject({ status: 200, text: "right" });
    expect(await store.head(key)).toMatchObject({ verified: "digest" });
    expect((await store.head(key))?.provisional).toBeUndefined();
  });

  it("and is another file than the published one is never served again: its version is tainted, and the right one fetched", async () => {
    const { fetch, key, log } = await stored("wrong", "right");
    expect(await fetch()).toMatchObject({ status: 200, text: "right" });
    expect(log).toContain(`taint ${key}`);
  });

  it("and that two clients ask for at once is compared once", async () => {
    const { fetch, key, log } = await stored("wrong", "right");
    expect((await Promise.all([fetch(), fetch()])).map(({ text }) => text)).toEqual(["right", "right"]);
    expect(log.filter((line) => line === `taint ${key}`)).toHaveLength(1);
  });

  it("and that no index names stays, as its length proved it", async () => {
    const { fetch, key } = await stored("right", null);
    expect(await fetch()).toMatchObject({ status: 200, text: "right" });
    expect((await store.head(key))?.provisional).toBeUndefined();
    expect(await store.head(key)).toMatchObject({ verified: "length" });
  });
});

describe("several ranges of a file that is not stored", () => {
  const MIB = 1024 * 1024;
  const bytes = Uint8Array.from({ length: 8 * MIB }, (_, at) => (at * 7 + (at >> 9)) & 255);

  function createOrigin() {
    const asked: (UpstreamRequest["range"] | null)[] = [];
    const open = async ({ range, method }: UpstreamRequest): Promise<UpstreamAnswer> => {
      if (method !== "HEAD") asked.push(range ?? null);
      const first = range?.first ?? 0;
      const parts = [bytes.slice(first, (range?.last ?? Infinity) + 1)];
      const { representation } = bodyOf("") as Extract<UpstreamAnswer, { kind: "body" }>;
      const source = { read: async () => parts.shift() ?? null, cancel: () => {} };
      return { kind: "body", first, representation: { ...representation, size: bytes.length, etag: '"one"' }, source };
    };
    return { open, asked };
  }

  it("that lead back and forth do not fetch a slice for each", async () => {
    const { open, asked } = createOrigin();
    const { get } = createRig({ open, admit: async () => false });
    const ranges = Array.from({ length: 40 }, (_, at) => ((at * 3) % 8) * MIB + at).map((at) => `${at}-${at}`);
    const { status, text } = await get("pool/a.tar.gz", { range: `bytes=${ranges.join(",")}` });
    expect(asked.length).toBeLessThanOrEqual(8);
    // RFC 9110 §14.2: ranges may be ignored, and then it is the whole.
    expect([status, text.length > 40]).toEqual([200, true]);
  });

  it("in ascending order are the parts that were asked for", async () => {
    const { open, asked } = createOrigin();
    const { get } = createRig({ open, admit: async () => false });
    const { status, text } = await get("pool/b.tar.gz", { range: `bytes=0-9,20-29,${2 * MIB}-${2 * MIB + 9}` });
    expect([status, text.match(/Content-Range: bytes [^\r]*/g)]).toEqual([
      206,
      ["0-9", "20-29", `${2 * MIB}-${2 * MIB + 9}`].map((range) => `Content-Range: bytes ${range}/${bytes.length}`),
    ]);
    expect(asked).toHaveLength(2);
  });
});
