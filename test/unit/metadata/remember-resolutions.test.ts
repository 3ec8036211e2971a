import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createRepositories, type RepositoryPort } from "../../../src/metadata/create-repositories.ts";
import type { Resolution } from "../../../src/metadata/ports/repositories.ts";
import { rememberResolutions } from "../../../src/metadata/remember-resolutions.ts";
import type { Target } from "../../../src/route/target.ts";
import { release, repomd, signatureInForm } from "./samples.ts";
import { ALL_KNOWN, createWorld, type Files, ONE, repositoryPlaceOf, TWO, type World } from "./world.ts";

const SECOND = 1_000;
const T = Date.UTC(2025, 11, 31) / SECOND;
const ROOT = "os/repodata/repomd.xml";
const ASC = `${ROOT}.asc`;
const PLAIN = "os/repodata/primary.xml.gz";
const RELEASE = "dists/sid/Release";
const GPG = `${RELEASE}.gpg`;

function rpm(revision: number, isSigned = true): Files {
  const root = repomd({ revision, data: { primary: ["repodata/primary.xml.gz", `p${revision}`] } });
  return { [ROOT]: root, [PLAIN]: `p${revision}`, ...(isSigned ? { [ASC]: signatureInForm(root) } : {}) };
}

function deb(date: number, isSigned = true): Files {
  const root = release({ date, files: {} });
  return { [RELEASE]: root, ...(isSigned ? { [GPG]: signatureInForm(root) } : {}) };
}

/** As at the edge, where isolates may remember for a minute. */
function createEdge(upstreams: readonly string[]): World {
  const world = createWorld(upstreams);
  world.rememberMs = 60_000;
  return world;
}

/** One isolate's way to the repository; `calls`: the paths that it asked the repository for. */
function createIsolate(world: World, port: () => RepositoryPort) {
  const calls: string[] = [];
  const repositories = createRepositories({
    store: world.store,
    now: () => world.now,
    known: ALL_KNOWN,
    repository: () => ({
      ...port(),
      resolve: (mirror, path, ...rest) => {
        calls.push(path);
        return port().resolve(mirror, path, ...rest);
      },
    }),
    publishedDigests: null,
  });
  return { calls, resolve: (path: string, lost?: string) => repositories.resolve(targetAt(world, path), lost) };
}

function targetAt({ mirror }: World, path: string): Target {
  const place = repositoryPlaceOf(path);
  const pathClass = place?.role === "member" ? "member" : "root";
  return { mirror, path, query: "", key: `m/${path}`, class: pathClass, rule: "", repository: place };
}

const keyOf = (resolution: Resolution): string => (resolution.kind === "object" ? resolution.key : resolution.kind);

describe("a root that is asked for again while its generation is fresh", () => {
  test("costs no call, and grows older", async () => {
    const world = createEdge([ONE]);
    world.origins[ONE] = rpm(T);
    const repository = world.repository();
    const isolate = createIsolate(world, () => repository.port);
    for (const path of [ROOT, ASC, PLAIN]) expect(await isolate.resolve(path)).toMatchObject({ kind: "object" });
    isolate.calls.length = 0;
    world.now += 59 * SECOND;
    for (const path of [ROOT, ASC, PLAIN]) {
      expect(await isolate.resolve(path)).toMatchObject({ kind: "object", state: "fresh", ageSeconds: 59, isRemembered: true });
    }
    expect(isolate.calls).toEqual([]);
    world.now += SECOND;
    expect(await isolate.resolve(ROOT)).toMatchObject({ kind: "object", state: "revalidated", ageSeconds: 0 });
    expect(isolate.calls).toEqual([ROOT]);
  });

  test("is asked for at its repository where the store lost it", async () => {
    const world = createEdge([ONE]);
    world.origins[ONE] = rpm(T);
    const repository = world.repository();
    const isolate = createIsolate(world, () => repository.port);
    const key = keyOf(await isolate.resolve(ROOT));
    world.store.objects.delete(key);
    expect(await isolate.resolve(ROOT, key)).toMatchObject({ kind: "object", state: "revalidated" });
    expect(world.store.objects.has(key)).toBe(true);
    expect(isolate.calls).toEqual([ROOT, ROOT]);
  });

  test.each([
    { name: "METADATA_TTL is 0", ttl: 0, files: rpm(T), path: ROOT },
    { name: "a Release may appear that takes a lone index over", ttl: 60, files: { "feed/Packages": "Package: a" }, path: "feed/Packages" },
    { name: "nothing is there", ttl: 60, files: {}, path: ROOT },
    { name: "no generation can hold it", ttl: 60, files: { [ROOT]: "<!DOCTYPE html><title>moved</title>" }, path: ROOT },
  ])("is asked for each time where $name", async ({ ttl, files, path }) => {
    const world = createEdge([ONE]);
    world.origins[ONE] = files;
    const repository = world.repository({ ttl });
    const isolate = createIsolate(world, () => repository.port);
    for (let n = 1; n <= 3; n++) {
      await isolate.resolve(path);
      expect(isolate.calls).toHaveLength(n);
    }
  });

  test("is asked for each time while its generation is stale", async () => {
    const world = createEdge([ONE]);
    world.origins[ONE] = rpm(T);
    const repository = world.repository();
    const isolate = createIsolate(world, () => repository.port);
    await isolate.resolve(ROOT);
    world.origins[ONE] = null;
    world.now += 60 * SECOND;
    for (let n = 2; n <= 4; n++) {
      expect(await isolate.resolve(ROOT)).toMatchObject({ kind: "object", state: "stale" });
      expect(isolate.calls).toHaveLength(n);
    }
  });
});

test("the time for which an answer holds is counted from before the question, however long that takes", async () => {
  const world = createEdge([ONE]);
  world.origins[ONE] = rpm(T);
  const repository = world.repository();
  await repository.resolve(ROOT);
  world.now += 10 * SECOND;
  const slow: RepositoryPort = {
    ...repository.port,
    async resolve(...asked) {
      const resolution = await repository.port.resolve(...asked);
      world.now += 20 * SECOND;
      return resolution;
    },
  };
  const isolate = createIsolate(world, () => slow);
  await isolate.resolve(ROOT);
  world.now += 29 * SECOND;
  expect(await isolate.resolve(ROOT)).toMatchObject({ isRemembered: true, ageSeconds: 59 });
  world.origins[ONE] = rpm(T + 1);
  world.now += SECOND;
  const fresh = keyOf(await repository.resolve(ROOT));
  expect(keyOf(await isolate.resolve(ROOT))).toBe(fresh);
});

test("a clock that steps back makes no answer hold for longer", async () => {
  const world = createEdge([ONE]);
  world.origins[ONE] = rpm(T);
  const repository = world.repository();
  const isolate = createIsolate(world, () => repository.port);
  await isolate.resolve(ROOT);
  world.now -= 30 * SECOND;
  expect(await isolate.resolve(ROOT)).not.toMatchObject({ isRemembered: true });
  expect(isolate.calls).toHaveLength(2);
});

test("an answer holds for a minute at most, so that a deleted root is missed within it", async () => {
  const world = createEdge([ONE]);
  world.origins[ONE] = rpm(T);
  const repository = world.repository({ ttl: 86_400 });
  expect(await repository.resolve(ROOT)).toMatchObject({ rememberMs: 60_000 });
});

test("a late signature of a newer root has that root published a minute later, although METADATA_TTL is a day", async () => {
  const world = createEdge([ONE]);
  world.origins[ONE] = rpm(T, false);
  const repository = world.repository({ ttl: 86_400 });
  const isolate = createIsolate(world, () => repository.port);
  await isolate.resolve(ROOT);
  world.origins[ONE] = rpm(T + 1);
  world.now += 100 * SECOND;
  const old = keyOf(await isolate.resolve(ROOT));
  world.now += 30 * SECOND;
  expect(await isolate.resolve(ASC)).toMatchObject({ kind: "failure", status: 503 });
  expect(keyOf(await repository.resolve(ROOT))).toBe(old);
  world.now += 60 * SECOND;
  expect(keyOf(await isolate.resolve(ROOT))).not.toBe(old);
  expect(await isolate.resolve(ASC)).toMatchObject({ kind: "object" });
});

test("the newest paths are remembered, up to a limit", () => {
  const memory = rememberResolutions(() => 0);
  const object = { version: "0".repeat(32), size: 1, contentType: "x/y", upstream: ONE, storedAt: 0, verified: "digest" } as const;
  for (let n = 0; n < 3_000; n++) {
    memory.remember(`m/${n}`, { kind: "object", key: `-/sha256/${n}`, object, state: "fresh", ageSeconds: 0, rememberMs: 1 }, 0);
  }
  const kept = Array.from({ length: 3_000 }, (_, n) => n).filter((n) => memory.recall(`m/${n}`) !== null);
  expect([kept[0], kept.length]).toEqual([1_000, 2_000]);
});

/**
 * Two isolates over one repository: whatever upstreams do, each isolate gives at each moment what the repository itself gives. `restart`: the Durable Object
 * begins anew, and knows what it kept.
 */
type Step = { pass: number } | { publish: 0 | 1; isSigned: boolean } | { ask: 0 | 1; path: string } | "restart" | "down" | "up";

test("no client of one isolate sees a root that is newer or older than what the other could give at that moment", async () => {
  const paths = [ROOT, ASC, PLAIN, RELEASE, GPG];
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ pass: fc.constantFrom(1, 9, 11, 29, 30, 59, 60, 61, 600) }) },
    { weight: 3, arbitrary: fc.record({ publish: fc.constantFrom(0 as const, 1 as const), isSigned: fc.boolean() }) },
    { weight: 8, arbitrary: fc.record({ ask: fc.constantFrom(0 as const, 1 as const), path: fc.constantFrom(...paths) }) },
    { weight: 1, arbitrary: fc.constantFrom("restart" as const, "down" as const, "up" as const) },
  );
  const history = fc.array(step, { minLength: 10, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(history, fc.constantFrom(1, 60, 3_600), async (steps: readonly Step[], ttl) => {
      const world = createEdge([ONE, TWO]);
      const urls = [ONE, TWO];
      for (const url of urls) world.origins[url] = { ...rpm(T, false), ...deb(T, false) };
      let repository = world.repository({ ttl });
      const isolates = urls.map(() => createIsolate(world, () => repository.port));
      let published = 0;
      const down = new Map<string, Files | null>();
      for (const one of steps) {
        if (one === "restart") repository = world.repository({ ttl });
        else if (one === "down") {
          down.set(ONE, world.origins[ONE] ?? down.get(ONE) ?? null);
          world.origins[ONE] = null;
        } else if (one === "up") world.origins[ONE] = world.origins[ONE] ?? down.get(ONE) ?? null;
        else if ("pass" in one) world.now += one.pass * SECOND;
        else if ("publish" in one) {
          published++;
          world.origins[urls[one.publish] ?? ONE] = { ...rpm(T + published, one.isSigned), ...deb(T + published, one.isSigned) };
        } else {
          const given = keyOf((await isolates[one.ask]?.resolve(one.path)) ?? { kind: "opaque" });
          const own = await repository.resolve(one.path);
          expect(given).toBe(keyOf(own));
          if (own.kind === "object") expect(keyOf((await isolates[1 - one.ask]?.resolve(one.path)) ?? { kind: "opaque" })).toBe(given);
        }
      }
    }),
    { numRuns: 150, seed: 15 },
  );
});
