import { DAY_MS } from "../../http/units.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import { readStream } from "../../store/read-object.ts";
import type { Expectation } from "../../verify/expectation.ts";
import { fetchFile } from "./fetch-file.ts";
import type { Generation, RootContent, StoredFile } from "../members/generation.ts";
import { matchSignature } from "../formats/match-signature.ts";
import type { IndexTables } from "../digests/index-tables.ts";
import { createMembers, memberCandidates, usedName } from "../members/members.ts";
import type { Entry } from "../formats/parsed-root.ts";
import type { EnsureStored } from "../ports/ensure-stored.ts";
import type { Resolution } from "../ports/repositories.ts";
import { companionFiles, rootFiles } from "./root-files.ts";
import { createRootKeeper, type Current, type KeeperDependencies, type RootKeeper } from "./root-keeper.ts";

/** A signature that was not there is looked for again after this long: it may be on its way. */
const MAX_ABSENT_MS = 10_000;

export interface RepositoryDependencies extends Omit<KeeperDependencies, "members" | "beforeSwap" | "afterSwap"> {
  readonly retentionDays: number;
  readonly ensureStored: EnsureStored;
  /** The digest tables of packages; null where none are kept. */
  readonly tables: IndexTables | null;
  /** Every key that the published generations name, after each swap: the last to be evicted. */
  readonly onPublished: (keys: readonly string[]) => void;
}

/** All roots below one base (the suites of a deb archive; elsewhere mostly one), as one Durable Object runs them. */
export interface Repository {
  /** Answers for a path that stands at `place`. `lost`: the key of an earlier answer that the store no longer has; the file is fetched again. */
  resolve(path: string, place: RepositoryPlace, lost?: string): Promise<Resolution>;
  /** What the published root says of a member; asks no upstream. */
  expectation(path: string, place: RepositoryPlace): Expectation | null;
  /** Hex SHA-256 and size in bytes of the published root, and Unix seconds; null where none is. */
  rootDigest(
    path: string,
    place: RepositoryPlace,
  ): Promise<{ readonly sha256: string; readonly size: number; readonly timestamp: number } | null>;
}

export function createRepository(deps: RepositoryDependencies): Repository {
  const { kept, mirror, now } = deps;
  const members = createMembers({ ...deps, usedForMs: deps.retentionDays * DAY_MS });
  const keepers = new Map<string, RootKeeper>();
  const absentSince = new Map<string, number>();
  for (const key of kept.keys()) {
    if (!key.startsWith("place:")) continue;
    const place = JSON.parse(kept.load(key) ?? "{}") as RepositoryPlace;
    // A table whose build a restart ended is begun again.
    followIndexes(place, keeperOf(place).held());
  }

  return {
    async resolve(path, guess, lost) {
      const place = underKnownRoot(path, guess);
      if (lost !== undefined) members.forget(lost);
      if (place.role === "hashed") return resolveHashed(path, place);
      if (place.role === "companion" && !filesOf(place).includes(path)) return { kind: "opaque" };
      const current = await keeperOf(place).current(lost);
      if (current.kind === "absent") keepers.delete(place.root);
      if (current.kind !== "held") return current;
      return place.role === "member" ? resolveMember(path, place, current) : resolveFile(path, place, current, lost);
    },
    expectation(path, guess) {
      const entry = entryAt(keepers.get(underKnownRoot(path, guess).root)?.held() ?? null, path);
      if (entry === undefined) return null;
      const { algorithm, digest, size } = entry;
      return { algorithm, digest, source: "index", ...(size === undefined ? {} : { size }) };
    },
    async rootDigest(path, place) {
      const current = await keeperOf(place).current();
      if (current.kind !== "held") return null;
      const { root, parsed, adoptedAt } = current.generation;
      if (root.path !== path || root.object.sha256 === undefined) return null;
      const timestamp = parsed?.revision ?? parsed?.timestamp ?? Math.floor(adoptedAt / 1000);
      return { sha256: root.object.sha256, size: root.object.size, timestamp };
    },
  };

  /** The place under the longest known root: by their names, suites and components of a deb archive cannot be told apart. */
  function underKnownRoot(path: string, place: RepositoryPlace): RepositoryPlace {
    if (place.kind !== "deb" || place.role === "root" || place.role === "companion") return place;
    const known = [...keepers.keys()].filter((root) => path.startsWith(`${root}/`)).toSorted((a, b) => b.length - a.length)[0];
    return known === undefined ? place : { ...place, root: known };
  }

  function keeperOf(place: RepositoryPlace): RootKeeper {
    const existing = keepers.get(place.root);
    if (existing !== undefined) return existing;
    const keeper = createRootKeeper(
      {
        ...deps,
        members,
        beforeSwap: async (at, next, held) => {
          await (held === null ? deps.tables?.announce(at, next, members) : deps.tables?.prepare(at, next, members));
        },
        afterSwap: (at, next) => {
          kept.save(`place:${at.root}`, JSON.stringify(at));
          members.keepOnly(liveKeys());
          followIndexes(at, next);
          deps.onPublished([...liveKeys(), ...publishedFiles()]);
        },
      },
      place,
    );
    keepers.set(place.root, keeper);
    return keeper;
  }

  function liveKeys(): ReadonlySet<string> {
    const entries = [...keepers.values()].flatMap((keeper) => keeper.held()?.parsed?.entries ?? []);
    return new Set(entries.map(members.keyOf));
  }

  function publishedFiles(): readonly string[] {
    return [...keepers.values()].flatMap((keeper) => {
      const generation = keeper.held();
      return generation === null ? [] : [generation.root, ...generation.companions].map(({ key }) => key);
    });
  }

  function followIndexes(place: RepositoryPlace, held: RootContent | null): void {
    if (held !== null) void deps.tables?.prepare(place, held, members);
  }

  /** A file named by its own hash. The current generation knows under what other name upstream has it, and is to know that it is used. */
  async function resolveHashed(path: string, place: RepositoryPlace): Promise<Resolution> {
    if (place.digest === undefined) return { kind: "opaque" };
    const { algorithm, digest } = place.digest;
    const parsed = keepers.get(place.root)?.held()?.parsed;
    const same = parsed?.entries.filter((one) => one.digest === digest && one.algorithm === algorithm) ?? [];
    // Empty indexes of many architectures are one content: the one that stands beside the by-hash folder is meant.
    const folder = path.replace(/by-hash\/[^/]+\/[^/]+$/, "");
    const entry = same.find((one) => one.path.startsWith(folder)) ?? same[0];
    // Of another generation, or long: its own name is all that a fill needs to know.
    if (entry === undefined || (entry.size ?? 0) > deps.limits.prefetchBytes) return { kind: "opaque" };
    await noteUse(place, entry);
    const candidates = entry.path === path ? [path] : [path, entry.path];
    return answerMember(await members.ensure(entry, candidates), members.keyOf(place.digest), "fresh", now());
  }

  async function resolveMember(path: string, place: RepositoryPlace, current: Held): Promise<Resolution> {
    const { generation, state, confirmedAt, detail } = current;
    const entry = entryAt(generation, path);
    if (entry === undefined || (entry.size ?? 0) > deps.limits.prefetchBytes) return { kind: "opaque" };
    await noteUse(place, entry);
    const candidates = memberCandidates(entry, generation.parsed?.byHash ?? false);
    return answerMember(await members.ensure(entry, candidates), members.keyOf(entry), state, confirmedAt, detail);
  }

  function answerMember(
    answer: Awaited<ReturnType<EnsureStored>>,
    key: string,
    state: Held["state"],
    confirmedAt: number,
    detail?: string,
  ): Resolution {
    if (answer.kind === "stored") return describe({ key, object: answer.object }, state, confirmedAt, detail);
    if (answer.kind === "absent") return { kind: "absent", status: 404 };
    if (answer.kind === "failure") return answer;
    return {
      kind: "failure",
      status: 503,
      detail: "upstream has another file than the root names: it is half-way through a sync",
      retryAfterSeconds: 10,
    };
  }

  function describe(file: Pick<StoredFile, "key" | "object">, state: Held["state"], confirmedAt: number, detail?: string): Resolution {
    const ageSeconds = Math.max(0, Math.floor((now() - confirmedAt) / 1000));
    return { kind: "object", key: file.key, object: file.object, state, ageSeconds, ...(detail === undefined ? {} : { detail }) };
  }

  /**
   * An index that clients begin to use is prefetched from now on, and its packages are to be known. That is said before the client has the
   * index: it asks for the packages at once.
   */
  async function noteUse(place: RepositoryPlace, entry: Entry): Promise<void> {
    if (!members.markUsed(usedName(place, entry)) || place.kind !== "deb") return;
    const held = keepers.get(place.root)?.held() ?? null;
    if (held === null) return;
    await deps.tables?.announce(place, held, members);
    followIndexes(place, held);
  }

  async function resolveFile(path: string, place: RepositoryPlace, current: Held, lost: string | undefined): Promise<Resolution> {
    const { generation, state, confirmedAt, detail } = current;
    if (path === generation.root.path) return describe(generation.root, state, confirmedAt, detail);
    const companion = generation.companions.find((file) => file.path === path);
    if (companion !== undefined && companion.key !== lost) return describe(companion, state, confirmedAt, detail);
    if (!companionFiles(place.kind, generation.root.path).includes(path)) return { kind: "absent", status: 404 };
    return lookAgain(path, current, companion);
  }

  /**
   * A companion that the generation lacks may have come since: it serves this request, and stays with the next generation. Of the deb ones,
   * which sign each other, only a new generation brings any; one that the store lost must be what it was.
   */
  async function lookAgain(path: string, current: Held, had: StoredFile | undefined): Promise<Resolution> {
    const { generation } = current;
    const askedAt = Math.max(absentSince.get(path) ?? 0, generation.adoptedAt);
    const restMs = Math.min(deps.limits.metadataTtlSeconds * 1000, MAX_ABSENT_MS);
    const mayCome = had !== undefined || !/(^|\/)Release(\.gpg)?$/.test(path);
    if (!mayCome || (had === undefined && now() - askedAt < restMs)) return { kind: "absent", status: 404 };
    absentSince.set(path, now());
    const others = mirror.upstreams.map(({ url }) => url).filter((url) => url !== generation.root.object.upstream);
    const answer = await fetchFile(deps, { mirror, path, avoid: others });
    if (answer.kind === "failure" || answer.kind === "absent") return answer;
    if (answer.kind !== "fetched") return { kind: "absent", status: 404 };
    absentSince.delete(path);
    if (had !== undefined && answer.file.object.sha256 !== had.object.sha256) {
      return { kind: "failure", status: 503, detail: `the upstream has another ${path} by now`, retryAfterSeconds: 10 };
    }
    const root = await deps.store.get(generation.root.key);
    const document = root?.body === null || root === null ? null : await readStream(root.body);
    const isOther =
      document !== null && /\.(asc|sig)$/.test(path) && (await matchSignature(document, answer.bytes ?? new Uint8Array())) === "differs";
    if (isOther) return { kind: "failure", status: 503, detail: `${path} signs another version of its file`, retryAfterSeconds: 10 };
    return describe(answer.file, current.state, current.confirmedAt, current.detail);
  }
}

type Held = Extract<Current, { kind: "held" }>;

/** What a generation may hold beside its members: other signatures (`Release.key`) are files like any other. */
function filesOf({ kind, root }: RepositoryPlace): readonly string[] {
  return rootFiles({ kind, root }).flatMap((file) => [file, ...companionFiles(kind, file)]);
}

function entryAt(generation: Generation | null, path: string): Entry | undefined {
  return generation?.parsed?.entries.find((entry) => entry.path === path);
}
