import { expect, test } from "vitest";
import type { BodyReader } from "../../../src/upstream/body-reader.ts";
import { createBodyReader } from "../../../src/upstream/body-reader.ts";

const STALL_MS = 10_000;
const FLOOR = 10_240;

interface Rig {
  readonly body: BodyReader;
  /** Brings bytes after `ms` of waiting. */
  feed(bytes: number, ms: number): Promise<number | undefined>;
  readonly closed: { bytes: number; waitedMs: number }[];
  readonly limits: number[];
}

function rig(): Rig {
  let controller: ReadableByteStreamController;
  let now = 0;
  let pending: (() => void) | undefined;
  const limits: number[] = [];
  const closed: { bytes: number; waitedMs: number }[] = [];
  const stream = new ReadableStream({ type: "bytes", start: (made) => void (controller = made) });
  const body = createBodyReader(stream, {
    stallMs: STALL_MS,
    length: undefined,
    now: () => now,
    after(ms, run) {
      limits.push(ms);
      pending = run;
      return () => (pending = undefined);
    },
    onHandOver: () => {},
    onBytes: () => {},
    onClose: (flow) => closed.push({ ...flow }),
  });
  return {
    body,
    closed,
    limits,
    async feed(bytes, ms) {
      const read = body.read();
      now += ms;
      if (ms >= limits.at(-1)!) pending?.();
      else controller.enqueue(new Uint8Array(bytes));
      return (await read)?.length;
    },
  };
}

/** Without a clock and without callbacks. */
const UNWATCHED = {
  stallMs: STALL_MS,
  length: undefined,
  now: () => 0,
  after: () => () => {},
  onHandOver: () => {},
  onBytes: () => {},
  onClose: () => {},
};

test("a body just above the floor of 1 KiB a second goes on for ever", async () => {
  const { feed } = rig();
  for (let second = 0; second < 100; second++) expect(await feed(1_100, 990)).toBe(1_100);
});

test("a body below the floor is stalled when the limit is over, though bytes keep coming", async () => {
  const { feed, closed } = rig();
  const trickle = async (): Promise<void> => {
    for (let second = 0; second < 30; second++) await feed(500, 1_000);
  };
  await expect(trickle()).rejects.toMatchObject({ name: "BodyFault", reason: "stalled" });
  expect(closed).toEqual([{ bytes: 500 * 9, waitedMs: STALL_MS }]);
});

test("a fast beginning earns no patience: each window counts for itself", async () => {
  const { feed } = rig();
  await feed(500_000, 1);
  await expect(feed(0, STALL_MS)).rejects.toMatchObject({ reason: "stalled" });
});

test("time that the reader takes for itself does not count", async () => {
  const { feed, limits } = rig();
  await feed(100, 9_000);
  await feed(100, 500);
  expect(limits).toEqual([STALL_MS, 1_000]);
});

test("no read waits for more than what is missing to the floor", async () => {
  const asked: number[] = [];
  let first = true;
  const reader = {
    readAtLeast: (atLeast: number, view: Uint8Array): Promise<{ done: boolean; value: Uint8Array }> => {
      asked.push(atLeast);
      if (!first) return Promise.resolve({ done: false, value: view.subarray(0, Math.max(atLeast, 1)) });
      first = false;
      return Promise.resolve({ done: false, value: view.subarray(0, 1) });
    },
    cancel: (): Promise<void> => Promise.resolve(),
  };
  const stream = { getReader: () => reader } as unknown as ReadableStream<Uint8Array>;
  const body = createBodyReader(stream, UNWATCHED);
  for (let read = 0; read < 30; read++) await body.read();
  expect(asked.slice(0, 4)).toEqual([1, 2, 4, 8]);
  const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
  expect(
    sum(
      asked.slice(
        0,
        asked.findIndex((_, at) => sum(asked.slice(0, at)) >= FLOOR),
      ),
    ),
  ).toBe(FLOOR);
  expect(Math.max(...asked)).toBe(FLOOR);
});

test("what comes at once is joined into views of half a mebibyte, what comes slowly is not", async () => {
  const stream = new ReadableStream({ type: "bytes", pull: (controller) => controller.enqueue(new Uint8Array(8_192)) });
  let now = 0;
  let msPerRead = 0;
  const body = createBodyReader(stream, { ...UNWATCHED, now: () => (now += msPerRead) });
  let longest = 0;
  for (let read = 0; read < 30; read++) longest = Math.max(longest, (await body.read())!.length);
  expect(longest).toBe(524_288);
  msPerRead = 30;
  await body.read();
  expect((await body.read())!.length).toBe(8_192);
});

test("a cancel in the middle of a joined view ends the read", async () => {
  let fed = 0;
  const stream = new ReadableStream({
    type: "bytes",
    pull: (controller) => (fed++ < 40 ? controller.enqueue(new Uint8Array(8_192)) : undefined),
  });
  const body = createBodyReader(stream, UNWATCHED);
  let length = 0;
  while (length + 8_192 * 30 < 40 * 8_192) length += (await body.read())!.length;
  const rest = (async () => {
    for (let chunk = await body.read(); chunk !== null; chunk = await body.read()) length += chunk.length;
  })();
  await expect.poll(() => fed).toBeGreaterThan(40);
  body.close("client left");
  await rest;
  expect(length).toBeLessThan(40 * 8_192);
});

test("what was given back comes first", async () => {
  const { body, feed } = rig();
  await feed(3, 1);
  body.unread(Uint8Array.of(1, 2));
  expect(await body.read()).toEqual(Uint8Array.of(1, 2));
});
