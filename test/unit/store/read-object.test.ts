import { describe, expect, it } from "vitest";
import type { ObjectStore } from "../../../src/store/object-store.ts";
import { openPart, readObject, readPart } from "../../../src/store/read-object.ts";
import type { StoredObject } from "../../../src/store/stored-object.ts";

const TEXT = "0123456789abcdefghij-tail";
const INLINE: StoredObject = {
  version: "a".repeat(32),
  size: TEXT.length,
  contentType: "text/plain",
  upstream: "http://origin.test",
  storedAt: 0,
  verified: "none",
};
const SLICED: StoredObject = { ...INLINE, version: "b".repeat(32), sliceBytes: 10 };

/** A store with both objects, `lost` of whose slices are missing. `cancelled` counts streams that were let go unread. */
function createStore(lost: readonly number[] = []) {
  const state = { cancelled: 0 };
  const streamOf = (text: string) =>
    new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(new TextEncoder().encode(text));
        controller.close();
      },
      cancel: () => void state.cancelled++,
    });
  const store = {
    async get(key, wanted) {
      if (key === "any/sliced") return { object: SLICED, body: null };
      if (key !== "any/inline") return null;
      const { first, last } = wanted !== undefined && "first" in wanted ? wanted : { first: 0 };
      return { object: INLINE, body: streamOf(TEXT.slice(first, (last ?? TEXT.length - 1) + 1)) };
    },
    async getSlice(version, index, offset = 0, length = 10) {
      const slice = TEXT.slice(index * 10, (index + 1) * 10);
      if (version !== SLICED.version || lost.includes(index) || offset + length > Math.max(slice.length, 10)) return null;
      return streamOf(slice.slice(offset, offset + length));
    },
  } satisfies Pick<ObjectStore, "get" | "getSlice">;
  return { store, state };
}

const textOf = (bytes: Uint8Array | null) => bytes && new TextDecoder().decode(bytes);

async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of chunks) text += textOf(chunk);
  return text;
}

describe("a part of a stored object", () => {
  it("is read from the key of one that is stored whole, and from its slice of one that is not", async () => {
    const { store } = createStore();
    expect(textOf(await readPart(store, "any/inline", INLINE, 12, 3))).toBe("cde");
    expect(textOf(await readPart(store, "any/sliced", SLICED, 12, 3))).toBe("cde");
    expect(textOf(await readPart(store, "any/sliced", SLICED, 10, 10))).toBe("abcdefghij");
  });

  it("is not there where its slice or its object is missing", async () => {
    const { store } = createStore([1]);
    expect(await openPart(store, "any/sliced", SLICED, 12, 3)).toBeNull();
    expect(await openPart(store, "any/other", INLINE, 12, 3)).toBeNull();
  });

  it("is not there where another version lies under the key, whose stream is let go", async () => {
    const { store, state } = createStore();
    expect(await openPart(store, "any/inline", { ...INLINE, version: "c".repeat(32) }, 12, 3)).toBeNull();
    expect(state.cancelled).toBe(1);
  });
});

describe("a whole stored object", () => {
  it.each(["any/inline", "any/sliced"])("flows in order (%s)", async (key) => {
    expect(await readAll(readObject(createStore().store, key))).toBe(TEXT);
  });

  it("ends in an error where it, or one of its slices, is gone", async () => {
    await expect(readAll(readObject(createStore().store, "any/gone"))).rejects.toThrow("any/gone: it is not in the store");
    await expect(readAll(readObject(createStore([1]).store, "any/sliced"))).rejects.toThrow("slice 1");
  });
});
