import { gzipSync } from "node:zlib";
import { abortAllDurableObjects, env, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { aroundEach, describe, expect, it, vi } from "vitest";
import { asRequest } from "../../src/clock/signal.ts";
import type { Config } from "../../src/config/config.ts";
import { createLeases, type FillCoordinator } from "../../src/fill/flight/fill-coordinator.ts";
import { coordinatorName } from "../../src/fill/flight/regions.ts";
import { createFills, type Fills } from "../../src/fill/fills.ts";
import { createMemory } from "../../src/fill/shared/memory.ts";
import type { PumpDependencies } from "../../src/fill/pump/dependencies.ts";
import type { Sink } from "../../src/fill/delivery.ts";
import type { Reading } from "../../src/fill/reading.ts";
import { createStreamDigest } from "../../src/fill/pump/check.ts";
import type { Target } from "../../src/route/target.ts";
import { createReadyHeads } from "../../src/serve/answer/ready-heads.ts";
import { serve } from "../../src/serve/serve.ts";
import { createConfirmations } from "../../src/serve/shared/confirmations.ts";
import { createRoom } from "../../src/serve/shared/room.ts";
import type { ServeDependencies } from "../../src/serve/shared/dependencies.ts";
import { StoreError, type ObjectStore } from "../../src/store/object-store.ts";
import { createR2Store } from "../../src/store/r2-store.ts";
import { sliceKey } from "../../src/store/keys.ts";
import { SourceError, type UpstreamAnswer, type UpstreamRequest, type Upstreams } from "../../src/upstream/upstream.ts";
import { toHex, type Expected } from "../../src/verify/expectation.ts";
import { craftRpm } from "../support/crafted-rpm.ts";

// Each test is one request: it wakes its own waits at once, as a request that fetches a file for itself does.
aroundEach(async (run) => asRequest(run));

const { BUCKET, FLIGHTS } = env as unknown as { BUCKET: R2Bucket; FLIGHTS: DurableObjectNamespace<FillCoordinator> };

const SLICE = 100_000;
const CHUNK = 30_000;
const UPSTREAMS = ["http://one.test", "http://two.test"] as const;
const CONFIG = {
  sliceBytes: SLICE,
  holdBytes: 0,
  holdMs: 1_000,
  retentionDays: 90,
  upstreamFirstByteSeconds: 5,
  verify: "index",
} as Config;

/** What one upstream has, and how it gives it. */
interface Served {
  bytes: Uint8Array;
  lastModified?: string;
  /** Bytes after which it waits for `gate`. */
  pauseAt?: number;
  gate?: Promise<void>;
  contentEncoding?: string;
  /** Its headers state no length; `true`: its end shows all the same, as that of chunks does. */
  endShows?: boolean;
}

/** The upstreams of a mirror: what each answers, and how often it was asked. */
function createOrigin(serving: (upstream: string, path: string) => Served | null) {
  const asked: UpstreamRequest[] = [];
  const cancelled: UpstreamRequest[] = [];
  const upstreams: Upstreams = {
    async open(request): Promise<UpstreamAnswer> {
      asked.push(request);
      const upstream = UPSTREAMS.find((url) => request.avoid?.includes(url) !== true) ?? UPSTREAMS[0];
      const served = serving(upstream, request.path);
      if (served === null) return { kind: "absent", status: 404 };
      const { bytes, lastModified, pauseAt = Infinity, gate, endShows, contentEncoding } = served;
      const representation = {
        size: endShows === undefined ? bytes.length : undefined,
        etag: undefined,
        lastModified,
        contentType: "application/x-rpm",
        contentEncoding,
        upstream,
      };
      if (request.method === "HEAD") return { kind: "head", representation };
      const first = request.range?.first ?? 0;
      let at = first;
      const source = {
        async read() {
          if (at >= pauseAt) await gate;
          const part = bytes.slice(at, Math.min(at + CHUNK, (request.range?.last ?? Infinity) + 1));
          at += part.length;
          return part.length === 0 ? null : part;
        },
        cancel: () => void cancelled.push(request),
        isEndProven: () => endShows ?? true,
      };
      return { kind: "body", representation, first, source };
    },
  };
  return { upstreams, asked, cancelled };
}

interface World {
  readonly key: string;
  readonly target: Target;
  readonly store: ObjectStore;
  readonly log: string[];
  /** Fills of another isolate over the same store and coordinator. */
  isolate(overrides?: Partial<PumpDependencies>): Fills;
  open(fills: Fills, target?: Target, expected?: (waitMs: number, maxAgeMs?: number) => Promise<Expected>): Promise<Reading>;
  /** All that went on behind the answers so far has ended. */
  settled(): Promise<void>;
}

let worlds = 0;

function createWorld(upstreams: Upstreams, change: (store: ObjectStore) => Partial<ObjectStore> = () => ({})): World {
  const path = `pool/${++worlds}.rpm`;
  const key = `any/${path}`;
  const mirror = { name: "any", upstreams: UPSTREAMS.map((url) => ({ url, authorization: undefined })) } as unknown as Target["mirror"];
  const target: Target = { mirror, path, query: "", key, class: "package", rule: "rpm", repository: null };
  const bare = createR2Store(BUCKET);
  const store = { ...bare, ...change(bare) };
  const log: string[] = [];
  const work: Promise<unknown>[] = [];
  const sleep = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));
  return {
    key,
    target,
    store,
    log,
    settled: async () => void (await Promise.all(work)),
    isolate: (overrides = {}) =>
      createFills({
        config: CONFIG,
        store,
        upstreams,
        leases: createLeases(FLIGHTS, { onError: (error) => log.push(String(error)) }),
        memory: createMemory(64 * SLICE, sleep),
        now: () => Date.now(),
        sleep,
        createDigest: createStreamDigest,
        admit: async () => true,
        maxPumpBytes: Infinity,
        onStored: () => {},
        onBroken: (_target, upstream, reason) => log.push(`${upstream}: ${reason}`),
        onUnstored: (_key, reason) => log.push(reason),
        ...overrides,
      }),
    async open(fills, of = target, expected = async () => ({ kind: "none" })) {
      const opened = await fills.open({
        target: of,
        first: 0,
        // The caller has looked at the store just now.
        recheck: false,
        waitUntil: (one) => void work.push(one),
        expected,
      });
      if (opened.kind !== "reading") throw new Error(`Cannot read ${of.key}: ${JSON.stringify(opened)}`);
      return opened.reading;
    },
  };
}

/** All the bytes of a reading, as a client gets them. */
async function readAll(reading: Reading): Promise<Uint8Array> {
  const ended = await reading.hold(0);
  if (ended !== null) throw new Error(`Cannot read: ${JSON.stringify(ended)}`);
  const parts: Uint8Array[] = [];
  const sink: Sink = {
    write: async (bytes) => void parts.push(bytes),
    pipe: async (stream) => void parts.push(new Uint8Array(await new Response(stream).arrayBuffer())),
  };
  try {
    if (reading.growing !== null) await reading.deliverGrowing(sink);
    else await reading.deliver(0, reading.promise().size, sink);
  } finally {
    reading.close();
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function rpmOf(seed: number, size: number): Uint8Array {
  const payload = Uint8Array.from({ length: size }, (_, at) => (at * seed + (at >> 8)) & 255);
  return craftRpm({ payload, format: "v4" }).bytes;
}
function flipped(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));
}
function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** The object at rest, put together. */
async function readStored(store: ObjectStore, key: string): Promise<Uint8Array | null> {
  const found = await store.get(key);
  if (found === null) return null;
  const { object, body } = found;
  if (object.sliceBytes === undefined) return new Uint8Array(await new Response(body).arrayBuffer());
  const parts: ArrayBuffer[] = [];
  for (let at = 0; at * object.sliceBytes < object.size; at++) {
    const slice = await store.getSlice(object.version, at);
    if (slice === null) return null;
    parts.push(await new Response(slice).arrayBuffer());
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

describe("two isolates over one store and one coordinator", () => {
  it.each([50_000, 450_000])("fetch an object of %d bytes once, and both have it exactly", async (size) => {
    const bytes = rpmOf(7, size);
    const gate = Promise.withResolvers<void>();
    const origin = createOrigin(() => ({ bytes, pauseAt: CHUNK, gate: gate.promise }));
    const world = createWorld(origin.upstreams);
    const [one, two] = [world.isolate(), world.isolate()];
    const first = world.open(one).then(readAll);
    while (origin.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    const follower = two.open({
      target: world.target,
      first: 0,
      recheck: true,
      waitUntil: () => {},
      expected: async () => ({ kind: "none" }),
    });
    setTimeout(gate.resolve, 50);
    expect(isEqual(await first, bytes)).toBe(true);
    const followed = await follower;
    // A small one is read from the store, a large one while it comes.
    expect(followed.kind).toBe(size > SLICE ? "reading" : "stored");
    if (followed.kind === "reading") expect(isEqual(await readAll(followed.reading), bytes)).toBe(true);
    expect(isEqual((await readStored(world.store, world.key)) ?? new Uint8Array(), bytes)).toBe(true);
    expect(origin.asked).toHaveLength(1);
    expect(world.log).toEqual([]);
  });

  it("tell the followers of a failure, instead of letting each try", async () => {
    const gate = Promise.withResolvers<void>();
    const asked: string[] = [];
    const upstreams: Upstreams = {
      async open(request) {
        asked.push(request.path);
        await gate.promise;
        return { kind: "failure", status: 504, detail: "it is silent" };
      },
    };
    const world = createWorld(upstreams);
    const isolates = Array.from({ length: 4 }, () => world.isolate());
    const request = {
      target: world.target,
      first: 0,
      recheck: true,
      waitUntil: () => {},
      expected: async () => ({ kind: "none" }) as const,
    };
    const opened = isolates.map((fills) => fills.open(request));
    while (asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    setTimeout(gate.resolve, 50);
    for (const end of await Promise.all(opened)) expect(end).toMatchObject({ kind: "failure", status: 504 });
    expect(asked).toHaveLength(1);
  });

  it("do no harm with two leaders, after the coordinator forgot the first", async () => {
    const bytes = rpmOf(11, 450_000);
    const gate = Promise.withResolvers<void>();
    const origin = createOrigin(() => ({ bytes, pauseAt: 2 * SLICE, gate: gate.promise }));
    const world = createWorld(origin.upstreams);
    const first = world.open(world.isolate()).then(readAll);
    while (origin.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await abortAllDurableObjects();
    const second = world.open(world.isolate()).then(readAll);
    while (origin.asked.length === 1) await new Promise((resolve) => setTimeout(resolve, 1));
    gate.resolve();
    expect(isEqual(await first, bytes)).toBe(true);
    expect(isEqual(await second, bytes)).toBe(true);
    expect(isEqual((await readStored(world.store, world.key)) ?? new Uint8Array(), bytes)).toBe(true);
  });
});

describe("a part of a file under a Content-Encoding", () => {
  async function readPart(world: World, fills: Fills, first: number, last: number): Promise<Uint8Array> {
    const opened = await fills.open({
      target: world.target,
      first,
      last,
      recheck: false,
      waitUntil: () => {},
      expected: async () => ({ kind: "none" }),
    });
    if (opened.kind !== "reading") throw new Error(`Cannot read: ${opened.kind}`);
    const parts: Uint8Array<ArrayBuffer>[] = [];
    await opened.reading.hold(0);
    await opened.reading.deliver(first, last + 1, {
      write: async (bytes) => void parts.push(bytes.slice()),
      pipe: async (stream) => void parts.push(new Uint8Array(await new Response(stream).arrayBuffer())),
    });
    opened.reading.close();
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }

  it("that is a mistake is fetched alone, after a look at the file's first bytes", async () => {
    const bytes = rpmOf(31, 450_000);
    const origin = createOrigin(() => ({ bytes, contentEncoding: "x-gzip" }));
    const world = createWorld(origin.upstreams);
    const part = await readPart(world, world.isolate(), 310_000, 310_099);
    expect(isEqual(part, bytes.subarray(310_000, 310_100))).toBe(true);
    expect(origin.asked.map(({ range }) => range?.first)).toEqual([3 * SLICE, 0]);
    expect(origin.asked[1]?.range?.last).toBe(7);
  });

  it("that is true comes from the decoded whole", async () => {
    const bytes = rpmOf(37, 450_000);
    const origin = createOrigin(() => ({ bytes: gzipSync(bytes), contentEncoding: "gzip" }));
    const world = createWorld(origin.upstreams);
    const part = await readPart(world, world.isolate(), 310_000, 310_099);
    expect(isEqual(part, bytes.subarray(310_000, 310_100))).toBe(true);
    expect(origin.asked.at(-1)?.range).toBeUndefined();
  });
});

describe("a body without a length", () => {
  /** Of no structure that is known here. */
  function noiseOf(seed: number, size: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length: size }, (_, at) => (at * at * seed + (at >> 7)) & 255);
  }
  const tarOf = ({ target }: World): Target => ({ ...target, path: `${target.path}.tar.gz`, key: `${target.key}.tar.gz` });

  it.each([700, 50_000, SLICE, SLICE + 1, 3 * SLICE, 450_000])(
    "of %d bytes whose end shows is fetched once for all clients of an isolate, and stored whole",
    async (size) => {
      const bytes = noiseOf(3, size);
      const gate = Promise.withResolvers<void>();
      const origin = createOrigin(() => ({ bytes, endShows: true, pauseAt: Math.min(size, 2 * CHUNK), gate: gate.promise }));
      const world = createWorld(origin.upstreams);
      const fills = world.isolate();
      const target = tarOf(world);
      const clients = Array.from({ length: 4 }, () => world.open(fills, target).then(readAll));
      while (origin.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      setTimeout(gate.resolve, 30);
      for (const got of await Promise.all(clients)) expect(isEqual(got, bytes)).toBe(true);
      await world.settled();
      expect(isEqual((await readStored(world.store, target.key)) ?? new Uint8Array(), bytes)).toBe(true);
      expect((await world.store.head(target.key))?.size).toBe(size);
      expect(origin.asked).toHaveLength(1);
      expect(world.log).toEqual([]);
    },
  );

  it.each([700, 450_000])("of %d bytes that may have been cut is passed on, and no package of it is stored, nor a slice", async (size) => {
    const bytes = noiseOf(5, size);
    const origin = createOrigin(() => ({ bytes, endShows: false }));
    const puts: string[] = [];
    const world = createWorld(origin.upstreams, (store) => ({
      putSlice: (version, index, slice) => {
        puts.push(version);
        return store.putSlice(version, index, slice);
      },
    }));
    const target = tarOf(world);
    const reading = await world.open(world.isolate(), target);
    expect(isEqual(await readAll(reading), bytes)).toBe(true);
    await world.settled();
    expect(await world.store.head(target.key)).toBeNull();
    expect(puts).toEqual([]);
  });

  it("that is small, may have been cut and may change is kept, as unproven", async () => {
    const bytes = noiseOf(7, 900);
    const origin = createOrigin(() => ({ bytes, endShows: false }));
    const world = createWorld(origin.upstreams);
    const target: Target = { ...tarOf(world), class: "volatile" };
    expect(isEqual(await readAll(await world.open(world.isolate(), target)), bytes)).toBe(true);
    await world.settled();
    expect(await world.store.head(target.key)).toMatchObject({ verified: "none", size: 900 });
  });

  it("that breaks off ends every reader, and leaves no slice behind", async () => {
    const bytes = noiseOf(9, 450_000);
    const gate = Promise.withResolvers<void>();
    const slices: string[] = [];
    const origin = createOrigin(() => ({ bytes, endShows: true, pauseAt: 350_000, gate: gate.promise }));
    const world = createWorld(origin.upstreams, (store) => ({
      putSlice: (version, index, slice) => {
        slices.push(sliceKey(version, index));
        return store.putSlice(version, index, slice);
      },
    }));
    const target = tarOf(world);
    const fills = world.isolate();
    const readings = [world.open(fills, target).then(readAll), world.open(fills, target).then(readAll)];
    while (slices.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
    gate.reject(new SourceError({ kind: "failure", status: 502, detail: "lost the connection" }));
    for (const reading of await Promise.allSettled(readings)) expect(reading).toMatchObject({ status: "rejected" });
    await world.settled();
    expect(await world.store.head(target.key)).toBeNull();
    for (const key of slices) expect(await BUCKET.head(key)).toBeNull();
  });

  it.each([
    [20_000, true],
    [31_000, false],
  ])("goes on for half a minute after its last reader has left, and no longer: after %d ms", async (awayMs, isCompleted) => {
    const bytes = noiseOf(13, 90_000);
    const gate = Promise.withResolvers<void>();
    const origin = createOrigin(() => ({ bytes, endShows: true, pauseAt: 2 * CHUNK, gate: gate.promise }));
    const world = createWorld(origin.upstreams);
    const target = tarOf(world);
    const clock = { now: Date.now() };
    const fills = world.isolate({ now: () => clock.now });
    const reading = await world.open(fills, target);
    const whole = readAll(reading).catch((error: unknown) => String(error));
    await vi.waitFor(() => expect([...(fills.list()[0]?.buffers.values() ?? [])].map(({ filled }) => filled)).toEqual([2 * CHUNK]));
    reading.close();
    clock.now += awayMs;
    gate.resolve();
    await Promise.all([whole, world.settled()]);
    expect((await world.store.head(target.key))?.size).toBe(isCompleted ? bytes.length : undefined);
    expect(fills.list()).toEqual([]);
  });

  it("that another isolate fetches is found stored where it was short, and is its own where it takes long", async () => {
    for (const [size, isLong] of [
      [50_000, false],
      [450_000, true],
    ] as const) {
      const bytes = noiseOf(11, size);
      const gate = Promise.withResolvers<void>();
      const origin = createOrigin(() => ({ bytes, endShows: true, pauseAt: CHUNK, gate: gate.promise }));
      const world = createWorld(origin.upstreams);
      const target = tarOf(world);
      const config = { ...CONFIG, holdMs: isLong ? 0 : 1_000 };
      const first = world.open(world.isolate({ config }), target).then(readAll);
      while (origin.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      const followed = world.isolate({ config }).open({
        target,
        first: 0,
        recheck: true,
        waitUntil: () => {},
        expected: async () => ({ kind: "none" }),
      });
      setTimeout(gate.resolve, 50);
      expect(isEqual(await first, bytes)).toBe(true);
      expect(await followed).toMatchObject({ kind: isLong ? "unshared" : "stored" });
      expect(origin.asked).toHaveLength(1);
    }
  });

  it("a deb that goes on behind its data is whole at the next try, for a client that began to read it too", async () => {
    const deb = debOf(250_000);
    const member = new TextEncoder().encode(
      `${"_gpgorigin".padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}${"10".padEnd(10)}\`\n0123456789`,
    );
    const signed = new Uint8Array(await new Blob([deb, member]).arrayBuffer());
    const origin = createOrigin(() => ({ bytes: signed, endShows: true }));
    const world = createWorld(origin.upstreams);
    const target: Target = { ...world.target, path: "pool/a.deb", key: `${world.key}.deb` };
    const fills = world.isolate();
    const first = await world
      .open(fills, target)
      .then(readAll)
      .catch((error: unknown) => error);
    expect(first instanceof Error || isEqual(first as Uint8Array, signed)).toBe(true);
    await world.settled();
    expect(isEqual(await readAll(await world.open(fills, target)), signed)).toBe(true);
    await world.settled();
    expect(isEqual((await readStored(world.store, target.key)) ?? new Uint8Array(), signed)).toBe(true);
  });

  /** An ar archive as dpkg-deb writes it: only its structure counts here. */
  function debOf(dataBytes: number): Uint8Array {
    const header = (name: string, size: number): string =>
      `${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}${String(size).padEnd(10)}\`\n`;
    return new TextEncoder().encode(
      `!<arch>\n${header("debian-binary", 4)}2.0\n${header("control.tar", 100)}${"c".repeat(100)}${header("data.tar", dataBytes)}${"d".repeat(dataBytes)}`,
    );
  }
});

describe("the coordinator", () => {
  it("ends a lease with its stub, and lets the next one lead at once", async () => {
    const leases = createLeases(FLIGHTS, { onError: () => {} });
    const first = await leases.claimSlice("any/lease", 0, { recheck: true });
    expect(first.kind).toBe("lead");
    const second = await leases.claimSlice("any/lease", 0, { recheck: true });
    if (first.kind !== "lead" || second.kind !== "follow") throw new Error(`Cannot go on with ${first.kind} and ${second.kind}`);
    const waiting = leases.follow("any/lease", 0, { seen: second.seen, wantObject: true });
    first.lease[Symbol.dispose]();
    expect(await waiting).toEqual({ kind: "free" });
    expect((await leases.claimSlice("any/lease", 0, { recheck: true })).kind).toBe("lead");
  });

  it("remembers over a restart that a version went bad", async () => {
    const leases = createLeases(FLIGHTS, { onError: () => {} });
    await leases.taint("any/tainted", "0".repeat(32));
    const stub = FLIGHTS.get(FLIGHTS.idFromName(coordinatorName("any/tainted")));
    await evictDurableObject(stub);
    expect(await leases.claimSlice("any/tainted", 0, { recheck: true })).toMatchObject({ kind: "lead", tainted: true });
    await runInDurableObject(stub, async (_instance, state) => expect(await state.storage.get("tainted:any/tainted")).toBe(true));
  });

  it("tells a reader of another isolate that the version it is sending went bad", async () => {
    const leases = createLeases(FLIGHTS, { onError: () => {} });
    const [bad, good] = ["b".repeat(32), "a".repeat(32)];
    await leases.taint("any/spoiled", bad);
    expect(await leases.claimSlice("any/spoiled", 3, { recheck: false, version: bad })).toEqual({ kind: "spoiled" });
    expect((await leases.claimSlice("any/spoiled", 3, { recheck: false, version: good })).kind).toBe("lead");
  });

  it("is the isolate itself where there is only one, and remembers over a restart what went bad", async () => {
    const leases = createLeases(FLIGHTS, { onError: () => {}, isLocal: true });
    const [one, other] = [
      await leases.claimSlice("any/one", 0, { recheck: true }),
      await leases.claimSlice("any/other", 0, { recheck: true }),
    ];
    expect([one.kind, other.kind]).toEqual(["lead", "lead"]);
    await leases.taint("any/one", "c".repeat(32));
    expect((await leases.claimSlice("any/one", 0, { recheck: true })).kind).toBe("follow");
    for (const claim of [one, other]) if (claim.kind === "lead") claim.lease[Symbol.dispose]();
    expect(await leases.claimSlice("any/one", 0, { recheck: true })).toMatchObject({ kind: "lead", tainted: true });
    expect(await leases.claimSlice("any/other", 0, { recheck: true })).toMatchObject({ kind: "lead", tainted: false });
    await evictDurableObject(FLIGHTS.get(FLIGHTS.idFromName("local")));
    const restarted = createLeases(FLIGHTS, { onError: () => {}, isLocal: true });
    expect(await restarted.claimSlice("any/one", 0, { recheck: true })).toMatchObject({ kind: "lead", tainted: true });
    expect(await restarted.claimSlice("any/other", 0, { recheck: true })).toMatchObject({ kind: "lead", tainted: false });
  });

  it("that cannot be reached makes every caller a leader", async () => {
    const errors: unknown[] = [];
    const broken = { idFromName: () => "x", get: () => ({ claimSlice: () => Promise.reject(new Error("overloaded")) }) };
    const leases = createLeases(broken as unknown as DurableObjectNamespace<FillCoordinator>, { onError: (error) => errors.push(error) });
    const claim = await leases.claimSlice("any/x", 0, { recheck: true });
    expect(claim.kind).toBe("lead");
    expect(errors).toHaveLength(1);
  });
});

describe("a store that is slow", () => {
  const bytes = rpmOf(29, 50_000);

  /** A world whose store takes nothing before `open` is called. */
  function createSlow(holdBytes: number) {
    const gate = Promise.withResolvers<void>();
    const origin = createOrigin(() => ({ bytes }));
    const world = createWorld(origin.upstreams, (bare) => ({
      async put(...args) {
        await gate.promise;
        return bare.put(...args);
      },
    }));
    const config = { ...CONFIG, holdBytes, holdMs: 10_000 };
    return { world, origin, open: gate.resolve, isolate: () => world.isolate({ config }) };
  }

  async function readHeld(reading: Reading): Promise<Uint8Array> {
    expect(await reading.hold(10_000)).toBeNull();
    return readAll(reading);
  }

  it("keeps no client waiting for a held file, nor makes another fetch it again", async () => {
    const { world, origin, open, isolate } = createSlow(SLICE);
    const fills = isolate();
    expect(isEqual(await readHeld(await world.open(fills)), bytes)).toBe(true);
    expect(isEqual(await readHeld(await world.open(fills)), bytes)).toBe(true);
    expect(await world.store.head(world.key)).toBeNull();
    open();
    await world.settled();
    expect(isEqual((await readStored(world.store, world.key)) ?? new Uint8Array(), bytes)).toBe(true);
    expect(origin.asked).toHaveLength(1);
  });

  it("and a request that was dropped before it stored what was given out are no reason to give that out for ever", async () => {
    const origin = createOrigin(() => ({ bytes }));
    let puts = 0;
    const world = createWorld(origin.upstreams, (bare) => ({
      // The first write never ends: the runtime dropped its request.
      put: (...args) => (puts++ === 0 ? new Promise<never>(() => {}) : bare.put(...args)),
    }));
    let now = Date.now();
    const fills = world.isolate({ config: { ...CONFIG, holdBytes: SLICE, holdMs: 10_000 }, now: () => now });
    expect(isEqual(await readHeld(await world.open(fills)), bytes)).toBe(true);
    const waiting = await world.open(fills);
    const settled = waiting.settled();
    now += 46_000;
    expect(isEqual(await readHeld(await world.open(fills)), bytes)).toBe(true);
    expect(origin.asked).toHaveLength(2);
    await vi.waitFor(async () => expect(isEqual((await readStored(world.store, world.key)) ?? new Uint8Array(), bytes)).toBe(true));
    // A reading that waited for it to be stored goes on as well.
    waiting.close();
    await settled;
  });

  it("keeps back the end of what is being sent already", async () => {
    const { world, open, isolate } = createSlow(0);
    let isWhole = false;
    const reading = await world.open(isolate());
    const read = readAll(reading).then((all) => ((isWhole = true), all));
    while (reading.object?.verified !== "structure") await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(isWhole).toBe(false);
    open();
    expect(isEqual(await read, bytes)).toBe(true);
  });
});

describe("a store that does not take what is fetched", () => {
  it.each(["full", "unavailable", "busy"] as const)("(%s) is no reason not to deliver", async (kind) => {
    const bytes = rpmOf(13, 450_000);
    const origin = createOrigin(() => ({ bytes }));
    const fail = async (): Promise<never> => {
      throw new StoreError(kind, `Cannot store: ${kind}`);
    };
    const world = createWorld(origin.upstreams, () => ({ put: fail, putSlice: fail }));
    const fills = world.isolate();
    const readings = await Promise.all([world.open(fills), world.open(fills)]);
    for (const read of await Promise.all(readings.map(readAll))) expect(isEqual(read, bytes)).toBe(true);
    expect(origin.asked).toHaveLength(1);
    expect(world.log).toHaveLength(1);
    expect(await world.store.head(world.key)).toBeNull();
  });

  it("but is only busy gets it a moment later, and its head once", async () => {
    const bytes = rpmOf(17, 450_000);
    const origin = createOrigin(() => ({ bytes }));
    let heads = 0;
    let refusals = 3;
    const world = createWorld(origin.upstreams, (bare) => ({
      async put(...args) {
        if (refusals-- > 0) throw new StoreError("busy", "Cannot put: 10058");
        heads++;
        return bare.put(...args);
      },
    }));
    expect(isEqual(await readAll(await world.open(world.isolate())), bytes)).toBe(true);
    expect(isEqual((await readStored(world.store, world.key)) ?? new Uint8Array(), bytes)).toBe(true);
    // Published with the first slice, and once more with the verdict.
    expect(heads).toBe(2);
    expect(await world.store.head(world.key)).toMatchObject({ verified: "structure" });
  });
});

describe("a version that proves bad", () => {
  it("after it was streamed is deleted, and taints the next", async () => {
    const good = rpmOf(19, 450_000);
    let bytes = flipped(good, 400_000);
    const origin = createOrigin(() => ({ bytes }));
    const world = createWorld(origin.upstreams);
    const fills = world.isolate();
    const reading = await world.open(fills);
    await expect(readAll(reading)).rejects.toThrow("bad");
    expect(await world.store.head(world.key)).toBeNull();
    bytes = good;
    expect(isEqual(await readAll(await world.open(world.isolate())), good)).toBe(true);
    await world.settled();
    expect(await world.store.head(world.key)).toMatchObject({ tainted: true, verified: "structure" });
  });

  it("before anyone saw it is replaced from the next upstream, also where its head was stored already", async () => {
    const good = rpmOf(23, 450_000);
    const origin = createOrigin((upstream) => ({ bytes: upstream === UPSTREAMS[0] ? flipped(good, 400_000) : good }));
    const world = createWorld(origin.upstreams);
    const fills = world.isolate();
    const reading = await world.open(fills);
    expect(await reading.hold(10_000)).toBeNull();
    expect(isEqual(await readAll(reading), good)).toBe(true);
    expect(isEqual((await readStored(world.store, world.key)) ?? new Uint8Array(), good)).toBe(true);
    expect(await world.store.head(world.key)).toMatchObject({ verified: "structure", upstream: UPSTREAMS[1] });
  });

  it("is a failure, not an absence, where no other upstream has the file", async () => {
    const origin = createOrigin((upstream) => (upstream === UPSTREAMS[0] ? { bytes: flipped(rpmOf(29, 50_000), 40_000) } : null));
    const world = createWorld(origin.upstreams);
    const reading = await world.open(world.isolate()).catch(() => null);
    const end = reading === null ? null : await reading.hold(10_000);
    expect(end ?? { status: 502 }).toMatchObject({ status: 502 });
  });
});

describe("a file that came while the index that may name it was being read", () => {
  const BUILDING: Expected = { kind: "building" };

  async function namedAs(bytes: Uint8Array): Promise<Expected> {
    const digest = toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
    return { kind: "known", expectations: [{ algorithm: "sha256", digest, source: "index" }] };
  }

  /** Fetches `bytes`; the index lands while they come, and then says `landed`. */
  async function fetchWhileBuilding(bytes: Uint8Array, landed: Expected) {
    const world = createWorld(createOrigin(() => ({ bytes })).upstreams);
    let questions = 0;
    const reading = await world.open(world.isolate(), world.target, async () => (++questions === 1 ? BUILDING : landed));
    const read = await readAll(reading).catch((error: unknown) => String(error));
    await world.settled();
    return { world, read };
  }

  it.each([50_000, 450_000])("is proven where the index names it by now (%d bytes)", async (size) => {
    const bytes = rpmOf(61, size);
    const { world, read } = await fetchWhileBuilding(bytes, await namedAs(bytes));
    expect(isEqual(read as Uint8Array, bytes)).toBe(true);
    const head = await world.store.head(world.key);
    expect(head).toMatchObject({ verified: "digest" });
    expect(head).not.toHaveProperty("provisional");
    expect(isEqual((await readStored(world.store, world.key)) ?? new Uint8Array(), bytes)).toBe(true);
  });

  it.each([50_000, 450_000])("is refused where the index names other bytes by now (%d bytes)", async (size) => {
    const bytes = rpmOf(67, size);
    const { world, read } = await fetchWhileBuilding(bytes, await namedAs(flipped(bytes, 40_000)));
    expect(typeof read).toBe("string");
    expect(await world.store.head(world.key)).toBeNull();
    expect(world.log[0]).toContain("that its index names");
  });

  it.each([50_000, 450_000])("is stored with its SHA-256 while the index is still being read (%d bytes)", async (size) => {
    const bytes = rpmOf(71, size);
    const { world, read } = await fetchWhileBuilding(bytes, BUILDING);
    expect(isEqual(read as Uint8Array, bytes)).toBe(true);
    const sha256 = toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
    expect(await world.store.head(world.key)).toMatchObject({ verified: "structure", sha256 });
  });

  it("is marked where the index names it by a digest that was not computed: its next use has it fetched anew", async () => {
    const bytes = rpmOf(73, 50_000);
    const landed = { kind: "known", expectations: [{ algorithm: "sha512", digest: "0".repeat(128), source: "index" }] } as const;
    const { world } = await fetchWhileBuilding(bytes, landed);
    expect(await world.store.head(world.key)).toMatchObject({ provisional: true, verified: "structure" });
  });

  it("is taken where what was remembered of the index is older than the file: before a refusal it is asked anew", async () => {
    const bytes = rpmOf(79, 50_000);
    const [old, current] = [await namedAs(flipped(bytes, 40_000)), await namedAs(bytes)];
    const world = createWorld(createOrigin(() => ({ bytes })).upstreams);
    const asked = async (_waitMs: number, maxAgeMs?: number): Promise<Expected> => (maxAgeMs === 0 ? current : old);
    const reading = await world.open(world.isolate(), world.target, asked);
    expect(isEqual(await readAll(reading), bytes)).toBe(true);
    await world.settled();
    expect(await world.store.head(world.key)).toMatchObject({ verified: "digest" });
    expect(world.log).toEqual([]);
  });
});

describe("memory", () => {
  it("that is too small for all fills at once delays them, and fails none", async () => {
    const bytes = rpmOf(31, 650_000);
    const origin = createOrigin(() => ({ bytes }));
    const world = createWorld(origin.upstreams);
    const memory = createMemory(4 * SLICE, () => new Promise((resolve) => setTimeout(resolve, 5)));
    const fills = world.isolate({ memory });
    const targets = Array.from({ length: 4 }, (_, at) => ({ ...world.target, key: `${world.key}-${at}` }));
    const all = await Promise.all(targets.map(async (target) => readAll(await world.open(fills, target))));
    for (const read of all) expect(isEqual(read, bytes)).toBe(true);
    await world.settled();
    expect(memory.used).toBe(0);
  });

  it("is given to new fills by clients that read a stored one slowly", async () => {
    const bytes = rpmOf(37, 250_000);
    const origin = createOrigin(() => ({ bytes }));
    const world = createWorld(origin.upstreams);
    const memory = createMemory(3 * SLICE, () => new Promise((resolve) => setTimeout(resolve, 5)));
    const fills = world.isolate({ memory });
    const slow = await world.open(fills);
    expect(await slow.hold(10_000)).toBeNull();
    const next = { ...world.target, key: `${world.key}-next` };
    expect(isEqual(await readAll(await world.open(fills, next)), bytes)).toBe(true);
    // And the slow one goes on from the store.
    expect(isEqual(await readAll(slow), bytes)).toBe(true);
    expect(origin.asked).toHaveLength(2);
  });
});

describe("clients that stop reading what is not stored", () => {
  /** A mirror at the edge: 64 MiB for all fills, slices of 8 MiB. Files whose name begins with `large` are not stored. */
  function createEdge() {
    const bytes = new Uint8Array(12 * 1_048_576).map((_, at) => (at * 41 + (at >> 9)) & 255);
    const origin = createOrigin(() => ({ bytes }));
    const world = createWorld(origin.upstreams);
    const clock = { now: Date.now() };
    const memory = createMemory(64 * 1_048_576, () => new Promise((resolve) => setTimeout(resolve, 5)));
    const fills = world.isolate({
      config: { ...CONFIG, sliceBytes: 8 * 1_048_576, holdBytes: 4 * 1_048_576 },
      memory,
      now: () => clock.now,
      admit: async (key) => !key.includes("large"),
    });
    const open = (name: string) => world.open(fills, { ...world.target, path: `pool/${name}.iso`, key: `${world.key}-${name}` });
    return { bytes, clock, memory, fills, world, open };
  }

  /** A client that takes nothing after the headers; rejects once its body is aborted. */
  async function stall(reading: Reading): Promise<void> {
    await reading.hold(0);
    const sink: Sink = { write: () => new Promise(() => {}), pipe: () => new Promise(() => {}) };
    await reading.deliver(0, reading.promise().size, sink).finally(() => reading.close());
  }

  it("hold half of the memory at most, and files are fetched and stored beside them", async () => {
    const { bytes, memory, open, world } = createEdge();
    const stalled = Array.from({ length: 20 }, async (_, at) => open(`large-${at}`).then(stall));
    const ended = Promise.allSettled(stalled);
    await vi.waitUntil(() => memory.used > 20 * 1_048_576, { timeout: 20_000 });
    const read = await readAll(await open("stored"));
    expect(isEqual(read, bytes)).toBe(true);
    await vi.waitUntil(() => memory.used <= 32 * 1_048_576, { timeout: 20_000 });
    expect(isEqual((await readStored(world.store, `${world.key}-stored`)) ?? new Uint8Array(), bytes)).toBe(true);
    void ended;
  });

  it("are ended, the one that has stalled for longest first, where others need what they hold", async () => {
    const { bytes, clock, memory, open } = createEdge();
    let aborted = 0;
    const stalled = Array.from({ length: 40 }, async (_, at) => {
      const reading = await open(`large-${at}`);
      await stall(reading).catch((error: unknown) => {
        expect(String(error)).toContain("reads too slowly");
        aborted++;
      });
    });
    await vi.waitUntil(() => memory.used > 31 * 1_048_576, { timeout: 20_000 });
    expect(aborted).toBe(0);
    const next = open("large-next").then(readAll);
    const passing = setInterval(() => (clock.now += 1_000), 10);
    expect(isEqual(await next, bytes)).toBe(true);
    clearInterval(passing);
    expect(aborted).toBeGreaterThan(0);
    void stalled;
  });
});

describe("a package that a client doubts", () => {
  const MINUTE_MS = 60_000;

  function createMirror(origin: ReturnType<typeof createOrigin>, pathClass: Target["class"] = "package") {
    const world = createWorld(origin.upstreams);
    let clock = Date.now();
    const now = (): number => clock;
    const deps: ServeDependencies = {
      config: CONFIG,
      store: world.store,
      fills: world.isolate({ now }),
      upstreams: origin.upstreams,
      repositories: { expected: async () => ({ kind: "none" }) } as unknown as ServeDependencies["repositories"],
      confirmations: createConfirmations(),
      now,
      native: null,
      taint: async () => {},
      onUse: () => {},
      heads: createReadyHeads({ isLocal: true, now: Date.now }),
      room: createRoom(1 << 20),
      condemn: async () => {},
      log: (message) => world.log.push(message),
    };
    return {
      world,
      pass: (ms: number) => void (clock += ms),
      async get(headers: Record<string, string> = {}) {
        const client = { method: "GET", headers: new Headers(headers), waitUntil: () => {}, onBody: () => {}, onHead: () => {} };
        const response = await serve(client, { ...world.target, class: pathClass }, deps);
        return { status: response.status, bytes: new Uint8Array(await response.arrayBuffer()) };
      },
    };
  }
  const DOUBT = { "cache-control": "no-cache" };

  it("is asked about once a minute at most, also while the upstream fails", async () => {
    const bytes = rpmOf(41, 50_000);
    let isDown = false;
    const origin = createOrigin(() => ({ bytes, lastModified: "Sun, 06 Nov 2022 08:49:37 GMT" }));
    const { open } = origin.upstreams;
    origin.upstreams.open = async (request) => {
      const answer = await open(request);
      return isDown ? { kind: "failure", status: 502, detail: "it is down" } : answer;
    };
    const mirror = createMirror(origin);
    const expectServed = async (asked: number): Promise<void> => {
      const { status, bytes: got } = await mirror.get(DOUBT);
      expect({ status, isExact: isEqual(got, bytes), asked: origin.asked.length }).toEqual({ status: 200, isExact: true, asked });
    };
    await expectServed(1);
    await expectServed(1);
    mirror.pass(MINUTE_MS);
    await expectServed(2);
    await expectServed(2);
    isDown = true;
    mirror.pass(MINUTE_MS);
    await expectServed(3);
    await expectServed(3);
    mirror.pass(MINUTE_MS);
    await expectServed(4);
    isDown = false;
    mirror.pass(MINUTE_MS);
    await expectServed(5);
  });

  it("and that may change is fetched again where its date is as young as the stored copy, and asked about from then on", async () => {
    const [one, two] = [rpmOf(53, 50_000), rpmOf(59, 50_000)];
    let served: Served = { bytes: one, lastModified: new Date().toUTCString() };
    const origin = createOrigin(() => served);
    const mirror = createMirror(origin, "volatile");
    expect(isEqual((await mirror.get()).bytes, one)).toBe(true);
    served = { ...served, bytes: two };
    mirror.pass(2 * MINUTE_MS);
    expect(isEqual((await mirror.get()).bytes, two)).toBe(true);
    mirror.pass(2 * MINUTE_MS);
    await mirror.get();
    expect(origin.asked.map(({ conditional }) => conditional?.lastModified)).toEqual([undefined, undefined, served.lastModified]);
  });

  it.each([50_000, 450_000])("is replaced by a new one of %d bytes, but not by a broken one", async (size) => {
    const old = rpmOf(43, 50_000);
    const changed = rpmOf(47, size);
    let served: Served = { bytes: old, lastModified: "Sun, 06 Nov 2022 08:49:37 GMT" };
    const origin = createOrigin(() => served);
    const mirror = createMirror(origin);
    expect(isEqual((await mirror.get()).bytes, old)).toBe(true);
    mirror.pass(MINUTE_MS);
    served = { bytes: new TextEncoder().encode("<!doctype html><html>log in</html>"), lastModified: "Mon, 07 Nov 2022 08:49:37 GMT" };
    expect(isEqual((await mirror.get(DOUBT)).bytes, old)).toBe(true);
    mirror.pass(MINUTE_MS);
    served = { bytes: changed, lastModified: "Mon, 07 Nov 2022 08:49:37 GMT" };
    expect(isEqual((await mirror.get(DOUBT)).bytes, changed)).toBe(true);
    expect(isEqual((await mirror.get()).bytes, changed)).toBe(true);
  });
});
