import { elapsedMs } from "../clock/elapsed.ts";
import { DAY_MS } from "../http/units.ts";
import type { RepositoryPlace } from "../route/place.ts";
import type { Target } from "../route/target.ts";
import { contentKey, keyAtRest, keysOf } from "../store/keys.ts";
import { type ObjectStore, StoreError } from "../store/object-store.ts";
import type { Expectation, Expected } from "../verify/expectation.ts";
import type { PublishedDigests } from "./digests/published-digests.ts";
import type { EarlyRoot, KnownRepositories } from "./known-repositories.ts";
import { formatMetalink } from "./formats/metalink.ts";
import type { Repository } from "./generations/repository.ts";
import { rememberResolutions } from "./remember-resolutions.ts";
import type { AskDigests, Repositories, Resolution } from "./ports/repositories.ts";

/** A use is reported again after this long, or the repository would take it for ended. */
const REPORT_AGAIN_MS = DAY_MS;
/** Keys whose reports are remembered. Beyond this all are forgotten, which costs one call each. */
const MAX_REPORTED = 10_000;

/** One repository as it is called from another isolate (repository-object.ts). Every call rejects if its Durable Object cannot be reached. */
export interface RepositoryPort {
  /**
   * `early`: what was fetched of its roots a moment ago. `isWriteRefused`: the medium refused a write of the last call (`isRefusedWrite`): this one is to write
   * nothing for a while.
   */
  resolve(
    mirror: string,
    path: string,
    place: RepositoryPlace,
    lost: string | undefined,
    early: readonly EarlyRoot[],
    isWriteRefused?: boolean,
  ): Promise<Resolution>;
  /** What the published root says of a member; null: nothing. */
  expectation(mirror: string, path: string, place: RepositoryPlace): Promise<Expectation | null>;
  rootDigest(mirror: string, path: string, place: RepositoryPlace): ReturnType<Repository["rootDigest"]>;
}

export interface RepositoriesDependencies {
  readonly store: Pick<ObjectStore, "peek">;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Which repositories exist: no other is called. */
  readonly known: KnownRepositories;
  /** The repository of the mirror `mirror` whose packages' paths are relative to the folder `base`; calls nothing itself. */
  readonly repository: (mirror: string, base: string) => RepositoryPort;
  /** What published indexes say of packages; null where packages are judged by their structure only (VERIFY = "structure"). */
  readonly publishedDigests: PublishedDigests | null;
}

/**
 * The repositories of all mirrors, as requests ask them. `resolve` makes one call to a Durable Object, and none for a stored file named by its own
 * digest whose use was reported, nor for what the repository said a moment ago and still holds. For a repository that this isolate does not know it asks the
 * ledger first, and then the upstreams.
 */
export function createRepositories({ store, now, known, repository, publishedDigests }: RepositoriesDependencies): Repositories {
  /** When the use of a key was last reported, in milliseconds since the epoch. */
  const reported = new Map<string, number>();
  const remembered = rememberResolutions(now);

  return {
    resolve: (target, lost) =>
      resolve(target, lost).catch((error: unknown) => {
        // What neither the store nor the repository's own storage takes is passed on as the upstream has it.
        if (error instanceof StoreError || isRefusedWrite(error)) return { kind: "opaque" };
        // A Durable Object that restarts or is overloaded answers again soon, as an upstream does: the client may retry.
        const detail = `Cannot ask the repository of ${target.key}: ${error instanceof Error ? error.message : String(error)}`;
        return { kind: "failure", status: 503, detail, retryAfterSeconds: 1 };
      }),
    noteUse,
    forgetAnswers: remembered.forgetAll,
    // The directory restarts, or its table cannot be read just now. A fill asks again at its end; what it stores is compared when the table lands.
    expected: (target, ask = {}) => expected(target, ask).catch(() => ({ kind: "building" })),
    naming: async (target) =>
      publishedDigests === null
        ? { repository: null, roots: [], whys: ["VERIFY is structure: no index is read"] }
        : publishedDigests.explain(target),
    async metalink(target, url) {
      const { mirror, path, repository: place } = target;
      if (place?.kind !== "rpm-md" || place.role !== "root") return null;
      if (!(await known.isKnown(mirror, place)) && (await resolve(target, undefined)).kind !== "object") return null;
      const digest = await repository(mirror.name, place.base).rootDigest(mirror.name, path, place);
      return digest === null ? null : formatMetalink({ url, ...digest });
    },
  };

  async function noteUse(target: Target): Promise<void> {
    const { key, mirror, repository: place } = target;
    if (place === null || !isUseNoted(place) || elapsedMs(reported.get(key) ?? -Infinity, now()) < REPORT_AGAIN_MS) return;
    // A repository that has published nothing keeps no uses.
    if (!(await known.isKnown(mirror, place))) return;
    if (reported.size >= MAX_REPORTED) reported.clear();
    reported.set(key, now());
    try {
      await askRepository(target, place, undefined, []);
    } catch {
      // The next client's request reports the use.
      reported.delete(key);
    }
  }

  async function resolve(target: Target, lost: string | undefined): Promise<Resolution> {
    const { mirror, repository: place } = target;
    if (place === null) return { kind: "opaque" };
    if (place.digest !== undefined) {
      const key = contentKey(mirror, place.digest);
      const object = key === lost ? null : await store.peek(key);
      if (object !== null && keyAtRest(keysOf(mirror, key), object) === key) {
        await noteUse(target);
        return { kind: "object", key, object, state: "fresh", ageSeconds: Math.max(0, Math.floor((now() - object.storedAt) / 1000)) };
      }
    }
    const path = `${mirror.name}/${target.path}`;
    if (lost !== undefined) remembered.forget(lost);
    let resolution: Resolution | null = lost === undefined ? remembered.recall(path) : null;
    if (resolution === null) {
      const found = await known.find(target);
      if (found.kind !== "known") return found;
      const askedAt = now();
      resolution = await askRepository(target, place, lost, found.early);
      remembered.remember(path, resolution, askedAt);
    }
    // Its client asks for packages right after, and the repository may have announced a table of them.
    publishedDigests?.noteAsked(mirror.name);
    return resolution;
  }

  /**
   * Asks the repository of a path. A write that its medium refuses ends a Durable Object, with all answers that it owes: the next one answers from what was
   * written before, and keeps what is new in memory.
   */
  async function askRepository(
    { mirror, path }: Target,
    place: RepositoryPlace,
    lost: string | undefined,
    early: readonly EarlyRoot[],
  ): Promise<Resolution> {
    const call = (isWriteRefused?: true): Promise<Resolution> =>
      repository(mirror.name, place.base).resolve(mirror.name, path, place, lost, early, isWriteRefused);
    try {
      return await call();
    } catch (error) {
      if (!isRefusedWrite(error)) throw error;
      return call(true);
    }
  }

  async function expected(target: Target, ask: AskDigests): Promise<Expected> {
    const { mirror, path, repository: place } = target;
    if (place?.digest !== undefined) return { kind: "known", expectations: [{ ...place.digest, source: "name" }] };
    if (place?.role === "member") {
      if (!(await known.isKnown(mirror, place))) return { kind: "none" };
      const expectation = await repository(mirror.name, place.base).expectation(mirror.name, path, place);
      return expectation === null ? { kind: "none" } : { kind: "known", expectations: [expectation] };
    }
    // Whatever its class: packages lie in folders called `latest`, or below `dists/`. A root and its companions are the repository's own.
    if (place !== null || target.class === "root" || publishedDigests === null) return { kind: "none" };
    return publishedDigests.expected(target, ask);
  }
}

/** Whether a call failed because the medium of the Durable Object is full, or damaged. */
function isRefusedWrite(error: unknown): boolean {
  return /SQLITE_(FULL|IOERR|READONLY|CANTOPEN|CORRUPT|NOTADB)/.test(String(error));
}

/** Whether a repository must learn that clients got the file: it fetches it ahead only then, or waits for it in a new generation. */
function isUseNoted({ kind, role }: RepositoryPlace): boolean {
  return role === "hashed" && (kind === "deb" || kind === "rpm-md");
}
