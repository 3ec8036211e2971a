import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createFileUpstream, type Labels, type UpstreamFile } from "../../chaos/file-upstream.ts";
import { createMirror, type Got } from "../../chaos/mirror.ts";
import { installVirtualTime, type VirtualTime } from "../../chaos/virtual-time.ts";

const SIZE = 700_000;
const SLICE_BYTES = 131_072;
/** A package, and a file that may change. */
const PATHS = ["any/images/disk-1.0.img", "any/images/disk.img"] as const;

let time: VirtualTime;
beforeAll(() => {
  time = installVirtualTime();
});
afterAll(() => time.uninstall());

/** Bytes that no other content shares, anywhere in the file. */
function fileOf(content: string, size = SIZE): UpstreamFile {
  const bytes = new Uint8Array(size);
  let state = Buffer.from(content).reduce((sum, byte) => Math.imul(sum, 31) + byte, 7) >>> 0;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return { bytes, content };
}

interface World {
  readonly labels: readonly Labels[];
  readonly isolates: number;
  /** Whether the second upstream has another content of equal size. */
  readonly isSplit: boolean;
  readonly path: string;
}

function createWorld({ labels, isolates, isSplit, path }: World) {
  const contents: UpstreamFile[] = [];
  const servers = new Map<string, (headers: Headers, signal: AbortSignal | null) => Promise<Response>>();
  const state = { isStill: false, faults: [] as (number | null)[], down: new Set<number>() };
  let asked = 0;
  const publish = (): void => void contents.push(fileOf(`content-${contents.length}-${seed++}`));
  publish();
  labels.forEach((label, at) => {
    const other = isSplit && at === 1 ? fileOf(`other-${seed++}`) : null;
    if (other !== null) contents.unshift(other);
    const breakAt = () => (state.isStill ? null : (state.faults.shift() ?? null));
    const file = () => other ?? (contents.at(-1) as UpstreamFile);
    servers.set(`http://up${at}.test`, createFileUpstream({ name: `up${at}`, labels: label, file, breakAt, bytesPerSecond: 2_000_000 }));
  });
  const mirror = createMirror({
    vars: {
      SLICE_MIB: SLICE_BYTES / 1_048_576,
      HOLD_MIB: 0,
      MIRRORS: { any: { upstreams: [...servers.keys()] } },
    },
    isolates,
    fetch: async (url, init) => {
      asked++;
      const { origin } = new URL(url);
      if (!state.isStill && state.down.has([...servers.keys()].indexOf(origin))) throw new Error("connection refused");
      return (servers.get(origin) as NonNullable<ReturnType<typeof servers.get>>)(new Headers(init.headers), init.signal ?? null);
    },
  });
  return { path, mirror, contents, state, publish, asked: () => asked };
}
let seed = 0;

/** Whether what a client took for whole is what one content has there. */
function isOfOne(got: Got, contents: readonly UpstreamFile[], range: readonly [number, number] | null): boolean {
  if (got.status === 200) return contents.some(({ bytes }) => equal(got.body, bytes));
  if (got.status !== 206 || range === null) return true;
  return contents.some(({ bytes }) => equal(got.body, bytes.subarray(range[0], range[1])));
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

const labels: fc.Arbitrary<Labels> = fc.record({
  tag: fc.constantFrom("strong", "weak", "changing", "changing-weak", "suffixed", "per-upstream", "none"),
  date: fc.constantFrom("constant", "constant", "changing", "none"),
  takesRanges: fc.boolean(),
});
const range = fc.option(
  fc
    .tuple(fc.integer({ min: 0, max: SIZE + 50_000 }), fc.integer({ min: 1, max: SIZE }))
    .map(([first, length]) => [first, first + length] as const),
);
const get = fc.record({
  kind: fc.constant("get" as const),
  range,
  leaveAfter: fc.option(fc.integer({ min: 1, max: SIZE }), { nil: Infinity }),
  isolate: fc.nat(1),
});
const step = fc.oneof(
  { weight: 6, arbitrary: get },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("at-once" as const), gets: fc.array(get, { minLength: 2, maxLength: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("publish" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("evict" as const), at: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("shorten" as const), at: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("break" as const), share: fc.double({ min: 0, max: 0.99, noNaN: true }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("down" as const), upstream: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.integer({ min: 1, max: 30_000 }) }) },
);
type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;
type Get = Extract<Step, { kind: "get" }>;

function askFor(world: ReturnType<typeof createWorld>, { range: wanted, leaveAfter, isolate }: Get): Promise<void> {
  const headers = wanted === null ? {} : { range: `bytes=${wanted[0]}-${wanted[1] - 1}` };
  return world.mirror.ask(world.path, { headers, leaveAfter, isolate }).then((got) => {
    if (got.cut === null) expect([got.status, got.body.length, isOfOne(got, world.contents, wanted)]).toContain(true);
  });
}

async function take(world: ReturnType<typeof createWorld>, one: Step): Promise<void> {
  const { mirror, state } = world;
  const { slices } = mirror.store;
  const keyAt = (at: number) => [...slices.keys()].toSorted()[at % Math.max(1, slices.size)] ?? "";
  switch (one.kind) {
    case "get":
      return askFor(world, one);
    case "at-once":
      return void (await Promise.all(one.gets.map((each) => askFor(world, each))));
    case "publish":
      return world.publish();
    case "restart":
      return mirror.restart();
    case "evict":
      return void slices.delete(keyAt(one.at));
    case "shorten": {
      const slice = slices.get(keyAt(one.at));
      if (slice !== undefined) slice.bytes = slice.bytes.slice(0, slice.bytes.length >> 1);
      return;
    }
    case "break":
      return void state.faults.push(one.share);
    case "down":
      return void state.down.add(one.upstream);
    case "pass":
      return time.pass(one.ms);
  }
}

/** How many requests a client may need, once the upstream stays still. */
const TRIES = 3;

async function getsWhole(
  world: ReturnType<typeof createWorld>,
  wanted: readonly [number, number] | null,
  isolate: number,
): Promise<string[]> {
  const seen: string[] = [];
  const headers = wanted === null ? {} : { range: `bytes=${wanted[0]}-${wanted[1] - 1}` };
  for (let tries = 0; tries < TRIES; tries++) {
    const got = await time.run(world.mirror.ask(world.path, { headers, isolate }));
    const isRight = got.cut === null && (got.status === 200 || got.status === 206) && isOfOne(got, world.contents, wanted);
    seen.push(
      isRight
        ? "right"
        : `${got.status}, ${got.body.length} bytes, ${got.cut ?? "whole"} ${got.status >= 400 ? new TextDecoder().decode(got.body) : ""}`,
    );
    if (isRight) return seen;
  }
  return seen;
}

const WEAK: Labels = { tag: "weak", date: "constant", takesRanges: true };
const HALF = SIZE / 2;

function oneUpstream(label: Labels) {
  const world = createWorld({ labels: [label], isolates: 1, isSplit: false, path: PATHS[0] });
  const ask = (headers: Record<string, string> = {}, leaveAfter = Infinity) => world.mirror.ask(world.path, { headers, leaveAfter });
  const bytes = () => (world.contents.at(-1) as UpstreamFile).bytes;
  return { ...world, ask, bytes };
}

describe("a large file", () => {
  it.each<Labels["tag"]>(["weak", "changing", "changing-weak", "suffixed", "none"])(
    "of which two clients want a half each comes whole to them and to the next one, with tags that are: %s",
    async (tag) => {
      const { ask, bytes, asked } = oneUpstream({ ...WEAK, tag });
      const halves = [ask({ range: `bytes=0-${HALF - 1}` }), ask({ range: `bytes=${HALF}-` })];
      const [first, second] = await time.run(Promise.all(halves));
      expect(equal(first?.body as Uint8Array, bytes().subarray(0, HALF))).toBe(true);
      expect(equal(second?.body as Uint8Array, bytes().subarray(HALF))).toBe(true);
      const whole = await time.run(ask());
      expect([whole.status, whole.cut, equal(whole.body, bytes())]).toEqual([200, null, true]);
      const before = asked();
      const again = await time.run(ask());
      expect([again.cut, equal(again.body, bytes()), asked() - before]).toEqual([null, true, 0]);
    },
  );

  it("of which nothing can be proved is begun anew within the request, head and slices", async () => {
    const { ask, bytes, mirror, publish } = oneUpstream({ tag: "none", date: "none", takesRanges: true });
    await time.run(ask({ range: "bytes=0-9" }));
    await time.pass(1_000);
    const [before] = mirror.store.slices.keys();
    publish();
    const got = await time.run(ask({ range: `bytes=${SIZE - 10}-` }));
    expect([got.status, got.cut, equal(got.body, bytes().subarray(SIZE - 10))]).toEqual([206, null, true]);
    await time.pass(1_000);
    expect([...mirror.store.slices.keys()]).not.toContain(before);
    const whole = await time.run(ask());
    expect([whole.status, whole.cut, equal(whole.body, bytes())]).toEqual([200, null, true]);
  });

  it("that changed after a client left is broken off once at most, and then comes whole", async () => {
    const { ask, bytes, publish } = oneUpstream(WEAK);
    await time.run(ask({}, 300_000));
    publish();
    const got = [await time.run(ask()), await time.run(ask())];
    expect(got.map(({ cut, body }) => cut === null && equal(body, bytes()))).toEqual([false, true]);
  });

  it("has a part that is stored too short fetched again", async () => {
    const { ask, bytes, mirror, asked } = oneUpstream(WEAK);
    await time.run(ask());
    for (const slice of mirror.store.slices.values()) slice.bytes = slice.bytes.slice(0, -1);
    const got = await time.run(ask());
    expect([got.status, got.cut, equal(got.body, bytes())]).toEqual([200, null, true]);
    const before = asked();
    await time.run(ask());
    expect(asked()).toBe(before);
  });

  it("is 416 only for the client that asks for what is behind its end", async () => {
    const { ask, bytes } = oneUpstream(WEAK);
    const behind = ask({ range: `bytes=${SIZE + 500_000}-` });
    const [refused, whole, several] = await time.run(Promise.all([behind, ask(), ask({ range: `bytes=${SIZE + 500_000}-,0-9` })]));
    expect(refused?.status).toBe(416);
    expect([whole.status, equal(whole.body, bytes())]).toEqual([200, true]);
    expect([several?.status, several?.body.length]).toEqual([206, 10]);
    const cold = oneUpstream(WEAK);
    expect((await time.run(cold.ask({ range: `bytes=${SIZE + 500_000}-`, "if-range": '"older"' }))).status).toBe(200);
  });

  it("comes whole, whatever happened before, once the upstream stays still", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          labels: fc.array(labels, { minLength: 1, maxLength: 2 }),
          isolates: fc.constantFrom(1, 1, 2),
          isSplit: fc.boolean(),
          path: fc.constantFrom(...PATHS),
        }),
        fc.array(step, { maxLength: 8 }),
        fc.array(fc.tuple(fc.integer({ min: 0, max: SIZE - 1 }), fc.nat(SIZE)), { minLength: 1, maxLength: 3 }),
        async (options, steps, ranges) => {
          const world = createWorld(options);
          for (const one of steps) await time.run(take(world, one));
          world.state.isStill = true;
          await time.pass(60_000);
          const seen = [await getsWhole(world, null, 0), await getsWhole(world, null, 1)];
          for (const [first, length] of ranges) seen.push(await getsWhole(world, [first, Math.min(SIZE, first + 1 + length)], 0));
          seen.push(await getsWhole(world, null, 0));
          expect(seen.filter((tries) => tries.at(-1) !== "right")).toEqual([]);
        },
      ),
      { numRuns: Number(process.env["RUNS"] ?? 60), seed: Number(process.env["SEED"] ?? 1), endOnFailure: false },
    );
  });
});
