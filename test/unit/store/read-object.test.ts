import { describe, expect, it } from "vitest";
import { newVersion } from "../../../src/store/keys.ts";
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
