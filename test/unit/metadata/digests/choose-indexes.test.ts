import { expect, test } from "vitest";
import { chooseIndexes } from "../../../../src/metadata/digests/choose-indexes.ts";
import type { Entry } from "../../../../src/metadata/formats/parsed-root.ts";
import type { RootContent } from "../../../../src/metadata/members/generation.ts";
import { createMembers } from "../../../../src/metadata/members/members.ts";
import type { KeptState } from "../../../../src/metadata/ports/kept-state.ts";
import { sha256 } from "../samples.ts";
import { createWorld, repositoryPlaceOf } from "../world.ts";

const FORMS = 20_000;
const ROOT = "forms/repodata/repomd.xml";

test("twenty thousand forms of one index, of which nothing is saved, are put in order without a question to the storage", () => {
  const { world, members, entries, asked } = rootOfForms();
  const place = repositoryPlaceOf(ROOT);
  if (place === null) throw new Error(`${ROOT} stands in no repository`);
  const object = { version: "v", size: 1, storedAt: world.now, upstream: "https://one.example" };
  const root = { root: { path: ROOT, key: ROOT, object }, parsed: { entries, byHash: false } } as unknown as RootContent;
  const { indexes } = chooseIndexes(place, root, members);
  expect(indexes.map(({ forms }) => forms.length)).toEqual([FORMS]);
  // The smallest first.
  expect(indexes[0]?.forms.map(({ entry }) => entry?.size)).toEqual(Array.from({ length: FORMS }, (_, n) => n + 1));
  expect(asked()).toBe(0);
});

test("what clients used and what is stored is found again by another run", async () => {
  const { members, entries, again } = rootOfForms();
  const place = repositoryPlaceOf(ROOT);
  const [one, other] = entries;
  if (place === null || one === undefined || other === undefined) throw new Error("nothing to use");
  expect(members.has(one)).toBe(false);
  members.noteGot(place, one);
  await members.ensure(one, [one.path]);
  for (const run of [members, again()]) {
    expect([run.has(one), run.isUsed(`${place.root}#primary`), run.has(other)]).toEqual([true, true, false]);
  }
  again().forget(members.keyOf(one));
  expect(again().has(one)).toBe(false);
});

function rootOfForms() {
  const world = createWorld();
  let questions = 0;
  const kept: KeptState = {
    ...world.kept,
    load(key) {
      questions++;
      return world.kept.load(key);
    },
  };
  const entries = Array.from({ length: FORMS }, (_, n): Entry => {
    const digest = sha256(`form ${n} of twenty thousand`);
    return {
      path: `forms/repodata/${digest}-primary.xml.gz`,
      algorithm: "sha256",
      digest,
      type: "primary",
      size: 1 + ((n * 7_919) % FORMS),
    };
  });
  const object = { version: "v", size: 1, storedAt: world.now, upstream: "https://one.example", verified: "digest" } as const;
  const again = () =>
    createMembers({
      mirror: world.mirror,
      ensureStored: async () => ({ kind: "stored", object }) as never,
      kept,
      now: () => world.now,
      usedForMs: 86_400_000,
    });
  return { world, members: again(), again, entries, asked: () => questions };
}
