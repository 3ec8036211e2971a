import { DAY_MS } from "../../http/units.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import { readStream } from "../../store/read-object.ts";
import type { UpstreamFailure } from "../../upstream/upstream.ts";
import type { Expectation } from "../../verify/expectation.ts";
import { fetchFile } from "./fetch-file.ts";
import type { Generation, RootContent, StoredFile } from "../members/generation.ts";
import { matchSignature } from "../formats/match-signature.ts";
import type { IndexTables } from "../digests/index-tables.ts";
import { createMembers, expectationOf, memberCandidates, usedName } from "../members/members.ts";
import type { Entry } from "../formats/parsed-root.ts";
import type { EnsureStored } from "../ports/ensure-stored.ts";
import type { Resolution } from "../ports/repositories.ts";
import { companionFiles, rootFiles } from "./root-files.ts";
import { createRootKeeper, type Held, type KeeperDependencies, type RootKeeper } from "./root-keeper.ts";

/** A companion that was absent is asked for again after this long, or after the TTL if that is shorter: the upstream may publish it late. */
const MAX_ABSENT_MS = 10_000;

export interface RepositoryDependencies extends Omit<KeeperDependencies, "members" | "beforeSwap" | "afterSwap"> {
  /** A file that no client asked for within this many days is not fetched ahead any more. */
  readonly retentionDays: number;
  readonly ensureStored: EnsureStored;
  /** The digest tables of packages; null where packages are judged by their structure only. */
  readonly tables: IndexTables | null;
  /** Receives, after each swap, every key that the published generations name: retention evicts these last. */
  readonly onPublished: (keys: readonly string[]) => void;
}

export type Repository = ReturnType<typeof createRepository>;

/** All roots below one base: the suites of a deb archive, elsewhere mostly one. One Durable Object runs them. */
export function createRepository(deps: RepositoryDependencies) {
  const { kept, mirror, now } = deps;
  const members = createMembers({ ...deps, usedForMs: deps.retentionDays * DAY_MS });
  const keepers = new Map<string, RootKeeper>();
  const absentSince = new Map<string, number>();
  for (const key of kept.keys()) {
    if (!key.startsWith("place:")) continue;
    const place = JSON.parse(kept.load(key) ?? "{}") as RepositoryPlace;
    // A restart ends the building of a table: it begins anew here.
    followIndexes(place, keeperOf(place).held());
  }

  return {
    /** Answers for a path that stands at `guess`. `lost`: the key of an earlier answer that the store no longer has: the file is fetched again. */
    async resolve(path: string, guess: RepositoryPlace, lost?: string): Promise<Resolution> {
      const place = underKnownRoot(path, guess);
      if (lost !== undefined) members.forget(lost);
      if (place.role === "hashed") return resolveHashed(path, place);
      if (place.role === "companion" && !filesOf(place).includes(path)) return { kind: "opaque" };
      const current = await keeperOf(place).current(lost);
      if (current.kind === "absent") keepers.delete(place.root);
      if (current.kind !== "held") return current;
      if (place.role !== "member") return resolveFile(path, place, current, lost);
      const { generation } = current;
      const candidates = (entry: Entry) => memberCandidates(entry, generation.parsed?.byHash ?? false);
      return resolveMember(place, entryAt(generation, path), candidates, current);
    },
    /** What the published root says of a member; asks no upstream. */
    expectation(path: string, guess: RepositoryPlace): Expectation | null {
      const entry = entryAt(keepers.get(underKnownRoot(path, guess).root)?.held() ?? null, path);
      return entry === undefined ? null : expectationOf(entry);
    },
    /** Lower-case hex SHA-256, size in bytes and time in Unix seconds of the published root; null where none is, or it is another file than `path`. */
    async rootDigest(path: string, place: RepositoryPlace) {
      const current = await keeperOf(place).current();
      if (current.kind !== "held") return null;
      const { root, parsed, adoptedAt } = current.generation;
      if (root.path !== path || root.object.sha256 === undefined) return null;
      const timestamp = parsed?.revision ?? parsed?.timestamp ?? Math.floor(adoptedAt / 1000);
      return { sha256: root.object.sha256, size: root.object.size, timestamp };
    },
  };

  /** The place below the longest known root above the path: `dists/a/b/` may be a suite `a/b`, or a component `b` of the suite `a`. */
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
        beforeSwap: async (next, held) => {
          await (held === null ? deps.tables?.announce(place, next, members) : deps.tables?.prepare(place, next, members));
        },
        afterSwap: () => {
          kept.save(`place:${place.root}`, JSON.stringify(place));
          const generations = [...keepers.values()].flatMap((one) => one.held() ?? []);
          const live = new Set(generations.flatMap(({ parsed }) => parsed?.entries ?? []).map(members.keyOf));
          members.keepOnly(live);
          followIndexes(place, keeper.held());
          const published = generations.flatMap(({ root, companions }) => [root, ...companions].map(({ key }) => key));
          deps.onPublished([...live, ...published]);
        },
      },
      place,
    );
    keepers.set(place.root, keeper);
    return keeper;
  }

  function followIndexes(place: RepositoryPlace, held: RootContent | null): void {
    if (held !== null) void deps.tables?.prepare(place, held, members);
  }

  /** A file named by its own digest. The held generation knows its other name upstream, and notes that clients use it. */
  async function resolveHashed(path: string, place: RepositoryPlace): Promise<Resolution> {
    if (place.digest === undefined) return { kind: "opaque" };
    const { algorithm, digest } = place.digest;
    const parsed = keepers.get(place.root)?.held()?.parsed;
    const same = parsed?.entries.filter((one) => one.digest === digest && one.algorithm === algorithm) ?? [];
    // Empty indexes of many architectures have one digest: the client means the one beside its by-hash folder.
    const folder = path.replace(/by-hash\/[^/]+\/[^/]+$/, "");
    const entry = same.find((one) => one.path.startsWith(folder)) ?? same[0];
    const candidates = (named: Entry) => (named.path === path ? [path] : [path, named.path]);
    return resolveMember(place, entry, candidates, { state: "fresh", confirmedAt: now() });
  }

  async function resolveMember(
    place: RepositoryPlace,
    entry: Entry | undefined,
    candidates: (entry: Entry) => readonly string[],
    freshness: HeldState,
  ): Promise<Resolution> {
    // A file of another generation, or a long one, is filled by its own name.
    if (entry === undefined || (entry.size ?? 0) > deps.limits.prefetchBytes) return { kind: "opaque" };
    await noteUse(place, entry);
    const answer = await members.ensure(entry, candidates(entry));
    if (answer.kind === "stored") return answerFile({ key: members.keyOf(entry), object: answer.object }, freshness);
    if (answer.kind === "absent") return { kind: "absent", status: 404 };
    if (answer.kind === "failure") return answer;
    return halfWay("upstream has another file than the root names: it is half-way through a sync");
  }

  function answerFile({ key, object }: Pick<StoredFile, "key" | "object">, { state, confirmedAt, detail }: HeldState): Resolution {
    const ageSeconds = Math.max(0, Math.floor((now() - confirmedAt) / 1000));
    return { kind: "object", key, object, state, ageSeconds, ...(detail === undefined ? {} : { detail }) };
  }

  /**
   * A member that clients begin to use is fetched ahead from now on. Where it may be an index, a digest table of its packages is built, and announced
   * before the client gets the index: it asks for the packages right after.
   */
  async function noteUse(place: RepositoryPlace, entry: Entry): Promise<void> {
    if (!members.markUsed(usedName(place, entry)) || place.kind !== "deb") return;
    const held = keepers.get(place.root)?.held() ?? null;
    if (held === null) return;
    await deps.tables?.announce(place, held, members);
    followIndexes(place, held);
  }

  async function resolveFile(path: string, place: RepositoryPlace, current: Held, lost: string | undefined): Promise<Resolution> {
    const { generation } = current;
    if (path === generation.root.path) return answerFile(generation.root, current);
    const companion = generation.companions.find((file) => file.path === path);
    if (companion !== undefined && companion.key !== lost) return answerFile(companion, current);
    if (!companionFiles(place.kind, generation.root.path).includes(path)) return { kind: "absent", status: 404 };
    return fetchLateCompanion(path, current, companion);
  }

  /**
   * Asks the upstream once more for a companion that the generation lacks (`had` undefined) or that the store lost. One that has come since answers
   * this request; the next generation adopts it. A deb companion comes only with a new generation, since the companions sign each other. One that the
   * store lost must be the same file again.
   */
  async function fetchLateCompanion(path: string, current: Held, had: StoredFile | undefined): Promise<Resolution> {
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
    if (had !== undefined && answer.file.object.sha256 !== had.object.sha256) return halfWay(`the upstream has another ${path} by now`);
    const isOthers = /\.(asc|sig)$/.test(path) && (await signsOtherRoot(answer.bytes, generation.root.key));
    return isOthers ? halfWay(`${path} signs another version of its file`) : answerFile(answer.file, current);
  }

  /** Whether a signature certainly belongs to another root than the stored one. A root in slices is not compared: it is too long for memory. */
  async function signsOtherRoot(signature: Uint8Array | null, rootKey: string): Promise<boolean> {
    const body = (await deps.store.get(rootKey))?.body ?? null;
    return body !== null && (await matchSignature(await readStream(body), signature ?? new Uint8Array())) === "differs";
  }
}

type HeldState = Pick<Held, "state" | "confirmedAt" | "detail">;

/** The upstream has another file than the generation: a sync is under way, and the client may come again soon. */
function halfWay(detail: string): UpstreamFailure {
  return { kind: "failure", status: 503, detail, retryAfterSeconds: 10 };
}

/** The roots and companions that a generation may hold. Other signatures (`Release.key`) are cached like any other file. */
function filesOf({ kind, root }: RepositoryPlace): readonly string[] {
  return rootFiles({ kind, root }).flatMap((file) => [file, ...companionFiles(kind, file)]);
}

function entryAt(generation: Generation | null, path: string): Entry | undefined {
  return generation?.parsed?.entries.find((entry) => entry.path === path);
}
