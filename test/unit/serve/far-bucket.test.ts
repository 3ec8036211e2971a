import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { installVirtualTime, type VirtualTime } from "../../chaos/virtual-time.ts";
import { createFarMirror, download, FAR_PATH as PATH, SLICE_BYTES } from "../../support/far-mirror.ts";

const MIB = 1024 * 1024;

let time: VirtualTime;
beforeAll(() => {
  time = installVirtualTime();
});
afterAll(() => time.uninstall());

/** How many streams are open after each event: of slices that are being opened, or are not read to their end yet. */
function openStreams(events: readonly string[]): readonly number[] {
  let open = 0;
  return events.map((event) => {
    if (event.startsWith("getSlice")) open++;
    if (/^(?:read|cancelled|absent) /.test(event)) open--;
    return open;
  });
}

const callsOf = (events: readonly string[]): readonly string[] => events.filter((event) => !/^(?:read|cancelled|absent) /.test(event));

/** Without the writes and the head. */
const readingsOf = (events: readonly string[]): readonly string[] =>
  events.filter((event) => /^(?:getSlice|read|cancelled|absent) /.test(event));

describe("a warm image in a bucket far away", () => {
  it.each([100, 200])(
    "at %i ms a call comes at four fifths of the link's rate at least, with no more calls",
    { timeout: 120_000 },
    async (delayMs) => {
      const size = 1_000_000_000;
      const far = createFarMirror({ size, delayMs });
      const { length, share } = await time.run(download(far));
      expect(length).toBe(size);
      expect(callsOf(far.events())).toEqual([`get ${PATH}`, ...Array.from({ length: 120 }, (_, index) => `getSlice ${index}`)]);
      expect(share).toBeGreaterThan(0.8);
    },
  );

  it("begins after the head and the first slice, and a HEAD or a 304 after the head", async () => {
    const far = createFarMirror();
    const first = async (): Promise<number> => {
      await far.ready;
      const began = Date.now();
      const response = await far.mirror.respond(PATH);
      const reader = response.body?.getReader();
      await reader?.read();
      const took = Date.now() - began;
      await reader?.cancel();
      return took;
    };
    expect(await time.run(first())).toBe(400);
    const headers = { "if-none-match": `"${far.object.version}"` };
    for (const how of [{ method: "HEAD" }, { headers }] as const) {
      const began = Date.now();
      const { status } = await time.run(far.mirror.ask(PATH, how));
      expect(status).toBe("method" in how ? 200 : 304);
      expect(Date.now() - began).toBe(200);
    }
  });

  it.each(["any/pool/small_1.0.deb", "any/images/disk.img", "any/images/disk.img.sig"])(
    "is one call away where it is small: %s",
    async (path) => {
      const far = createFarMirror();
      const { sliceBytes: _inOne, ...object } = { ...far.object, size: 11, storedAt: Date.now() };
      for (const key of [path, "any/images/disk.img"]) await far.mirror.store.put(key, object, new TextEncoder().encode("eleven long"));
      const began = Date.now();
      const { status, body } = await time.run(far.mirror.ask(path));
      expect([status, new TextDecoder().decode(body)]).toEqual([200, "eleven long"]);
      expect(Date.now() - began).toBe(200);
    },
  );

  it("comes as fast from a range that begins inside a slice, and ends inside one", async () => {
    const far = createFarMirror();
    const [from, to] = [SLICE_BYTES + 3_000_000, 7 * SLICE_BYTES + 1_000_000];
    const { status, length, share } = await time.run(download(far, { from, headers: { range: `bytes=${from}-${to - 1}` } }));
    expect([status, length]).toEqual([206, to - from]);
    expect(share).toBeGreaterThan(0.8);
    expect(callsOf(far.events()).slice(1)).toEqual([1, 2, 3, 4, 5, 6, 7].map((index) => `getSlice ${index}`));
  });

  it("comes as fast in several ranges that are long", async () => {
    const far = createFarMirror();
    const ranges = Array.from({ length: 6 }, (_, index) => `${index * SLICE_BYTES}-${(index + 1) * SLICE_BYTES - 1_000}`);
    const { status, share } = await time.run(download(far, { from: null, headers: { range: `bytes=${ranges.join()}` } }));
    expect(status).toBe(206);
    expect(share).toBeGreaterThan(0.8);
  });
});

it("opens no slice ahead where the store is near, as a disk is: each is a file descriptor", async () => {
  const far = createFarMirror({ isStoreFar: false });
  expect(await time.run(download(far))).toMatchObject({ status: 200, length: 64 * MIB });
  expect(Math.max(...openStreams(far.events()))).toBe(1);
});

describe("a slice that is not in the store", () => {
  it("is fetched from the upstream, and the whole is exact", async () => {
    const far = createFarMirror({ isStored: (index) => index !== 3 });
    expect(await time.run(download(far))).toMatchObject({ status: 200, length: 64 * MIB });
    expect(far.asked()).toBe(1);
    await time.pass(1_000);
    expect(openStreams(far.events()).at(-1)).toBe(0);
    expect([...far.mirror.store.slices.keys()]).toEqual([expect.stringMatching(/\/3$/)]);
  });
});

describe("a body without a length", () => {
  it("goes out from the store with the next slice opened, where its client is slower than the upstream", async () => {
    const size = 64 * MIB;
    const far = createFarMirror({ size, isStored: () => false, isUnsized: true });
    await far.mirror.store.delete([PATH]);
    const { length } = await time.run(download(far, { bytesPerSecond: 10_000_000 }));
    expect(length).toBe(size);
    expect(readingsOf(far.events()).slice(0, 6)).toEqual(["getSlice 0", "getSlice 1", "read 0", "getSlice 2", "read 1", "getSlice 3"]);
    expect(openStreams(far.events()).at(-1)).toBe(0);
  });
});

describe("a client", () => {
  it.each([1, SLICE_BYTES / 2, SLICE_BYTES, SLICE_BYTES + 1, 3 * SLICE_BYTES])(
    "that leaves after %i bytes leaves no stream open",
    async (leaveAfter) => {
      const far = createFarMirror();
      await time.run(download(far, { leaveAfter }));
      await time.pass(30_000);
      expect(openStreams(far.events()).at(-1)).toBe(0);
    },
  );

  it.each([1, SLICE_BYTES])(
    "that leaves after %i bytes of a file that is judged as it goes out leaves no stream open",
    async (leaveAfter) => {
      const far = createFarMirror({ verified: "none" });
      await time.run(download(far, { leaveAfter }));
      await time.pass(30_000);
      expect(openStreams(far.events()).at(-1)).toBe(0);
      expect(callsOf(far.events())).not.toContain("getSlice 3");
    },
  );

  it("that leaves while the store answers leaves no stream open, when the answer comes", async () => {
    const far = createFarMirror({ delayMs: 5_000 });
    await time.run(download(far, { leaveAfter: 1 }));
    await time.pass(30_000);
    expect(openStreams(far.events()).at(-1)).toBe(0);
  });

  it("that leaves before a slice that breaks meets no error of that slice, and neither does this process", async () => {
    const far = createFarMirror({ isBroken: (index) => index > 0 });
    expect(await time.run(download(far, { leaveAfter: 1 }))).toMatchObject({ status: 200 });
    await time.pass(30_000);
    expect(callsOf(far.events())).toContain("getSlice 1");
  });

  it("that reads to a slice that breaks gets a body that is broken off", async () => {
    const far = createFarMirror({ isBroken: (index) => index === 2 });
    await expect(time.run(download(far))).rejects.toThrow("the bucket cut it");
    await time.pass(30_000);
  });

  it("that is slow has no more than one slice opened ahead, and none once that shows", async () => {
    const far = createFarMirror();
    // A slice in 84 s.
    const { length } = await time.run(download(far, { bytesPerSecond: 100_000 }));
    expect(length).toBe(64 * MIB);
    const open = openStreams(far.events());
    expect(Math.max(...open)).toBe(2);
    // The first one opened ahead lay unread for too long, and was opened anew.
    expect(callsOf(far.events()).slice(1)).toEqual([0, 1, 1, 2, 3, 4, 5, 6, 7].map((index) => `getSlice ${index}`));
    expect(Math.max(...open.slice(far.events().lastIndexOf("getSlice 1") + 2))).toBe(1);
  });
});
