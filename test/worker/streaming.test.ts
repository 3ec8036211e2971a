import { afterEach, expect, test, vi } from "vitest";
import { newVersion, parseSliceKey } from "../../src/store/keys.ts";
import { createR2Store } from "../../src/store/r2-store.ts";
import { contentOf } from "../support/content.ts";
import { createMeteredWorker } from "../support/metered-worker.ts";

const SIZE = 3_500_000;
const SLICE_BYTES = 1024 * 1024;
/** In order: `get 1` when slice 1 is asked for, `end 1` when its body has ended, however it did. */
let events: string[] = [];
/** The bodies of slices stop in their middle until this resolves. */
let gate = Promise.withResolvers<void>();
let isGated = false;
let files = 0;

const { open, bucket } = createMeteredWorker({
  vars: { MIRRORS: { fedora: { distro: "fedora", upstreams: ["http://origin.test/fedora"] } }, SLICE_MIB: 1 },
  bodyOf(key, body) {
    const slice = parseSliceKey(key)?.index;
    if (!isGated || slice === undefined) return body;
    events.push(`get ${slice}`);
    return gated(body.getReader(), () => events.push(`end ${slice}`));
  },
});

function gated(reader: ReadableStreamDefaultReader<Uint8Array>, onEnd: () => void): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      if (sent >= SLICE_BYTES / 4) await gate.promise;
      const { value, done } = await reader.read();
      if (value !== undefined) {
        sent += value.length;
        controller.enqueue(value);
      }
      if (!done) return;
      onEnd();
      controller.close();
      controller.byobRequest?.respond(0);
    },
    async cancel(reason) {
      onEnd();
      await reader.cancel(reason);
    },
  });
}

/** A file that the bucket has and the data centre's cache has not. */
async function storedFile(): Promise<string> {
  const path = `fedora/os/Packages/streaming-${files++}.rpm`;
  const store = createR2Store(bucket);
  const version = newVersion();
  for (let index = 0; index * SLICE_BYTES < SIZE; index++) await store.putSlice(version, index, sliceOf(index));
  const facts = { version, size: SIZE, sliceBytes: SLICE_BYTES, storedAt: Date.now(), verified: "digest" } as const;
  await store.put(path, { ...facts, contentType: "application/x-rpm", upstream: "http://origin.test/fedora" }, new Uint8Array(0));
  gate = Promise.withResolvers();
  events = [];
  isGated = true;
  return `/${path}`;
}

const sliceOf = (index: number): Uint8Array => contentOf(SIZE).slice(index * SLICE_BYTES, (index + 1) * SLICE_BYTES);

afterEach(() => {
  isGated = false;
});

test("while one slice is sent the next is opened, and none after it", async () => {
  const path = await storedFile();
  const { response, done } = await open(path);
  const whole = response.arrayBuffer();
  await vi.waitUntil(() => events.includes("get 1"), { timeout: 20_000 });
  expect(events).toEqual(["get 0", "get 1"]);
  gate.resolve();
  expect(new Uint8Array(await whole)).toEqual(contentOf(SIZE));
  await done();
  expect(events.filter((event) => event.startsWith("get"))).toEqual(["get 0", "get 1", "get 2", "get 3"]);
  // Slice 2 is opened only when slice 0 is sent, and so on.
  for (const slice of [0, 1]) expect(events.indexOf(`get ${slice + 2}`)).toBeGreaterThan(events.indexOf(`end ${slice}`));
});

test("a client that leaves while the next slice is open leaves nothing undone", async () => {
  const path = await storedFile();
  const { response, done } = await open(path);
  const reader = response.body?.getReader();
  await reader?.read();
  await vi.waitUntil(() => events.includes("get 1"), { timeout: 20_000 });
  await reader?.cancel();
  gate.resolve();
  await done();
  await vi.waitUntil(() => events.includes("end 0") && events.includes("end 1"), { timeout: 20_000 });
  expect(events).not.toContain("get 2");
});
