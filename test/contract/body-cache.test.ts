import { describe, expect, it, vi } from "vitest";
import { type BodyCache, UNCACHED } from "../../src/store/body-cache.ts";
import { createCacheApi, type EdgeCache } from "../../src/store/cache-api.ts";
import { newVersion } from "../../src/store/keys.ts";
import { StoreError } from "../../src/store/object-store.ts";
import { answerStoredBytes } from "../../src/store/stored-bytes.ts";
import { type CachedEntrypoint, createWorkersCache } from "../../src/store/workers-cache.ts";
import { createWorkersCacheRules } from "../support/workers-cache.ts";
import { bytesIn, type CacheRig, describeBodyCache, inline, LONG, type Media, newMedia, openWhole, slice } from "./body-cache.ts";

const NOW = 1_700_000_000_000;
const WHOLE = { offset: 0, length: LONG.length };
const MIDDLE = { offset: 70_000, length: 100_000 };

/** One data centre's Cache API for each: no two rigs share an entry. */
function cacheApi(next: BodyCache, cache: EdgeCache = caches.default, maxSlices = 100): CacheRig & { readonly left: Promise<unknown>[] } {
  const left: Promise<unknown>[] = [];
  const own = `https://mirror.test/-/cached/${newVersion()}`;
  const waitUntil = (work: Promise<unknown>) => void left.push(work);
  return {
    left,
    cache: createCacheApi({ cache, base: () => own, next, maxSlices, waitUntil }),
    async settled() {
      while (left.length > 0) await Promise.all(left.splice(0));
    },
  };
}

/** The inner entrypoint over `media`. */
function innerOf(media: Media) {
  return (request: Request) =>
    answerStoredBytes(request, {
      async get() {
        const { pathname, search } = new URL(request.url);
        const [, version = "", storedAt = ""] = /^\/body\/(\w+)\/(\d+)$/.exec(pathname) ?? [];
        media.reads.push("inner");
        const found = openWhole(media, `${pathname.slice(1)}${search}`);
        const object = {
          version,
          size: found?.size ?? 0,
          storedAt: Number(storedAt),
          contentType: "",
          upstream: "",
          verified: "none",
        } as const;
        return found && { object, body: found.body };
      },
      async openSlice(version, index) {
        media.reads.push("inner");
        return openWhole(media, `slice/${version}/${index}`);
      },
    });
}

function world(media: Media, clock = { now: NOW }) {
  const rules = createWorkersCacheRules({ run: innerOf(media), now: () => clock.now });
  const at = (entrypoint: CachedEntrypoint = rules.dataCentre()): BodyCache =>
    createWorkersCache({ entrypoint, next: UNCACHED, now: () => clock.now });
  return { rules, at, clock };
}

const settled = async (): Promise<void> => {};

describeBodyCache("the store itself", () => ({ cache: UNCACHED, settled }));
describeBodyCache("the Cache API", () => cacheApi(UNCACHED));
describeBodyCache("Workers Cache", (media) => ({ cache: world(media).at(), settled }));
describeBodyCache("the Cache API in front of Workers Cache", (media) => cacheApi(world(media).at()));
describeBodyCache("Workers Cache where there is none", (media) => {
  const run = innerOf(media);
  return { cache: world(media).at({ fetch: (url, init) => run(new Request(url, init)) }), settled };
});

describe("the Cache API", () => {
  it("reads each body once, whole and in part", async () => {
    const media = newMedia();
    const { cache, settled: done } = cacheApi(UNCACHED);
    for (const body of [slice(media), inline(media, LONG)]) {
      expect((await bytesIn(await cache.open(body, WHOLE)))?.length).toBe(LONG.length);
      await done();
      expect(media.reads.splice(0)).toEqual([`0+${LONG.length}`]);
      expect(await bytesIn(await cache.open(body, MIDDLE))).toEqual(LONG.slice(70_000, 170_000));
      expect((await cache.open(body, WHOLE))?.from).toBe("cache");
      expect(media.reads).toEqual([]);
    }
  });

  it("fetches the rest of a slice behind an answer that began inside it, once for many", async () => {
    const media = newMedia();
    const { cache, settled: done } = cacheApi(UNCACHED);
    const body = slice(media);
    const got = await Promise.all([1, 2, 3].map(async () => bytesIn(await cache.open(body, MIDDLE))));
    for (const one of got) expect(one).toEqual(LONG.slice(70_000, 170_000));
    await done();
    expect(media.reads.splice(0).toSorted()).toEqual(["70000+100000", "70000+100000", "70000+100000", "whole"]);
    expect(await bytesIn(await cache.open(body, WHOLE))).toEqual(LONG);
    expect(await bytesIn(await cache.open(body, MIDDLE))).toEqual(LONG.slice(70_000, 170_000));
    expect(media.reads).toEqual([]);
  });

  it("fetches nothing behind a small part", async () => {
    const media = newMedia();
    const { cache, settled: done } = cacheApi(UNCACHED);
    const body = slice(media);
    await bytesIn(await cache.open(body, { offset: 5, length: 5_000 }));
    await done();
    expect(media.reads).toEqual(["5+5000"]);
  });

  it("that holds nothing, as on workers.dev, has the rest of a slice fetched once for each isolate", async () => {
    const media = newMedia();
    const nothing: EdgeCache = { match: async () => undefined, put: async () => {}, delete: async () => false };
    const { cache, settled: done } = cacheApi(UNCACHED, nothing);
    const body = slice(media);
    for (let times = 0; times < 3; times++) await bytesIn(await cache.open(body, MIDDLE));
    await done();
    expect(media.reads.filter((read) => read === "whole")).toHaveLength(1);
  });

  it("keeps no slices beyond its number", async () => {
    const media = newMedia();
    const { cache, settled: done } = cacheApi(UNCACHED, caches.default, 1);
    const body = slice(media, LONG, 1);
    for (let times = 0; times < 2; times++) {
      expect((await bytesIn(await cache.open(body, WHOLE)))?.length).toBe(LONG.length);
      await done();
    }
    expect(media.reads).toHaveLength(2);
  });

  it("keeps nothing while the Worker's own host is not known", async () => {
    const media = newMedia();
    const cache = createCacheApi({ cache: caches.default, base: () => null, next: UNCACHED, maxSlices: 9, waitUntil: () => {} });
    const body = slice(media);
    for (let times = 0; times < 2; times++) expect(await bytesIn(await cache.open(body, WHOLE))).toEqual(LONG);
    expect(media.reads).toHaveLength(2);
    expect(await bytesIn({ size: 1, body: cache.keep(body, openWhole(media, body.name)!) })).toEqual(LONG);
  });
});

describe("Workers Cache", () => {
  it("reads each body once for the world, whatever part a data centre asks for first", async () => {
    const media = newMedia();
    const { at, rules } = world(media);
    const [one, other] = [at(), at()];
    for (const body of [slice(media), inline(media, LONG)]) {
      expect(await bytesIn(await one.open(body, MIDDLE))).toEqual(LONG.slice(70_000, 170_000));
      expect(await bytesIn(await other.open(body, WHOLE))).toEqual(LONG);
      expect(await bytesIn(await one.open(body, WHOLE))).toEqual(LONG);
      expect(await bytesIn(await other.openWhole(body))).toEqual(LONG);
      expect(media.reads.splice(0)).toEqual(["inner"]);
      expect(rules.ran()).toEqual([`/${body.name}`]);
    }
  });

  it("runs the entrypoint once for many readers at the same time", async () => {
    const media = newMedia();
    const cache = world(media).at();
    const body = slice(media);
    await Promise.all(Array.from({ length: 10 }, async () => bytesIn(await cache.open(body, WHOLE))));
    expect(media.reads).toEqual(["inner"]);
  });

  it("is asked for no small part, since Cloudflare may bill each call: the store reads it", async () => {
    const media = newMedia();
    const { at, rules } = world(media);
    const small = inline(media, LONG.slice(0, 60_000));
    await bytesIn(await at().open(small, { offset: 0, length: 60_000 }));
    await bytesIn(await at().open(slice(media), { offset: 0, length: 65_535 }));
    expect(media.reads).toEqual(["0+60000", "0+65535"]);
    expect(rules.ran()).toEqual([]);
  });

  it("keeps bodies for thirty days, and serves none that is stale while the store fails", async () => {
    const media = newMedia();
    const { at, clock } = world(media);
    const cache = at();
    const body = slice(media);
    await bytesIn(await cache.open(body, WHOLE));
    clock.now += 30 * 86_400_000 - 1;
    media.failure = new StoreError("unavailable", "no answer");
    expect(await bytesIn(await cache.open(body, WHOLE))).toEqual(LONG);
    clock.now += 1;
    await expect(cache.open(body, WHOLE)).rejects.toThrow("no answer");
  });

  it("that is not there is asked once for each isolate: its answer has no Cf-Cache-Status", async () => {
    const media = newMedia();
    const run = innerOf(media);
    const fetch = vi.fn<CachedEntrypoint["fetch"]>((url, init) => run(new Request(url, init)));
    const cache = world(media).at({ fetch });
    const body = inline(media, LONG);
    for (let times = 0; times < 3; times++) expect(await bytesIn(await cache.open(body, WHOLE))).toEqual(LONG);
    expect(fetch).toHaveBeenCalledTimes(1);
    // What that one answer had was used.
    expect(media.reads).toEqual(["inner", `0+${LONG.length}`, `0+${LONG.length}`]);
  });

  const cached = { "Cf-Cache-Status": "HIT" };
  const range = (text: string) => ({ ...cached, "Content-Range": text });
  it.each<[string, () => Promise<Response>]>([
    ["throws, as beyond the invocations of one request", () => Promise.reject(new Error("Too many Worker invocations"))],
    ["answers 500", async () => new Response("no", { status: 500, headers: cached })],
    ["answers 520", async () => new Response("no", { status: 520 })],
    ["answers 416", async () => new Response(null, { status: 416, headers: cached })],
    ["answers nothing", async () => new Response(null, { status: 204, headers: cached })],
    ["gives all bytes of another length", async () => new Response(LONG.slice(0, 99), { headers: { ...cached, "Content-Length": "99" } })],
    ["gives another part", async () => new Response(LONG.slice(1), { status: 206, headers: range(`bytes 1-${LONG.length}/999999`) })],
    ["gives a part without saying which", async () => new Response(LONG, { status: 206, headers: cached })],
  ])("that %s costs a read of the store and nothing else", async (_, fetch) => {
    const media = newMedia();
    const cache = world(media).at({ fetch });
    for (const body of [slice(media), inline(media, LONG)]) {
      expect(await bytesIn(await cache.open(body, WHOLE))).toEqual(LONG);
      expect(media.reads.splice(0)).toEqual([`0+${LONG.length}`]);
    }
  });

  it("that breaks off makes the stream fail, and nothing of it is kept", async () => {
    const media = newMedia();
    let isBroken = true;
    const breaking = async (): Promise<Response> => {
      let parts = 0;
      const body = new ReadableStream({
        pull(controller) {
          if (parts++ === 0) controller.enqueue(LONG.slice(0, 100_000));
          else if (isBroken) controller.error(new Error("the wire broke"));
          else {
            controller.enqueue(LONG.slice(100_000));
            controller.close();
          }
        },
      });
      return new Response(body, { status: 206, headers: range(`bytes 0-${LONG.length - 1}/${LONG.length}`) });
    };
    const { cache, settled: done } = cacheApi(world(media).at({ fetch: breaking }));
    const body = slice(media);
    await expect(cache.open(body, WHOLE).then(bytesIn)).rejects.toThrow("the wire broke");
    await done();
    expect(await cache.match(body, WHOLE)).toBeNull();
    isBroken = false;
    expect(await bytesIn(await cache.open(body, WHOLE))).toEqual(LONG);
  });

  it.each([
    ["short", 199_999],
    ["long", 200_001],
  ])("that gives a part which is too %s, without its length, makes the stream fail", async (_, length) => {
    const media = newMedia();
    const give = async (): Promise<Response> => {
      const body = new ReadableStream({
        start(controller) {
          controller.enqueue(new Uint8Array(length));
          controller.close();
        },
      });
      return new Response(body, { status: 206, headers: range(`bytes 0-${LONG.length - 1}/${LONG.length}`) });
    };
    await expect(world(media).at({ fetch: give }).open(slice(media), WHOLE).then(bytesIn)).rejects.toThrow(/FixedLengthStream/);
  });

  it("whose entrypoint breaks off costs a read of the store", async () => {
    const media = newMedia();
    const rules = createWorkersCacheRules({
      run: async () => new Response(LONG.slice(0, 99), { headers: { "Cache-Control": "max-age=9", "Content-Length": "200000" } }),
      now: () => NOW,
    });
    expect(await bytesIn(await world(media).at(rules.dataCentre()).open(slice(media), WHOLE))).toEqual(LONG);
    expect(media.reads).toEqual([`0+${LONG.length}`]);
  });

  it("that does not answer is waited for once, and then left alone for a minute", async () => {
    const media = newMedia();
    const clock = { now: NOW };
    const cancelled = vi.fn<() => void>();
    let answerLate: (late: Response) => void = () => {};
    const fetch = vi.fn<CachedEntrypoint["fetch"]>(() => new Promise<Response>((resolve) => (answerLate = resolve)));
    const cache = createWorkersCache({ entrypoint: { fetch }, next: UNCACHED, now: () => clock.now, answerLimitMs: 1 });
    const body = slice(media);
    expect(await bytesIn(await cache.open(body, WHOLE))).toEqual(LONG);
    answerLate(new Response(new ReadableStream({ cancel: cancelled }), { headers: cached }));
    await vi.waitUntil(() => cancelled.mock.calls.length === 1);
    clock.now += 59_999;
    expect(await bytesIn(await cache.open(body, WHOLE))).toEqual(LONG);
    expect(fetch).toHaveBeenCalledTimes(1);
    clock.now += 1;
    await bytesIn(await cache.open(body, WHOLE));
    expect(fetch).toHaveBeenCalledTimes(2);
  });

  it("keeps the data centre from fetching a slice behind an answer: it has all of it", async () => {
    const media = newMedia();
    const { at, rules } = world(media);
    const { cache, settled: done } = cacheApi(at());
    const body = slice(media);
    expect(await bytesIn(await cache.open(body, MIDDLE))).toEqual(LONG.slice(70_000, 170_000));
    await done();
    expect(media.reads).toEqual(["inner"]);
    expect(rules.ran()).toEqual([`/${body.name}`]);
  });

  it("is not asked for what the data centre has", async () => {
    const media = newMedia();
    const { rules, at } = world(media);
    const entrypoint = rules.dataCentre();
    const asked = vi.spyOn(entrypoint, "fetch");
    const { cache, settled: done } = cacheApi(at(entrypoint));
    const body = slice(media);
    for (let times = 0; times < 3; times++) {
      await bytesIn(await cache.open(body, WHOLE));
      await done();
    }
    expect(asked).toHaveBeenCalledTimes(1);
  });
});

describe("the inner entrypoint", () => {
  const version = newVersion();
  const object = { version, size: 5, storedAt: 7, contentType: "", upstream: "", verified: "none" } as const;
  const body = (text: string) => new Response(text).body as ReadableStream<Uint8Array>;
  const answer = (path: string, init: RequestInit = {}) =>
    answerStoredBytes(new Request(`https://stored-bytes${path}`, init), {
      get: async (key) => (key === "a b/é" ? { object, body: body("hello") } : key === "sliced" ? { object, body: null } : null),
      openSlice: async (of, index) => {
        if (index === 9) throw new StoreError("unavailable", "no answer");
        return of === version && index === 0 ? { size: 5, body: body("hello") } : null;
      },
    });
  const KEY = `?key=${encodeURIComponent("a b/é")}`;

  it.each([`/slice/${version}/0`, `/body/${version}/7${KEY}`])(
    "gives all of %s, to be kept for thirty days, also where a range is asked for",
    async (path) => {
      for (const headers of [new Headers(), new Headers({ Range: "bytes=1-2" })]) {
        const response = await answer(path, { headers });
        expect(response.status).toBe(200);
        expect(response.headers.get("cache-control")).toBe("public, max-age=2592000, immutable, stale-if-error=0");
        expect(response.headers.get("content-length")).toBe("5");
        expect(new TextDecoder().decode(await response.arrayBuffer())).toBe("hello");
      }
    },
  );

  it.each([
    [`/slice/${version}/1`, 404, {}],
    [`/slice/${newVersion()}/0`, 404, {}],
    [`/body/${newVersion()}/7${KEY}`, 404, {}],
    [`/body/${version}/8${KEY}`, 404, {}],
    [`/body/${version}/7?key=none`, 404, {}],
    [`/body/${version}/7?key=sliced`, 404, {}],
    [`/slice/${version}/9`, 503, {}],
    [`/slice/${version}/-1`, 400, {}],
    [`/body/${version}/7`, 400, {}],
    ["/", 400, {}],
    [`/slice/${version}/0`, 405, { method: "POST" }],
  ])("answers %s with %i, which no cache may keep", async (path, status, init) => {
    const response = await answer(path, init);
    expect(response.status).toBe(status);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.text()).toMatch(status === 503 ? /no answer/ : /^Cannot answer /);
  });
});
