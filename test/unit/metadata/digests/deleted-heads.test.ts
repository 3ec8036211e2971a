import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { createIndexTables } from "../../../../src/metadata/digests/index-tables.ts";
import { createTableReader } from "../../../../src/metadata/digests/read-table.ts";
import { createTableDirectory, type TableDirectory } from "../../../../src/metadata/digests/table-directory.ts";
import type { StoredObject } from "../../../../src/store/stored-object.ts";
import { DECODERS } from "../../../support/decompressing.ts";
import { primary, repomd, sha256 } from "../samples.ts";
import {
  createWorld,
  type Files,
  memoryState,
  ONE,
  type PathRepository,
  portOf,
  settle,
  tableDependencies,
  TWO,
  type World,
} from "../world.ts";

const ROOT = "os/repodata/repomd.xml";
const PACKAGE = "os/a.rpm";
const T = Date.UTC(2025, 11, 31) / 1000;
const HEAD_TTL_MS = 60_000;
const STEP_MS = 6_000;

/** A repository whose package has `content`, always under the same name; `revision` counts its publications. */
function publication(revision: number, content: string): Files {
  const index = gzipSync(primary({ "a.rpm": content }));
  const href = `repodata/${sha256(index)}-primary.xml.gz`;
  return { [ROOT]: repomd({ revision: T + revision, data: { primary: [href, index] } }), [`os/${href}`]: index, [PACKAGE]: content };
}

interface Edge {
  readonly world: World;
  /** The repository's Durable Object, as it is after the last restart. */
  readonly object: { repository: PathRepository; directory: TableDirectory };
  restart(): void;
  /** Which publication's root a client gets now. */
  revision(): Promise<number>;
  /** The package as a client gets it from a data centre that remembers heads, and fetches what is not stored. */
  readonly centres: readonly (() => Promise<string>)[];
}

/** A repository's object over one store, and two data centres that each cache heads for HEAD_TTL_MS. */
async function createEdge({ headTtlMs = HEAD_TTL_MS, upstreams = [ONE] } = {}): Promise<Edge> {
  const world = createWorld(upstreams);
  const directoryState = memoryState();
  const begin = (): Edge["object"] => {
    const directory = createTableDirectory({ kept: directoryState, timer: world.timer, now: () => world.now });
    const tables = createIndexTables({ ...DECODERS, ...tableDependencies(world), headTtlMs, directory: portOf(() => directory) });
    return { directory, repository: world.repository({ tables }) };
  };
  const object = begin();
  const centre = (): (() => Promise<string>) => {
    let cached: { readonly object: StoredObject; readonly until: number } | null = null;
    return async () => {
      if (cached === null || world.now >= cached.until) {
        const stored = (await world.store.head(`m/${PACKAGE}`)) ?? (await fill(world));
        cached = { object: stored, until: world.now + headTtlMs };
      }
      return cached.object.sha256 ?? "";
    };
  };
  for (const url of upstreams) world.origins[url] = publication(0, "content 0");
  const edge: Edge = {
    world,
    object,
    restart: () => void Object.assign(object, begin()),
    revision: async () => Number(/<revision>(\d+)</.exec(await world.read(object.repository, ROOT))?.[1]) - T,
    centres: [centre(), centre()],
  };
  expect(await edge.revision()).toBe(0);
  // The first table is built behind the answer.
  await settle();
  return edge;
}

async function fill(world: World): Promise<StoredObject> {
  const bytes = new TextEncoder().encode(String(Object.values(world.origins)[0]?.[PACKAGE]));
  const hex = sha256(bytes);
  const object = {
    version: hex.slice(0, 32),
    size: bytes.length,
    contentType: "x/y",
    upstream: ONE,
    storedAt: world.now,
    verified: "digest",
    sha256: hex,
  } as const;
  await world.store.put(`m/${PACKAGE}`, object, bytes);
  return object;
}

/** Lets time go by, with a client of both data centres at each step. Returns the revisions that clients got, each with its seconds. */
async function watch({ world, revision, centres }: Edge, ms: number): Promise<readonly (readonly [seconds: number, revision: number])[]> {
  const seen: (readonly [number, number])[] = [];
  const since = world.now;
  for (; world.now < since + ms; await world.pass(STEP_MS)) {
    const root = await revision();
    for (const content of centres) {
      const older = Array.from({ length: root }, (_, number) => sha256(`content ${number}`));
      expect(older, `with the root of publication ${root}, ${(world.now - since) / 1000} s later`).not.toContain(await content());
    }
    if (seen.at(-1)?.[1] !== root) seen.push([(world.now - since) / 1000, root]);
  }
  return seen;
}

test("a client of the new index gets the new package from every data centre, also from one that cached the old one just before", async () => {
  const edge = await createEdge();
  for (const content of edge.centres) expect(await content()).toBe(sha256("content 0"));
  await edge.world.pass(61_000);
  edge.world.origins[ONE] = publication(1, "content 1");
  for (const content of edge.centres) await content();
  // In the store it is gone at once; the pointer follows one lifetime of a head later.
  expect(await watch(edge, 100_000)).toEqual([
    [0, 0],
    [66, 1],
  ]);
});

test("meanwhile the last generation is served at once, the wait is shown with its end, and no upstream is asked again", async () => {
  const { world, centres, revision } = await createEdge({ upstreams: [ONE, TWO] });
  for (const content of centres) await content();
  await world.pass(61_000);
  for (const url of [ONE, TWO]) world.origins[url] = publication(1, "content 1");
  expect(await revision()).toBe(0);
  expect(world.standings.at(-1)).toEqual([
    ROOT.replace("/repomd.xml", ""),
    expect.objectContaining({
      behindSince: world.now,
      hold: {
        kind: "cached",
        upstream: ONE,
        since: world.now,
        until: world.now + 62_000,
        reason: `${ONE}: other data centres still serve packages that the new root replaces`,
      },
    }),
  ]);
  const asked = world.requests.length;
  for (let seconds = 0; seconds < 60; seconds += 10) {
    expect(await revision()).toBe(0);
    await world.pass(10_000);
  }
  expect(world.requests.slice(asked)).toEqual([]);
  await world.pass(2_000);
  expect(await revision()).toBe(1);
  expect(world.standings.at(-1)?.[1]).toMatchObject({ behindSince: null, trouble: null, hold: null });
});

test("the wait outlives a restart of the object, and the new table too", async () => {
  const edge = await createEdge();
  for (const content of edge.centres) await content();
  await edge.world.pass(61_000);
  edge.world.origins[ONE] = publication(1, "content 1");
  for (const content of edge.centres) await content();
  expect(await edge.revision()).toBe(0);
  await edge.world.pass(20_000);
  edge.restart();
  await settle();
  expect(await watch(edge, 80_000)).toEqual([
    [0, 0],
    [42, 1],
  ]);
});

test("a restart in the midst of the deletion waits as well", async () => {
  const edge = await createEdge();
  const { world, centres } = edge;
  for (const content of centres) await content();
  await world.pass(61_000);
  for (const content of centres) await content();
  world.origins[ONE] = publication(1, "content 1");
  const { delete: remove } = world.store;
  Object.assign(world.store, {
    delete: async (keys: readonly string[]) => {
      await remove(keys);
      throw new Error("the object restarts");
    },
  });
  // Nothing is published, for its packages cannot be judged yet.
  await edge.revision();
  Object.assign(world.store, { delete: remove });
  edge.restart();
  await settle();
  expect((await watch(edge, 200_000)).at(-1)?.[1]).toBe(1);
});

test.each([
  { name: "no changed package is stored", isStored: false, headTtlMs: HEAD_TTL_MS },
  { name: "no data centre caches heads, as on one machine", isStored: true, headTtlMs: 0 },
])("where $name a new root is published at once", async ({ isStored, headTtlMs }) => {
  const { world, centres, revision } = await createEdge({ headTtlMs });
  if (isStored) for (const content of centres) await content();
  await world.pass(61_000);
  world.origins[ONE] = publication(1, "content 1");
  expect(await revision()).toBe(1);
});

test("a repository that replaces a package every half a minute is published after five lifetimes of a head", async () => {
  const edge = await createEdge();
  const { world, centres, revision } = edge;
  for (const content of centres) await content();
  await world.pass(61_000);
  const since = world.now;
  let shown = 0;
  for (let number = 1; world.now < since + 400_000 && shown === 0; number++) {
    world.origins[ONE] = publication(number, `content ${number}`);
    for (let steps = 0; steps < 5 && shown === 0; steps++) {
      shown = await revision();
      for (const content of centres) await content();
      await world.pass(STEP_MS);
    }
  }
  expect(shown).toBeGreaterThan(0);
  expect((world.now - since) / 1000).toBeGreaterThan(62);
  expect((world.now - since) / 1000).toBeLessThanOrEqual(5 * 62 + 60);
});

test("where the upstream takes the new root back, packages are judged by the published one again", async () => {
  const { world, object, centres, revision } = await createEdge();
  for (const content of centres) await content();
  await world.pass(61_000);
  world.origins[ONE] = publication(1, "content 1");
  expect(await revision()).toBe(0);
  world.origins[ONE] = publication(0, "content 0");
  await world.pass(62_000);
  expect(await revision()).toBe(0);
  await settle();
  const { tables } = await object.directory.lookUp(PACKAGE, 0);
  const records = await Promise.all(
    tables.map((table) => createTableReader({ store: world.store }).lookUp({ version: table.version }, PACKAGE)),
  );
  expect(records.flat()).toEqual([expect.objectContaining({ digests: [{ algorithm: "sha256", digest: sha256("content 0") }] })]);
  expect(world.standings.at(-1)?.[1]).toMatchObject({ trouble: null, hold: null });
});

test("a root that the store lost is published at once, since nothing can be served meanwhile", async () => {
  const { world, object, centres, revision } = await createEdge();
  for (const content of centres) await content();
  await world.pass(61_000);
  world.origins[ONE] = publication(1, "content 1");
  expect(await revision()).toBe(0);
  const resolution = await object.repository.resolve(ROOT);
  const key = resolution.kind === "object" ? resolution.key : "";
  await world.store.delete([key]);
  expect(await object.repository.resolve(ROOT, key)).toMatchObject({ kind: "object" });
  expect(await revision()).toBe(1);
});

test("a root that was doubted for its hour waits once, and is not doubted anew", async () => {
  const { world, centres, revision } = await createEdge();
  world.origins[ONE] = { ...publication(1, "content 0"), [`${ROOT}.asc`]: "a signature" };
  await world.pass(61_000);
  expect(await revision()).toBe(1);
  for (const content of centres) await content();
  world.origins[ONE] = publication(2, "content 2");
  const kinds = new Set<string | undefined>();
  let shown = 1;
  for (const minutes of [2, 20, 20, 21, 2, 2]) {
    await world.pass(minutes * 60_000);
    shown = await revision();
    for (const content of centres) await content();
    kinds.add(world.standings.at(-1)?.[1]?.hold?.kind);
  }
  expect([...kinds]).toEqual(["unsigned", "cached", undefined]);
  expect(shown).toBe(2);
});
