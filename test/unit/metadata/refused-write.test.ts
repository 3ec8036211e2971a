import { expect, test } from "vitest";
import { createRepositories, type RepositoryPort } from "../../../src/metadata/create-repositories.ts";
import type { KnownRepositories } from "../../../src/metadata/known-repositories.ts";
import type { Resolution } from "../../../src/metadata/ports/repositories.ts";
import type { Target } from "../../../src/route/target.ts";
import { repositoryPlaceOf } from "./world.ts";

const ROOT = "os/repodata/repomd.xml";
const ABSENT: Resolution = { kind: "absent", status: 404 };

/** What becomes of a root where its repository's calls fail with `errors`, one after the other, and then succeed; and the `isWriteRefused` of each call. */
async function resolveWith(...errors: readonly string[]) {
  const calls: (boolean | undefined)[] = [];
  const port = {
    async resolve(_mirror: string, _path: string, _place: unknown, _lost: string | undefined, _early: unknown, isWriteRefused?: boolean) {
      calls.push(isWriteRefused);
      const error = errors[calls.length - 1];
      if (error !== undefined) throw new Error(error);
      return ABSENT;
    },
  } as unknown as RepositoryPort;
  const known = { isKnown: async () => true, find: async () => ({ kind: "known", early: [] }) } as unknown as KnownRepositories;
  const repositories = createRepositories({
    store: { peek: async () => null },
    now: () => 0,
    known,
    repository: () => port,
    publishedDigests: null,
  });
  const target = {
    mirror: { name: "m" },
    path: ROOT,
    key: `m/${ROOT}`,
    class: "root",
    repository: repositoryPlaceOf(ROOT),
  } as unknown as Target;
  return { calls, resolution: await repositories.resolve(target) };
}

test.each([
  "database or disk is full: SQLITE_FULL",
  "disk I/O error: SQLITE_IOERR",
  "attempt to write a readonly database: SQLITE_READONLY",
  "database disk image is malformed: SQLITE_CORRUPT",
])("a repository that ended over a write (%s) is asked again, and writes nothing", async (error) => {
  expect(await resolveWith(error)).toEqual({ calls: [undefined, true], resolution: ABSENT });
});

test("where it cannot be opened at all, the path goes by its own name", async () => {
  const { calls, resolution } = await resolveWith(
    "unable to open database file: SQLITE_CANTOPEN",
    "unable to open database file: SQLITE_CANTOPEN",
  );
  expect([calls.length, resolution]).toEqual([2, { kind: "opaque" }]);
});

test("any other failure is the client's to try again", async () => {
  const { calls, resolution } = await resolveWith("Durable Object is overloaded.");
  expect([calls.length, resolution.kind]).toEqual([1, "failure"]);
  expect(await resolveWith("disk is full: SQLITE_FULL", "Durable Object is overloaded.")).toMatchObject({
    resolution: { kind: "failure", status: 503 },
  });
});
