import { describe, expect, test } from "vitest";
import { condemn } from "../../../src/store/condemn.ts";
import type { StoredObject } from "../../../src/store/stored-object.ts";
import { createByteStore } from "../../support/byte-store.ts";

const KEY = "m/x.deb";
const OBJECT: StoredObject = {
  version: "1".repeat(32),
  size: 3,
  contentType: "x/y",
  upstream: "http://one.test",
  storedAt: 1_000,
  verified: "length",
};

async function setUp(stored: StoredObject) {
  const store = createByteStore(() => 0);
  await store.put(KEY, stored, new Uint8Array(3));
  const said: string[] = [];
  const deps = {
    store,
    taint: async (key: string, version: string) => void said.push(`taint ${key} ${version.slice(0, 1)}`),
    onRotten: (key: string, reason: string) => said.push(`rotten ${key} ${reason}`),
    log: (message: string) => said.push(message),
  };
  return { store, said, deps };
}

describe("an object whose bytes changed at rest", () => {
  test("is deleted, counted, and named in one line; a client that got a part of it cannot resume", async () => {
    const { store, said, deps } = await setUp(OBJECT);
    await condemn(deps, KEY, OBJECT, "it is other");
    expect(await store.head(KEY)).toBeNull();
    expect(said).toEqual([`taint ${KEY} 1`, `Deleted the stored ${KEY}, which changed at rest: it is other`, `rotten ${KEY} it is other`]);
  });

  test.each([
    ["another version", { version: "2".repeat(32) }],
    ["the same version, stored again", { storedAt: 2_000 }],
  ])("is left alone where %s lies there by now", async (_what, other) => {
    const { store, said, deps } = await setUp({ ...OBJECT, ...other });
    await condemn(deps, KEY, OBJECT, "it is other");
    expect(await store.head(KEY)).not.toBeNull();
    expect(said).toEqual([]);
  });

  test("is named where the store does not delete it", async () => {
    const { said, deps } = await setUp(OBJECT);
    const store = { ...deps.store, delete: () => Promise.reject(new Error("read-only")) };
    await condemn({ ...deps, store }, KEY, OBJECT, "it is other");
    expect(said.at(-1)).toBe(`Cannot delete the stored ${KEY}, which changed at rest (it is other): Error: read-only`);
  });
});
