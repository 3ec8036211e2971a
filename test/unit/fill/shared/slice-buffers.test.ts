import { aroundEach, describe, expect, it } from "vitest";
import { asRequest } from "../../../../src/clock/signal.ts";
import { createFill, type Fill, type Run, type SliceBuffer } from "../../../../src/fill/shared/fill.ts";
import { createMemory } from "../../../../src/fill/shared/memory.ts";
import {
  dropBuffers,
  dropReadBuffers,
  dropStalled,
  dropStoredBuffers,
  shrinkSlices,
  takeBuffer,
} from "../../../../src/fill/shared/slice-buffers.ts";
import type { Target } from "../../../../src/route/target.ts";

// Each test is one request: it wakes its own waits at once, as a request that fetches a file for itself does.
aroundEach(async (run) => asRequest(run));

const LENGTH = 1_048_576;
const clock = { now: 0 };

function fillOf(): Fill {
  const target = { key: "any/a.rpm", path: "a.rpm", class: "package" } as unknown as Target;
  return createFill(target, null, false, LENGTH);
}

function runAt(slice: number): Run {
  return { isFromStart: true, slice, last: null, progressAt: 0, abandoned: false, isUnproven: false };
}

describe("the buffers of a fill", () => {
  const memory = () => createMemory(100 * LENGTH, async () => {});
  async function take(fill: Fill, room: ReturnType<typeof memory>, slice: number): Promise<SliceBuffer> {
    const buffer = await takeBuffer(fill, runAt(slice), 100 * LENGTH, { memory: room, now: () => clock.now });
    if (buffer === null) throw new Error("Cannot take a buffer");
    return buffer;
  }

  it("are three at most: the first that is at rest goes", async () => {
    const [fill, room] = [fillOf(), memory()];
    for (const slice of [0, 1, 2]) (await take(fill, room, slice)).atRest = slice === 1;
    await take(fill, room, 3);
    expect([...fill.buffers.keys()]).toEqual([0, 2, 3]);
    expect(room.used).toBe(3 * LENGTH);
  });

  it("wait for a slow reader where nothing is stored, and go once all have read them", async () => {
    const [fill, room] = [fillOf(), memory()];
    fill.storable = false;
    const reader = { position: 0, isDropped: false };
    fill.readers.add(reader);
    for (const slice of [0, 1, 2]) (await take(fill, room, slice)).filled = LENGTH;
    const next = take(fill, room, 3);
    // Read to one byte before the end: still wanted.
    reader.position = LENGTH - 1;
    fill.changed.notify();
    await Promise.resolve();
    expect(fill.buffers.has(0)).toBe(true);
    reader.position = LENGTH;
    fill.changed.notify();
    expect((await next).index).toBe(3);
    expect(fill.buffers.has(0)).toBe(false);
  });

  it("wait as long as the slowest reader moves, however often it does, and leave it behind once it has stood still for a minute", async () => {
    const [fill, room] = [fillOf(), memory()];
    fill.storable = false;
    const [slow, quick] = [
      { position: 0, isDropped: false },
      { position: 3 * LENGTH, isDropped: false },
    ];
    fill.readers.add(slow).add(quick);
    for (const slice of [0, 1, 2]) (await take(fill, room, slice)).filled = LENGTH;
    const next = take(fill, room, 3);
    for (let piece = 1; piece <= 100; piece++) {
      clock.now += 30_000;
      slow.position = piece;
      fill.changed.notify();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(slow.isDropped).toBe(false);
    clock.now += 60_001;
    fill.changed.notify();
    expect((await next).index).toBe(3);
    expect([slow.isDropped, quick.isDropped]).toEqual([true, false]);
  });

  it("of a slice that another run took over count once", async () => {
    const [fill, room] = [fillOf(), memory()];
    const stalled = await take(fill, room, 0);
    const taken = await take(fill, room, 0);
    expect(taken.bytes).not.toBe(stalled.bytes);
    expect(fill.buffers.get(0)).toBe(taken);
    expect(room.used).toBe(LENGTH);
  });

  it("give back what the store has when room is short, and nothing else", async () => {
    const [fill, room] = [fillOf(), memory()];
    for (const slice of [0, 1, 2]) (await take(fill, room, slice)).atRest = slice < 2;
    dropStoredBuffers(fill);
    expect([...fill.buffers.keys()]).toEqual([2]);
    dropBuffers(fill);
    expect(room.used).toBe(0);
  });

  it("are refused where memory is taken by others", async () => {
    const room = createMemory(LENGTH, async () => {});
    await take(fillOf(), room, 0);
    expect(await takeBuffer(fillOf(), runAt(0), LENGTH, { memory: room, now: () => clock.now })).toBeNull();
  });

  it("are given back where memory is short, once all have read what is not stored", async () => {
    const [fill, room] = [fillOf(), memory()];
    for (const slice of [0, 1]) (await take(fill, room, slice)).filled = LENGTH;
    const reader = { position: LENGTH, isDropped: false };
    fill.readers.add(reader);
    dropReadBuffers(fill);
    expect([...fill.buffers.keys()]).toEqual([0, 1]);
    fill.storable = false;
    dropReadBuffers(fill);
    expect([...fill.buffers.keys()]).toEqual([1]);
  });

  it("are taken from the client that has stalled for longest, if it holds some that are not stored", async () => {
    const room = memory();
    const stopped: string[] = [];
    const fills = await Promise.all(
      ["stored", "first", "second", "waits"].map(async (name, at) => {
        const fill = fillOf();
        fill.storable = name === "stored";
        (await take(fill, room, 0)).filled = LENGTH;
        const sending = { since: clock.now + at, stop: () => void stopped.push(name) };
        fill.readers.add({ position: 0, isDropped: false, ...(name === "waits" ? {} : { sending }) });
        return fill;
      }),
    );
    expect(dropStalled(fills, clock.now + 5_000)).toBe(false);
    expect([1, 2, 3].map((ms) => dropStalled(fills, clock.now + 5_000 + ms))).toEqual([true, true, false]);
    expect(stopped).toEqual(["first", "second"]);
    expect(fills.map(({ readers }) => readers.size)).toEqual([1, 0, 0, 1]);
  });

  it("are small pieces where a body is not stored: the run goes on at the same byte", () => {
    const fill = fillOf();
    const run = { ...runAt(3), last: 4 };
    fill.runs.add(run);
    expect(shrinkSlices(fill, run)).toBe(1);
    fill.storable = false;
    const before = run.slice * fill.sliceBytes;
    expect(shrinkSlices(fill, run)).toBe(2);
    expect([run.slice * fill.sliceBytes, (run.last + 1) * fill.sliceBytes]).toEqual([before, 5 * LENGTH]);
    expect(shrinkSlices(fill, run)).toBe(1);
    expect(shrinkSlices(Object.assign(fillOf(), { storable: false, object: {} }), run)).toBe(1);
  });
});
