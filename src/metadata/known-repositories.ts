import { elapsedMs } from "../clock/elapsed.ts";
import { type Timer, within } from "../clock/timer.ts";
import type { Config, Mirror } from "../config/config.ts";
import { createSignal, type Signal } from "../clock/signal.ts";
import { DAY_MS } from "../http/units.ts";
import type { RepositoryPlace } from "../route/place.ts";
import type { Target } from "../route/target.ts";
import type { ObjectStore } from "../store/object-store.ts";
import type { Upstreams } from "../upstream/upstream.ts";
import type { CreateDigest } from "../verify/digest-ranges.ts";
import type { FetchFileAnswer } from "./generations/fetch-file.ts";
import { fetchRoot } from "./generations/fetch-root.ts";
import { indexWithoutForm, rootFiles, signedFile } from "./generations/root-files.ts";
import type { Resolution } from "./ports/repositories.ts";

/** A known repository is asked for at the ledger again after this long, which thereby learns that clients still use it. */
const ASK_AGAIN_MS = DAY_MS;
/** What the upstreams do not have is asked for again after this long, or after METADATA_TTL if that is shorter. */
const MAX_ABSENT_MS = 10_000;
/** Names in each memory; the oldest are forgotten, which costs a question each. */
const REMEMBERED = 2_000;

export interface KnownRepositoriesDependencies {
  readonly upstreams: Upstreams;
  readonly store: ObjectStore;
  readonly createDigest: CreateDigest;
  readonly config: Pick<Config, "metadataTtlSeconds" | "metadataWaitSeconds" | "prefetchBytes" | "sliceBytes">;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly timer: Timer;
  /** Whether the repository `<mirror>/<base>` has published anything; notes that it is used. Rejects if the ledger cannot be asked. */
  readonly isPublished: (name: string) => Promise<boolean>;
  /** Keeps the isolate alive until `work` has settled. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  readonly log: (message: string) => void;
}

/** What the upstreams had for a root (`RepositoryPlace.root`) a moment ago. */
export type EarlyRoot = readonly [root: string, answer: FetchFileAnswer];

/** Whether a target's repository may be asked. */
export type Found =
  /** It has published something, or an upstream has its root: `early` is what was fetched to find that out. */
  { readonly kind: "known"; readonly early: readonly EarlyRoot[] } | Exclude<Resolution, { kind: "object" }>;

/** A question under way. Plain data: another request must not touch its promise. */
interface Asking {
  readonly since: number;
  readonly ended: Signal;
  /** Its outcome for those who waited; null: it is still under way. */
  answer: FetchFileAnswer | null;
  /** An upstream has sent the headers of a root: there is one. */
  isThere: boolean;
}

/**
 * Which repositories exist. A repository's Durable Object takes storage and open files from its first call on, whatever comes of it; and clients may ask
 * for as many names as they like. So it is called only once the ledger knows that it has published something, or an upstream has shown its root.
 */
export function createKnownRepositories(deps: KnownRepositoriesDependencies) {
  const { config, now, timer, isPublished, waitUntil, log } = deps;
  const absentMs = Math.min(config.metadataTtlSeconds * 1_000, MAX_ABSENT_MS);
  const waitMs = config.metadataWaitSeconds * 1_000;
  /** By name of the repository: when it was last seen to be there, and when the ledger last did not know it. */
  const known = createMemory<true>(ASK_AGAIN_MS, now);
  const unknown = createMemory<true>(absentMs, now);
  /** By mirror and root: what the upstreams have in its place. */
  const refusals = createMemory<FetchFileAnswer>(absentMs, now);
  const questions = new Map<string, Asking>();

  return {
    /** Whether the repository's Durable Object may be called. Asks no upstream. Never rejects. */
    isKnown,
    /** The same, after a question to the upstreams where the ledger does not know it. `target` stands in a repository. Throws StoreError. */
    find,
  };

  async function isKnown(mirror: Mirror, place: RepositoryPlace): Promise<boolean> {
    const name = nameOf(mirror, place);
    if (known.get(name) === true) return true;
    if (unknown.get(name) === true) return false;
    try {
      const answer = await isPublished(name);
      (answer ? known : unknown).set(name, true);
      return answer;
    } catch (error) {
      // It may have published something, and clients are to get that.
      log(`Cannot ask the ledger whether it knows ${name}: ${String(error)}`);
      return true;
    }
  }

  async function find({ mirror, path, repository: place }: Target): Promise<Found> {
    if (place === null) return { kind: "opaque" };
    if (await isKnown(mirror, place)) return { kind: "known", early: [] };
    // Its name has its digest: it can be fetched and checked without a root.
    if (place.role === "hashed") return { kind: "opaque" };
    const root = await ask(mirror, place);
    const isRootFile = rootFiles(place).includes(path);
    if (isThere(root)) return foundAt(mirror, place, [[place.root, root]]);
    if (isRootFile) return refusalOf(root);
    // Below a folder without a root a file goes by its own name; but an index stands in for the root that a deb repository lacks.
    const index = root.kind === "absent" ? loneIndexAt(path, place) : null;
    if (index === null) return { kind: "opaque" };
    const lone = await ask(mirror, index);
    if (!isThere(lone)) return refusalOf(lone);
    return foundAt(mirror, place, [
      [place.root, root],
      [index.root, lone],
    ]);
  }

  function foundAt(mirror: Mirror, place: RepositoryPlace, answers: readonly (readonly [string, FetchFileAnswer | Slow])[]): Found {
    known.set(nameOf(mirror, place), true);
    const early = answers.flatMap(([root, answer]): readonly EarlyRoot[] => (answer.kind === "slow" ? [] : [[root, answer]]));
    return { kind: "known", early };
  }

  /** What the upstreams have for the root of a place, asked once for all requests that ask at the same time. */
  async function ask(mirror: Mirror, place: RepositoryPlace): Promise<FetchFileAnswer | Slow> {
    const key = `${mirror.name}/${place.root}${place.form === undefined ? "" : `\n${place.form}`}`;
    const refusal = refusals.get(key);
    if (refusal !== undefined) return refusal;
    const before = questions.get(key);
    const leftMs = before === undefined ? 0 : waitMs - elapsedMs(before.since, now());
    // The runtime may have ended the request that asks: then its question never ends, and this request asks anew.
    if (before !== undefined && leftMs > 0) {
      await before.ended.wait(leftMs);
      if (before.isThere) return SLOW;
      return before.answer ?? tooSlow(place);
    }
    const asking: Asking = { since: now(), ended: createSignal(), answer: null, isThere: false };
    questions.set(key, asking);
    const asked = fetchAsked(mirror, place, asking).finally(() => {
      if (questions.get(key) === asking) questions.delete(key);
      asking.ended.notify();
    });
    waitUntil(asked.catch(() => {}));
    const inTime = await within(asked, waitMs / 2, () => null, timer);
    if (inTime !== null) return inTime;
    // A root that comes slowly is left to the repository's object, which fetches it by itself.
    if (asking.isThere) return SLOW;
    return within(asked, waitMs / 2, () => (asking.isThere ? SLOW : tooSlow(place)), timer);

    async function fetchAsked(ofMirror: Mirror, ofPlace: RepositoryPlace, into: Asking): Promise<FetchFileAnswer> {
      const upstreams: Upstreams = {
        async open(request) {
          const opened = await deps.upstreams.open(request);
          if (opened.kind === "body") into.isThere = true;
          return opened;
        },
      };
      const { store, createDigest } = deps;
      const { sliceBytes } = config;
      const answer = await fetchRoot(
        { upstreams, store, createDigest, sliceBytes, now, mirror: ofMirror, place: ofPlace, limits: config },
        { avoid: [] },
      );
      into.answer = answer;
      into.isThere = answer.kind === "fetched";
      if (answer.kind === "absent" || answer.kind === "unfit") refusals.set(key, answer);
      return answer;
    }
  }
}

export type KnownRepositories = ReturnType<typeof createKnownRepositories>;

/** There is a root, but this request does not have it: it has not come whole yet, or the request that asked hands it to the repository's object. */
interface Slow {
  readonly kind: "slow";
}
const SLOW: Slow = { kind: "slow" };

function isThere(answer: FetchFileAnswer | Slow): boolean {
  return answer.kind === "fetched" || answer.kind === "slow";
}

/** The index of packages that stands in for a root at this path, as its repository would take it; null: none does. */
function loneIndexAt(path: string, { kind, base, role }: RepositoryPlace): RepositoryPlace | null {
  const root = kind === "deb" && role === "member" && signedFile(path) === null ? indexWithoutForm(path) : null;
  return root === null ? null : { kind: "deb", base, root, role: "root", form: path };
}

/** What a request for a root comes to where the upstreams have none that a generation can hold. */
function refusalOf(answer: FetchFileAnswer | Slow): Exclude<Resolution, { kind: "object" }> {
  if (answer.kind === "absent")
    return { kind: "absent", status: answer.status, ...(answer.words === undefined ? {} : { words: answer.words }) };
  return answer.kind === "failure" ? answer : { kind: "opaque" };
}

function tooSlow({ root }: RepositoryPlace): FetchFileAnswer {
  return { kind: "failure", status: 504, detail: `no upstream has answered for ${root} in time` };
}

function nameOf({ name }: Mirror, { base }: RepositoryPlace): string {
  return `${name}/${base}`;
}

/** Values by name, for `lifeMs` each. */
function createMemory<T>(lifeMs: number, now: () => number) {
  const values = new Map<string, { readonly value: T; readonly at: number }>();
  return {
    get(name: string): T | undefined {
      const found = values.get(name);
      return found !== undefined && elapsedMs(found.at, now()) < lifeMs ? found.value : undefined;
    },
    set(name: string, value: T): void {
      values.delete(name);
      values.set(name, { value, at: now() });
      const oldest = values.size > REMEMBERED ? values.keys().next().value : undefined;
      if (oldest !== undefined) values.delete(oldest);
    },
  };
}
