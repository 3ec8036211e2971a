import { describe, expect, it } from "vitest";
import { newVersion, sliceKey } from "../../../src/store/keys.ts";
import { type ObjectStore, StoreError } from "../../../src/store/object-store.ts";
import { readObject } from "../../../src/store/read-object.ts";
import type { StoredObject } from "../../../src/store/stored-object.ts";
import { createByteStore } from "../../support/byte-store.ts";

const KEY = "-/sha256/read";

async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of chunks) text += new TextDecoder().decode(chunk);
  return text;
}

async function storeSliced(...slices: readonly string[]) {
  const store = createByteStore(() => 0);
  const object: StoredObject = {
    version: newVersion(),
    size: 8,
    sliceBytes: 5,
    contentType: "application/gzip",
    upstream: "http://origin.test",
    storedAt: 0,
    verified: "digest",
  };
  await store.put(KEY, object, new Uint8Array());
  for (const [index, text] of slices.entries()) await store.putSlice(object.version, index, new TextEncoder().encode(text));
  return store;
}

describe("reading a sliced object", () => {
  it("gives its slices one after the other", async () => {
    expect(await textOf(readObject(await storeSliced("hello", "you"), KEY))).toBe("helloyou");
  });

  it.each([
    ["is gone", ["hello"]],
    ["is too short", ["hell", "you"]],
    ["is too long", ["hello", "you!"]],
  ])("fails where a slice %s, and never gives other bytes for whole ones", async (_, slices) => {
    await expect(textOf(readObject(await storeSliced(...slices), KEY))).rejects.toThrow(/slice \d is/);
  });
});

describe("a sliced object far away", () => {
  async function storeThree() {
    const store = await storeSliced("hello", "you");
    const found = store.objects.get(KEY);
    if (found === undefined) throw new Error("it is stored");
    const { object } = found;
    await store.put(KEY, { ...object, size: 15 }, new Uint8Array());
    await store.delete([sliceKey(object.version, 1)]);
    for (const index of [1, 2]) await store.putSlice(object.version, index, new TextEncoder().encode("again"));
    const events: string[] = [];
    const reads: Pick<ObjectStore, "get" | "getSlice"> = {
      get: store.get,
      async getSlice(version, index, offset, length) {
        events.push(`open ${index}`);
        const stream = await store.getSlice(version, index, offset, length);
        const reader = stream?.getReader();
        return new ReadableStream(
          {
            async pull(controller) {
              const next = await reader?.read();
              if (next === undefined || next.done) controller.close();
              else controller.enqueue(next.value);
              if (next?.done === true) events.push(`end ${index}`);
            },
            cancel: () => void events.push(`cancel ${index}`),
          },
          { highWaterMark: 0 },
        );
      },
    };
    return { reads, events };
  }

  it("has each slice opened while the one before it is read, one ahead and no more", async () => {
    const { reads, events } = await storeThree();
    expect(await textOf(readObject(reads, KEY))).toBe("helloagainagain");
    expect(events).toEqual(["open 0", "open 1", "end 0", "open 2", "end 1", "end 2"]);
  });

  it("leaves no stream open where its reader stops", async () => {
    const { reads, events } = await storeThree();
    for await (const _chunk of readObject(reads, KEY)) break;
    await Promise.resolve();
    expect(events.toSorted()).toEqual(["cancel 0", "cancel 1", "open 0", "open 1"]);
  });

  it("fails where a slice does when its turn comes, and not before", async () => {
    const { reads } = await storeThree();
    const failing: typeof reads = {
      get: reads.get,
      getSlice: async (version, index, ...rest) => {
        if (index > 0) throw new StoreError("unavailable", `slice ${index}`);
        return reads.getSlice(version, index, ...rest);
      },
    };
    const seen: string[] = [];
    await expect(
      (async () => {
        for await (const chunk of readObject(failing, KEY)) {
          seen.push(new TextDecoder().decode(chunk));
          await new Promise((resolve) => setTimeout(resolve));
        }
      })(),
    ).rejects.toThrow("slice 1");
    expect(seen).toEqual(["hello"]);
    // An error of a slice that is never read is no unhandled one, which would end this process.
    for await (const _chunk of readObject(failing, KEY)) break;
    await new Promise((resolve) => setTimeout(resolve));
  });
});
