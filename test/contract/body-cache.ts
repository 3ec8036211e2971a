import { describe, expect, it } from "vitest";
import type { BodyCache, NamedBytes, OpenedBytes, SizedBody } from "../../src/store/body-cache.ts";
import { newVersion } from "../../src/store/keys.ts";
import { StoreError } from "../../src/store/object-store.ts";

/** Long enough for every cache: 200,000 bytes, no two runs alike. */
export const LONG = Uint8Array.from({ length: 200_000 }, (_, at) => (at * 31) ^ (at >> 8));

export interface Media {
  /** What the store has, by name of the body. */
  readonly stored: Map<string, Uint8Array>;
  /** Set: the store fails with it. */
  failure: Error | null;
  /** Reads of the store, as `<name> <offset>+<length>` or `<name> whole`. */
  readonly reads: string[];
}

/** A slice in the store, with its name. */
export function slice(media: Media, bytes: Uint8Array | null = LONG, index = 0): NamedBytes {
  const name = `slice/${newVersion()}/${index}`;
  if (bytes !== null) media.stored.set(name, bytes);
  return named(media, name, { slice: index });
}

/** An inline body of known length in the store. */
export function inline(media: Media, bytes: Uint8Array): NamedBytes {
  const name = `body/${newVersion()}/1?key=${encodeURIComponent("fedora/x y.rpm")}`;
  media.stored.set(name, bytes);
  return named(media, name, { size: bytes.length });
}

function named(media: Media, name: string, facts: Pick<NamedBytes, "size" | "slice">): NamedBytes {
  return {
    name,
    ...facts,
    async read({ offset, length }) {
      media.reads.push(`${offset}+${length}`);
      if (media.failure !== null) throw media.failure;
      const bytes = media.stored.get(name);
      return bytes === undefined || offset + length > bytes.length ? null : streamOf(bytes.slice(offset, offset + length));
    },
    async readWhole() {
      media.reads.push("whole");
      return openWhole(media, name);
    },
  };
}

/** All of what the store has under the name. */
export function openWhole(media: Media, name: string): SizedBody | null {
  if (media.failure !== null) throw media.failure;
  const bytes = media.stored.get(name);
  return bytes === undefined ? null : { size: bytes.length, body: streamOf(bytes) };
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    type: "bytes",
    start(controller) {
      if (bytes.length > 0) controller.enqueue(bytes.slice());
      controller.close();
    },
  });
}

export async function bytesIn(opened: OpenedBytes | SizedBody | null): Promise<Uint8Array | null> {
  return opened && new Uint8Array(await new Response(opened.body).arrayBuffer());
}

export function newMedia(): Media {
  return { stored: new Map(), failure: null, reads: [] };
}

/** A cache over `media`, and what it leaves behind an answer. */
export interface CacheRig {
  readonly cache: BodyCache;
  readonly settled: () => Promise<void>;
}

/** What every BodyCache promises. */
export function describeBodyCache(title: string, makeRig: (media: Media) => CacheRig): void {
  describe(`${title}, as every cache of bodies,`, () => {
    it.each([
      [0, LONG.length],
      [0, 100_000],
      [70_001, 100_000],
      [LONG.length - 100_000, 100_000],
      [5, 7],
      [LONG.length - 1, 1],
    ])("gives bytes from %i, %i of them, the first time and later", async (offset, length) => {
      const media = newMedia();
      const { cache, settled } = makeRig(media);
      for (const body of [slice(media), inline(media, LONG)]) {
        for (let times = 0; times < 3; times++) {
          const got = await bytesIn(await cache.open(body, { offset, length }));
          expect(got).toEqual(LONG.slice(offset, offset + length));
          await settled();
        }
      }
    });

    it("gives all bytes with their number", async () => {
      const media = newMedia();
      const { cache, settled } = makeRig(media);
      for (const body of [slice(media), inline(media, LONG)]) {
        for (let times = 0; times < 2; times++) {
          const whole = await cache.openWhole(body);
          expect(whole?.size).toBe(LONG.length);
          expect(await bytesIn(whole)).toEqual(LONG);
          await settled();
        }
      }
    });

    it("gives what the caller lets it copy back to the caller", async () => {
      const media = newMedia();
      const { cache, settled } = makeRig(media);
      const body = inline(media, LONG);
      const kept = cache.keep(body, { size: LONG.length, body: streamOf(LONG) });
      expect(await bytesIn({ size: LONG.length, body: kept })).toEqual(LONG);
      await settled();
      expect(await bytesIn(await cache.open(body, { offset: 1, length: 2 }))).toEqual(LONG.slice(1, 3));
    });

    it("has nothing that the store does not have, and keeps no absence", async () => {
      const media = newMedia();
      const { cache, settled } = makeRig(media);
      const body = slice(media, null);
      expect(await cache.match(body, { offset: 0, length: 100_000 })).toBeNull();
      expect(await cache.open(body, { offset: 0, length: 100_000 })).toBeNull();
      expect(await cache.openWhole(body)).toBeNull();
      await settled();
      media.stored.set(body.name, LONG);
      expect(await bytesIn(await cache.open(body, { offset: 0, length: 100_000 }))).toEqual(LONG.slice(0, 100_000));
    });

    it("takes fewer bytes for no answer: none go out where the body ends before the last wanted one", async () => {
      const media = newMedia();
      const { cache, settled } = makeRig(media);
      const body = slice(media);
      for (let times = 0; times < 2; times++) {
        expect(await cache.open(body, { offset: 100_000, length: 100_001 })).toBeNull();
        expect(await cache.open(body, { offset: 0, length: 200_001 })).toBeNull();
        await settled();
      }
    });

    it("passes on the failures of the store, and keeps none", async () => {
      const media = newMedia();
      const { cache, settled } = makeRig(media);
      const body = slice(media);
      media.failure = new StoreError("unavailable", "no answer");
      for (const span of [
        { offset: 0, length: LONG.length },
        { offset: 5, length: 5 },
      ])
        await expect(cache.open(body, span)).rejects.toMatchObject({ name: "StoreError" });
      await expect(cache.openWhole(body)).rejects.toMatchObject({ name: "StoreError" });
      await settled();
      media.failure = null;
      expect(await bytesIn(await cache.open(body, { offset: 0, length: LONG.length }))).toEqual(LONG);
    });

    it("survives streams that are cancelled, or never read", async () => {
      const media = newMedia();
      const { cache, settled } = makeRig(media);
      const body = slice(media);
      await (await cache.open(body, { offset: 0, length: LONG.length }))?.body.cancel();
      await settled();
      expect(await bytesIn(await cache.open(body, { offset: 0, length: LONG.length }))).toEqual(LONG);
    });

    it("gives many readers at once the same bytes", async () => {
      const media = newMedia();
      const { cache, settled } = makeRig(media);
      const body = slice(media);
      const all = await Promise.all(
        Array.from({ length: 8 }, async () => bytesIn(await cache.open(body, { offset: 0, length: LONG.length }))),
      );
      for (const one of all) expect(one).toEqual(LONG);
      await settled();
    });
  });
}
