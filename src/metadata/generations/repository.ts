import { DAY_MS } from "../../http/units.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import { StoreError } from "../../store/object-store.ts";
import type { Expectation } from "../../verify/expectation.ts";
import type { Generation, StoredFile } from "../members/generation.ts";
import { createMembers, expectationOf, memberCandidates } from "../members/members.ts";
import { dateOf, type Entry } from "../formats/parsed-root.ts";
import { groupName } from "../members/member-groups.ts";
import { describeMissing } from "./gather-members.ts";
import type { EnsureStored, EnsureStoredAnswer } from "../ports/ensure-stored.ts";
import type { Resolution } from "../ports/repositories.ts";
import { companionAt, createLateCompanions, syncFailure } from "./late-companions.ts";
import { companionFiles, indexWithoutForm, rootFiles, signedFile } from "./root-files.ts";
import { createMismatches } from "./mismatches.ts";
import { createKnownRoots, type KnownRootsDependencies } from "./known-roots.ts";
import type { Held, RootKeeper } from "./root-keeper.ts";
import type { CarriedFile, CarriedGeneration } from "../ports/carried.ts";

/** Generations that are looked at for one companion: an upstream that publishes faster than it is asked has none that belongs to its root. */
const MAX_TRIES = 3;

export interface RepositoryDependencies extends Omit<KnownRootsDependencies, "members" | "mismatches" | "onAbsent"> {
  readonly ensureStored: EnsureStored;
}

export type Repository = ReturnType<typeof createRepository>;

/** All roots below one base: the suites of a deb archive, elsewhere mostly one. One Durable Object runs them. */
export function createRepository(deps: RepositoryDependencies) {
  const { now } = deps;
  const members = createMembers({ ...deps, usedForMs: deps.retentionDays * DAY_MS });
  const mismatches = createMismatches(deps.kept, now, deps.limits.doubtSeconds);
  const late = createLateCompanions({ ...deps, mismatches });
  const roots = createKnownRoots({ ...deps, members, mismatches, onAbsent: late.noteAbsent });
  const { keepers, keeperOf, followIndexes, underKnownRoot } = roots;

  return {
    /**
     * Answers for a path that stands at `guess`. `lost`: the key of an earlier answer that the store no longer has: the file is fetched again. What the store
     * does not take or give goes by its own name, and is passed on as the upstream has it.
     */
    async resolve(path: string, guess: RepositoryPlace, lost?: string): Promise<Resolution> {
      try {
        return await resolvePath(path, underKnownRoot(path, guess), lost);
      } catch (error) {
        if (error instanceof StoreError) return { kind: "opaque" };
        throw error;
      }
    },
    /** What the published root says of a member; asks no upstream. */
    expectation(path: string, guess: RepositoryPlace): Expectation | null {
      const keeper = keepers.get(underKnownRoot(path, guess).root);
      const entry = keeper?.isPassedOn() === true ? undefined : entryAt(keeper?.held() ?? null, path);
      return entry === undefined ? null : expectationOf(entry);
    },
    /** Lower-case hex SHA-256, size in bytes and time in Unix seconds of the published root; null where none is, or it is another file than `path`. */
    async rootDigest(path: string, place: RepositoryPlace) {
      const current = await keeperOf(place).current();
      if (current.kind !== "held") return null;
      const { root, parsed, adoptedAt } = current.generation;
      if (root.path !== path || root.object.sha256 === undefined) return null;
      const timestamp = (parsed && dateOf(parsed)) ?? Math.floor(adoptedAt / 1000);
      return { sha256: root.object.sha256, size: root.object.size, timestamp };
    },
    /**
     * Forgets the roots that name a stored file whose path `matches`: root and companions themselves count. The next client has them fetched anew, with
     * members that belong together. Returns these roots.
     */
    forget(matches: (path: string) => boolean): readonly string[] {
      return [...keepers].flatMap(([root, keeper]) => {
        const held = keeper.held();
        if (held === null) return [];
        const stored = (held.parsed?.entries ?? []).filter((entry) => matches(entry.path) && members.has(entry));
        if (stored.length === 0 && ![held.root, ...held.companions].some(({ path }) => matches(path))) return [];
        for (const entry of stored) members.forget(members.keyOf(entry));
        keeper.drop();
        roots.forget(root);
        return [root];
      });
    },
    /** The published generations, with those of their members that are known to lie in the store. */
    carried(): readonly CarriedGeneration[] {
      return [...keepers.values()].flatMap(({ place, held }) => carry(place, held()) ?? []);
    },
    /**
     * Publishes the generation at `place`, of which the upstreams are to give the files now, and notes that clients use these members. Null: it is published,
     * or was already; else why it is not.
     */
    async adopt(place: RepositoryPlace, memberPaths: readonly string[]): Promise<string | null> {
      const keeper = keeperOf(place);
      const round = await keeper.askNow();
      if (round.kind !== "confirmed")
        return "detail" in round && round.detail !== undefined ? round.detail : describeRound(round.kind, keeper);
      for (const path of memberPaths) {
        const entry = entryAt(keeper.held(), path);
        if (entry === undefined) continue;
        const { kind } = await members.ensure(entry, [path]);
        if (kind === "stored") await noteGot(place, entry);
      }
      return null;
    },
    /** Builds the digest tables of all roots below `base`, this repository's base, anew where the store lost a part of them. */
    async rebuildTables(base: string): Promise<void> {
      // Nothing is published any more that could have had the table that the directory knows.
      if (keepers.size === 0) await deps.tables?.withdrawAll(base);
      for (const { place, held } of keepers.values()) followIndexes(place, held(), true);
    },
  };

  function carry(place: RepositoryPlace, generation: Generation | null): CarriedGeneration | null {
    const root = generation === null ? null : carryFile(generation.root);
    if (generation === null || root === null) return null;
    const had = (generation.parsed?.entries ?? []).filter((entry) => members.has(entry));
    return {
      mirror: deps.mirror.name,
      place,
      root,
      companions: generation.companions.flatMap((file) => carryFile(file) ?? []),
      members: had.map(({ path, algorithm, digest, size = 0 }) => ({
        path,
        key: members.keyOf({ algorithm, digest }),
        size,
        digest: { algorithm, digest },
      })),
    };
  }

  async function resolvePath(path: string, place: RepositoryPlace, lost: string | undefined): Promise<Resolution> {
    if (lost !== undefined) members.forget(lost);
    if (place.role === "hashed") return resolveHashed(path, place);
    if (place.role === "companion" && !filesOf(place).includes(path)) return { kind: "opaque" };
    const isRootFile = rootFiles(place).includes(path);
    if (!isRootFile && roots.isRootless(place.root)) return resolveRootless(path, place, lost);
    const current = await keeperOf(place).current(lost);
    if (current.kind === "absent") roots.forget(place.root);
    if (current.kind !== "held") {
      roots.noteRootless(place.root);
      if (isRootFile) return current;
      // A client without a mirror gets what stands below a folder, whatever becomes of the root there.
      const isIndexHeld = keepers.get(indexWithoutForm(path) ?? "")?.place.form !== undefined;
      return current.kind === "absent" || isIndexHeld ? resolveRootless(path, place, lost) : { kind: "opaque" };
    }
    if (deps.tables?.isDue(place.root) === true) followIndexes(place, current.generation);
    if (place.role !== "member") return resolveFile(path, place, current, lost);
    const { generation } = current;
    const candidates = (entry: Entry) => memberCandidates(entry, generation.parsed?.byHash ?? false);
    return resolveMember(place, entryAt(generation, path), candidates, current);
  }

  /**
   * A file below a folder that has no root. An index of packages stands in for one: its forms and signatures are a generation of their own. Anything else
   * goes by its own name.
   */
  async function resolveRootless(path: string, place: RepositoryPlace, lost: string | undefined): Promise<Resolution> {
    const root = place.kind === "deb" && place.role === "member" ? indexWithoutForm(path) : null;
    if (root === null) return { kind: "opaque" };
    const form = keepers.get(root)?.place.form ?? path;
    // A signature whose index no client has asked for yet.
    if (signedFile(form) !== null) return { kind: "opaque" };
    const index: RepositoryPlace = { kind: "deb", base: place.base, root, role: form === path ? "root" : "companion", form };
    const current = await keeperOf(index).current(lost);
    if (current.kind === "held") return resolveFile(path, index, current, lost);
    if (current.kind === "absent") roots.forget(root);
    return form === path ? current : { kind: "opaque" };
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
    return resolveMember(place, entry, candidates, { state: "fresh", confirmedAt: now(), heldUntil: 0 });
  }

  async function resolveMember(
    place: RepositoryPlace,
    entry: Entry | undefined,
    candidates: (entry: Entry) => readonly string[],
    freshness: HeldState,
  ): Promise<Resolution> {
    // A file of another generation, or a long one, is filled by its own name.
    if (entry === undefined || (entry.size ?? 0) > deps.limits.prefetchBytes) return { kind: "opaque" };
    const answer = await members.ensure(entry, candidates(entry));
    if (answer.kind === "stored") {
      await noteGot(place, entry);
      const state = answer.isFetched === true ? "fetched" : freshness.state;
      const heldUntil =
        isCertain(place) && entryAt(keepers.get(place.root)?.held() ?? null, entry.path) === entry ? freshness.heldUntil : 0;
      return answerFile({ key: members.keyOf(entry), object: answer.object }, { ...freshness, state, heldUntil });
    }
    if (answer.kind === "unkept") return { kind: "opaque" };
    noteMissing(place, entry, answer);
    if (answer.kind === "absent") return { kind: "absent", status: 404 };
    return answer.kind === "failure" ? answer : { kind: "failure", status: 502, detail: describeMissing(entry, answer) };
  }

  function answerFile(
    { key, object }: Pick<StoredFile, "key" | "object">,
    { state, confirmedAt, heldUntil, detail, hold }: HeldState,
  ): Resolution {
    const ageSeconds = Math.max(0, Math.floor((now() - confirmedAt) / 1000));
    const rememberMs = heldUntil - now();
    return {
      kind: "object",
      key,
      object,
      state,
      ageSeconds,
      ...(detail === undefined ? {} : { detail }),
      ...(hold === undefined ? {} : { hold }),
      ...(rememberMs > 0 ? { rememberMs } : {}),
    };
  }

  /**
   * A member that clients begin to use is fetched ahead from now on. Where it may be an index, a digest table of its packages is built, and announced
   * before the client gets the index: it asks for the packages right after.
   */
  async function noteGot(place: RepositoryPlace, entry: Entry): Promise<void> {
    const keeper = keepers.get(place.root);
    keeper?.noteMember(entry.path, null);
    if (!members.noteGot(place, entry) || place.kind !== "deb") return;
    const held = keeper?.held() ?? null;
    if (held === null || keeper?.isNextPrepared() === true) return;
    await deps.tables?.announce(place, held, members);
    followIndexes(place, held);
  }

  /** A form that is not there is nothing to speak of while another one may be: an archive names more forms of a file than it has. */
  function noteMissing(place: RepositoryPlace, entry: Entry, answer: Exclude<EnsureStoredAnswer, { kind: "stored" | "unkept" }>): void {
    const keeper = keepers.get(place.root);
    const name = groupName(place, entry);
    const forms = keeper?.held()?.parsed?.entries.filter((one) => groupName(place, one) === name) ?? [];
    if (answer.kind === "failure" || forms.length !== 1) return;
    keeper?.noteMember(entry.path, describeMissing(entry, answer));
  }

  async function resolveFile(
    path: string,
    place: RepositoryPlace,
    current: Held,
    lost: string | undefined,
    tries = 1,
  ): Promise<Resolution> {
    const { generation } = current;
    if (path === generation.root.path) return answerFile(generation.root, current);
    const had = companionAt(generation, path);
    if (had !== undefined && had.key !== lost) return answerFile(had, current);
    if (!companionFiles(place, generation.root.path).includes(path)) return { kind: "absent", status: 404 };
    const keeper = keeperOf(place);
    const asked = await late.ask({ path, place, keeper, current, had });
    if (asked.kind === "here") return answerFile(asked.file, { ...current, state: "fetched", confirmedAt: now(), heldUntil: 0 });
    if (asked.kind === "absent") return { kind: "absent", status: 404 };
    if (asked.kind !== "superseded") return asked;
    // The new generation may lack it as well, as no client had asked for it yet.
    const next = await keeper.current();
    if (next.kind !== "held") return next;
    if (tries < MAX_TRIES) return resolveFile(path, place, next, lost, tries + 1);
    return syncFailure(`${path} belongs to another version of its root than the one just published`);
  }
}

/** Null where the digest of the file was not computed: nothing could be compared with it. */
function carryFile({ path, key, object }: StoredFile): CarriedFile | null {
  if (object.sha256 === undefined) return null;
  return { path, key, size: object.size, digest: { algorithm: "sha256", digest: object.sha256 } };
}

function describeRound(kind: string, keeper: RootKeeper): string {
  return keeper.trouble() ?? `it came to "${kind}"`;
}

type HeldState = Pick<Held, "state" | "confirmedAt" | "heldUntil" | "detail" | "hold">;

/**
 * Whether a member stays that of its root for as long as the generation is held. In a deb archive the root of a suite below may appear at any time, and takes
 * over the files below it.
 */
function isCertain({ kind }: RepositoryPlace): boolean {
  return kind !== "deb";
}

/** The roots and companions that a generation may hold. Other signatures (`Release.key`) are cached like any other file. */
function filesOf(place: RepositoryPlace): readonly string[] {
  return rootFiles(place).flatMap((file) => [file, ...companionFiles(place, file)]);
}

function entryAt(generation: Generation | null, path: string): Entry | undefined {
  return generation?.parsed?.entries.find((entry) => entry.path === path);
}
