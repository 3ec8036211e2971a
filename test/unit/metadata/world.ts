import type { RootStanding } from "../../../src/watch/history.ts";
import type { ReadingWatch } from "../../../src/watch/readings.ts";
import type { Mirror } from "../../../src/config/config.ts";
import type { EnsureStored } from "../../../src/metadata/ports/ensure-stored.ts";
import type { KeptState } from "../../../src/metadata/ports/kept-state.ts";
import type { DirectoryPort, IndexTables, IndexTablesDependencies } from "../../../src/metadata/digests/index-tables.ts";
import type { TableDirectory } from "../../../src/metadata/digests/table-directory.ts";
import type { RepositoryPort } from "../../../src/metadata/create-repositories.ts";
import type { KnownRepositories } from "../../../src/metadata/known-repositories.ts";
import { createRepository } from "../../../src/metadata/generations/repository.ts";
import type { Resolution } from "../../../src/metadata/ports/repositories.ts";
import { placeOf, type RepositoryPlace } from "../../../src/route/place.ts";
import type { ObjectStore } from "../../../src/store/object-store.ts";
import type { StoredObject } from "../../../src/store/stored-object.ts";
import type { ByteSource, Representation, UpstreamAnswer, UpstreamRequest, Upstreams } from "../../../src/upstream/upstream.ts";
import type { Expectation } from "../../../src/verify/expectation.ts";
import { createNodeDigest } from "../../support/verifying.ts";
import { sha256 } from "./samples.ts";

/** Every repository exists. */
export const ALL_KNOWN: KnownRepositories = { isKnown: async () => true, find: async () => ({ kind: "known", early: [] }) };

/** Loopback in spirit: upstreams, store, clock and timers that a test holds in its hands. */
export const ONE = "http://one.test";
export const TWO = "http://two.test";
export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

export type Files = Record<string, string | Uint8Array>;

/** A repository that is asked by paths; the table of places says where they stand. */
export interface PathRepository {
  resolve(path: string, lost?: string): Promise<Resolution>;
  expectation(path: string): Expectation | null;
  rebuildTables(base: string): Promise<void>;
  rootDigest(path: string): Promise<{ readonly sha256: string; readonly size: number; readonly timestamp: number } | null>;
  /** As `createRepositories` calls it. */
  readonly port: RepositoryPort;
}

export interface World {
  readonly mirror: Mirror;
  readonly store: ObjectStore & { readonly objects: Map<string, { object: StoredObject; bytes: Uint8Array }>; readonly deleted: string[] };
  readonly kept: KeptState;
  /** Upstream url → path → content; null: the upstream is down. */
  readonly origins: Record<string, Files | null>;
  /** What an upstream answers for a path in place of its content: `<url> <path>` → 403, or no usable answer. */
  readonly faults: Map<string, 403 | "fails">;
  /** Requests that reached an upstream, as `one repodata/repomd.xml`. */
  readonly requests: string[];
  readonly logs: string[];
  /** The keys that `onPublished` received last. */
  published: readonly string[];
  /** What `onStanding` received. */
  readonly standings: [root: string, standing: RootStanding | null][];
  now: number;
  /** Set: upstreams give this Last-Modified, and an entity tag made of it and the size, as servers do. */
  changedAt: string | undefined;
  /** For how long isolates may remember what a repository says; read when it is opened. */
  rememberMs: number;
  /** Answers of the upstreams wait for it. */
  gate: Promise<void>;
  /** Runs the timers that are due once `ms` have passed. */
  pass(ms: number): Promise<void>;
  /** Resolves as soon as something waits for exactly `ms` from now. */
  waitFor(ms: number): Promise<void>;
  readonly upstreams: Upstreams;
  readonly ensureStored: EnsureStored;
  readonly timer: (ms: number, run: () => void) => () => void;
  repository(options?: { ttl?: number; doubt?: number; tables?: IndexTables; readings?: ReadingWatch }): PathRepository;
  /** Content of a path as a client gets it, or the kind of the answer. */
  read(repository: PathRepository, path: string): Promise<string>;
}

export function createWorld(upstreamUrls: readonly string[] = [ONE, TWO]): World {
  const timers = new Map<number, { at: number; run: () => void }>();
  let serial = 0;
  const mirror: Mirror = {
    name: "m",
    hosts: [],
    distro: undefined,
    upstreams: upstreamUrls.map((url) => ({ url, authorization: undefined })),
    redirectHosts: [],
    allowedQuery: [],
    classes: [],
  };
  const world: World = {
    mirror,
    store: memoryStore(),
    kept: memoryState(),
    origins: Object.fromEntries(upstreamUrls.map((url) => [url, {}])),
    faults: new Map(),
    requests: [],
    logs: [],
    published: [],
    standings: [],
    now: Date.UTC(2026, 0, 1),
    changedAt: undefined,
    rememberMs: 0,
    gate: Promise.resolve(),
    async pass(ms) {
      world.now += ms;
      for (const [id, timer] of timers) {
        if (timer.at > world.now) continue;
        timers.delete(id);
        timer.run();
      }
      await settle();
    },
    async waitFor(ms) {
      while (![...timers.values()].some(({ at }) => at === world.now + ms)) await new Promise((resolve) => setImmediate(resolve));
    },
    upstreams: { open: (request) => open(world, request) },
    async ensureStored({ candidates, key, expectation }) {
      if (world.store.objects.has(key)) return { kind: "stored", object: world.store.objects.get(key)?.object as StoredObject };
      let found = false;
      let avoid: string[] = [];
      for (const path of candidates) {
        avoid = [];
        while (avoid.length < mirror.upstreams.length) {
          const answer = await open(world, { mirror, path, query: "", class: "member", avoid });
          if (answer.kind === "failure") return answer;
          if (answer.kind !== "body") break;
          const bytes = (await answer.source.read()) ?? new Uint8Array();
          found = true;
          if (sha256(bytes) === expectation.digest) {
            const object = describe(world, answer.representation, bytes);
            await world.store.put(key, object, bytes);
            return { kind: "stored", object, isFetched: true };
          }
          avoid.push(answer.representation.upstream);
        }
      }
      return { kind: found ? "mismatch" : "absent" };
    },
    timer(ms, run) {
      const id = serial++;
      timers.set(id, { at: world.now + ms, run });
      return () => timers.delete(id);
    },
    repository: (options = {}) =>
      byPath({
        mirror,
        upstreams: world.upstreams,
        store: world.store,
        createDigest: createNodeDigest,
        kept: world.kept,
        ensureStored: world.ensureStored,
        tables: options.tables ?? null,
        ...(options.readings === undefined ? {} : { readings: options.readings }),
        onPublished: (named) => (world.published = named.map(([key]) => key)),
        onStanding: (root, standing) => world.standings.push([root, standing]),
        timer: world.timer,
        now: () => world.now,
        log: (level, message) => world.logs.push(`${level}: ${message}`),
        sliceBytes: 64 * 1024,
        retentionDays: 90,
        rememberMs: world.rememberMs,
        limits: {
          metadataTtlSeconds: options.ttl ?? 60,
          metadataWaitSeconds: 10,
          doubtSeconds: options.doubt ?? 600,
          prefetchBytes: 1_000_000,
        },
      }),
    async read(repository, path) {
      const resolution = await repository.resolve(path);
      if (resolution.kind !== "object") return resolution.kind === "failure" ? `failure ${resolution.status}` : resolution.kind;
      const held = world.store.objects.get(resolution.key);
      return held === undefined ? "lost" : new TextDecoder().decode(held.bytes);
    },
  };
  return world;
}

/** Where a path of a mirror of no known distribution stands. */
export function repositoryPlaceOf(path: string): RepositoryPlace | null {
  return placeOf({ distro: undefined, classes: [] }, path).repository;
}

function byPath(deps: Parameters<typeof createRepository>[0]): PathRepository {
  const repository = createRepository(deps);
  const { resolve, expectation, rootDigest, rebuildTables } = repository;
  return {
    rebuildTables,
    async resolve(path, lost) {
      const place = repositoryPlaceOf(path);
      return place === null ? { kind: "opaque" } : resolve(path, place, lost);
    },
    expectation(path) {
      const place = repositoryPlaceOf(path);
      return place === null ? null : expectation(path, place);
    },
    async rootDigest(path) {
      const place = repositoryPlaceOf(path);
      return place === null ? null : rootDigest(path, place);
    },
    port: {
      resolve: (_mirror, path, place, lost) => resolve(path, place, lost),
      rootDigest: (_mirror, ...asked) => rootDigest(...asked),
      expectation: async (_mirror, ...asked) => expectation(...asked),
    },
  };
}

/** All that tables of a world's repository need but the directory, and the decoder of xz that fits the runtime. What is stored is in the ledger's rows at once. */
export function tableDependencies(world: World): Omit<IndexTablesDependencies, "directory" | "xz"> {
  const rowOf = (key: string) => ({ key, class: "package", storedAt: world.store.objects.get(key)?.object.storedAt ?? 0 });
  return {
    mirror: world.mirror,
    store: world.store,
    kept: world.kept,
    sliceBytes: 64 * 1024,
    timer: world.timer,
    now: () => world.now,
    breathe: () => new Promise((resolve) => setImmediate(resolve)),
    taint: async () => {},
    headTtlMs: 0,
    onProtection: () => {},
    log: (level, message) => world.logs.push(`${level}: ${message}`),
    rows: {
      page: async (prefix, after, limit) =>
        [...world.store.objects.keys()]
          .filter((key) => key.startsWith(prefix) && key > after)
          .toSorted()
          .slice(0, limit)
          .map(rowOf),
      pick: async (keys) => keys.filter((key) => world.store.objects.has(key)).map(rowOf),
    },
  };
}

/** A directory of digest tables as it is called from afar. */
export function portOf(directory: () => TableDirectory): DirectoryPort {
  return {
    building: async (base, root) => directory().building(base, root),
    publish: async (base, root, table) => directory().publish(base, root, table),
    basesBelow: async (base) => directory().basesBelow(base),
    bases: async () => directory().bases(),
  };
}

/** Lets everything run that waits for nothing but promises. */
export async function settle(): Promise<void> {
  for (let n = 0; n < 50; n++) await new Promise((resolve) => setTimeout(resolve, 0));
}

async function open(world: World, request: UpstreamRequest): Promise<UpstreamAnswer> {
  await world.gate;
  let isReached = false;
  let [isForbidden, isAbsent, hasFailed] = [false, false, false];
  for (const { url } of request.mirror.upstreams) {
    const files = world.origins[url];
    if (request.avoid?.includes(url) === true || files === null || files === undefined) continue;
    world.requests.push(`${new URL(url).hostname.split(".")[0]} ${request.path}`);
    const fault = world.faults.get(`${url} ${request.path}`);
    isForbidden ||= fault === 403;
    hasFailed ||= fault === "fails";
    if (fault !== undefined) continue;
    isReached = true;
    const content = files[request.path];
    isAbsent ||= content === undefined;
    if (content === undefined) continue;
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const etag = world.changedAt === undefined ? `"${sha256(bytes).slice(0, 8)}"` : `"${world.changedAt}-${bytes.length}"`;
    if (request.conditional?.etag === etag) return { kind: "not-modified", upstream: url };
    const representation: Representation = {
      size: bytes.length,
      etag,
      lastModified: world.changedAt,
      contentType: bytes[0] === 60 && bytes[1] === 104 ? "text/html" : "text/plain",
      contentEncoding: undefined,
      upstream: url,
    };
    return { kind: "body", representation, first: 0, source: sourceOf(bytes) };
  }
  if (isForbidden && !hasFailed) return { kind: "absent", status: isAbsent ? 404 : 403 };
  return isReached && !hasFailed
    ? { kind: "absent", status: 404 }
    : { kind: "failure", status: 502, detail: `${request.path}: no upstream answers` };
}

function sourceOf(bytes: Uint8Array): ByteSource {
  let isRead = bytes.length === 0;
  return {
    async read() {
      if (isRead) return null;
      isRead = true;
      return bytes;
    },
    cancel() {},
  };
}

function describe(world: World, representation: Representation, bytes: Uint8Array): StoredObject {
  const hex = sha256(bytes);
  const { upstream } = representation;
  return {
    version: hex.slice(0, 32),
    size: bytes.length,
    contentType: "x/y",
    upstream,
    storedAt: world.now,
    verified: "digest",
    sha256: hex,
  };
}

export function memoryState(): KeptState {
  const values = new Map<string, string>();
  return {
    load: (key) => values.get(key) ?? null,
    save: (key, value) => void values.set(key, value),
    remove: (key) => void values.delete(key),
    keys: () => [...values.keys()],
  };
}

function memoryStore(): World["store"] {
  const objects = new Map<string, { object: StoredObject; bytes: Uint8Array }>();
  const slices = new Map<string, Uint8Array>();
  const deleted: string[] = [];
  const stream = (bytes: Uint8Array): ReadableStream<Uint8Array> => new Response(new Uint8Array(bytes)).body as ReadableStream<Uint8Array>;
  return {
    objects,
    deleted,
    head: async (key) => objects.get(key)?.object ?? null,
    peek: async (key) => objects.get(key)?.object ?? null,
    get: async (key) => {
      const held = objects.get(key);
      return held === undefined ? null : { object: held.object, body: held.object.sliceBytes === undefined ? stream(held.bytes) : null };
    },
    put: async (key, object, bytes) => {
      objects.set(key, { object, bytes: bytes.slice() });
      return "stored";
    },
    delete: async (keys) => {
      deleted.push(...keys);
      for (const key of keys) objects.delete(key);
    },
    list: async () => ({ objects: [] }),
    putSlice: async (version, index, bytes) => {
      slices.set(`${version}/${index}`, bytes.slice());
      return "stored";
    },
    getSlice: async (version, index, offset = 0, length = Infinity) => {
      const bytes = slices.get(`${version}/${index}`)?.subarray(offset, offset + length);
      return bytes === undefined || (length !== Infinity && bytes.length < length) ? null : stream(bytes);
    },
  };
}
