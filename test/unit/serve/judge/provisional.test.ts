import { expect, test } from "vitest";
import type { Expected } from "../../../../src/metadata/repositories.ts";
import { createChecks } from "../../../../src/serve/checks.ts";
import type { ServeDependencies } from "../../../../src/serve/dependencies.ts";
import { passesIndex } from "../../../../src/serve/judge/provisional.ts";
import type { Target } from "../../../../src/route/target.ts";
import type { StoredObject } from "../../../../src/store/stored-object.ts";
import { createMemoryStore } from "../../../support/memory-store.ts";

const KEY = "m/pool/a.deb";
const OBJECT: StoredObject = {
  version: "v",
  size: 3,
  contentType: "x/y",
  upstream: "",
  storedAt: 1,
  verified: "structure",
  sha256: "aa",
  provisional: true,
};
const known = (digest: string, size = 3): Expected => ({
  kind: "known",
  expectation: { algorithm: "sha256", digest, size, source: "index" },
});

/** A store that holds the object; what is said of it is `answers`, one after the other. */
async function setUp(answers: readonly Expected[], object = OBJECT) {
  const store = createMemoryStore(() => 1);
  await store.put(KEY, object, new Uint8Array(3));
  const [left, tainted]: [Expected[], string[]] = [[...answers], []];
  const repositories = { expected: async () => left.shift() ?? Promise.reject(new Error("asked once too often")) };
  const deps = {
    store,
    repositories,
    checks: createChecks(),
    now: () => 2,
    taint: async (key: string) => void tainted.push(key),
    log: () => {},
  };
  const pass = () => passesIndex({ key: KEY } as Target, object, deps as unknown as ServeDependencies);
  return { pass, tainted, isStored: () => store.heads.has(KEY) };
}

test("what was stored before its index was known goes by it as soon as it is, and is compared once", async () => {
  const { pass, isStored } = await setUp([{ kind: "building" }, known("aa")]);
  for (let n = 0; n < 4; n++) expect(await pass()).toBe(true);
  expect(isStored()).toBe(true);
});

test.each([
  ["digest", known("bb")],
  ["size", known("aa", 4)],
])("with another %s it is not served, and gone; older validators mean nothing any more", async (_what, expected) => {
  const { pass, tainted, isStored } = await setUp([{ kind: "building" }, expected]);
  expect([await pass(), await pass()]).toEqual([true, false]);
  expect(isStored()).toBe(false);
  expect(tainted).toEqual([KEY]);
});

test("no index names it after all: its structure has to do", async () => {
  const { pass, isStored } = await setUp([{ kind: "none" }]);
  expect([await pass(), isStored()]).toEqual([true, true]);
});

test("of what was judged when it came nobody is asked", async () => {
  const { provisional: _provisional, ...judged } = OBJECT;
  expect(await (await setUp([], judged)).pass()).toBe(true);
});
