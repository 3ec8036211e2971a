import type { RepositoryPlace } from "../route/place.ts";
import type { Target } from "../route/target.ts";
import { contentKey } from "../store/keys.ts";
import type { ObjectStore } from "../store/object-store.ts";
import type { Expectation } from "../verify/expectation.ts";
import type { PublishedDigests } from "./digests/published-digests.ts";
import { formatMetalink, formatMirrorlist } from "./formats/metalink.ts";
import type { Repository } from "./generations/repository.ts";
import type { Expected, Repositories, Resolution } from "./ports/repositories.ts";

/** A use that goes on is reported again after this long, so that the repository does not forget it. */
const REPORT_AGAIN_MS = 24 * 60 * 60 * 1000;
const MAX_REPORTED = 10_000;

/** A repository as it is called from afar, wherever it runs. Calls may fail. */
export interface RepositoryPort {
  readonly resolve: Repository["resolve"];
  expectation(path: string, place: RepositoryPlace): Promise<Expectation | null>;
  readonly rootDigest: Repository["rootDigest"];
}

export interface RepositoriesDependencies {
  readonly store: Pick<ObjectStore, "head">;
  readonly now: () => number;
  readonly repository: (mirror: string, base: string) => RepositoryPort;
  /** What published indexes say of packages; null where packages are judged by their structure only. */
  readonly publishedDigests: PublishedDigests | null;
}

/** The repositories of all mirrors, as requests ask them: at most one call to a Durable Object, and none for a stored file that its own name verifies. */
export function createRepositories({ store, now, repository, publishedDigests }: RepositoriesDependencies): Repositories {
  /** When a use was last reported, by key. */
  const reported = new Map<string, number>();

  return {
    async resolve(target, lost) {
      try {
        return await resolve(target, lost);
      } catch (error) {
        // A Durable Object that restarts or is overrun is an upstream trouble like any other: the client is to try again.
        const detail = `Cannot ask the repository of ${target.key}: ${error instanceof Error ? error.message : String(error)}`;
        return { kind: "failure", status: 503, detail, retryAfterSeconds: 1 };
      }
    },
    noteUse,
    async expected(target, waitMs = 0) {
      try {
        return await expected(target, waitMs);
      } catch {
        // A directory that restarts, or a table that cannot be read just now: the fill asks again at its end, and else stores the file as provisional.
        return { kind: "building" };
      }
    },
    async metalink({ mirror, path, repository: place }, url) {
      if (place?.kind !== "rpm-md" || place.role !== "root") return null;
      const digest = await repository(mirror.name, place.base).rootDigest(path, place);
      return digest === null ? null : formatMetalink({ url, ...digest });
    },
    mirrorlist: (_target, url) => formatMirrorlist(url),
  };

  /** Reports a use of a stored file once a day: without it, the repository of a file that another mirror stored would not learn that its clients use it. */
  async function noteUse({ mirror, path, key, repository: place }: Target): Promise<void> {
    if (place === null || !isUseNoted(path, place) || now() - (reported.get(key) ?? -Infinity) < REPORT_AGAIN_MS) return;
    if (reported.size >= MAX_REPORTED) reported.clear();
    reported.set(key, now());
    try {
      await repository(mirror.name, place.base).resolve(path, place);
    } catch {
      // The next client's request reports it.
      reported.delete(key);
    }
  }

  async function resolve(target: Target, lost: string | undefined): Promise<Resolution> {
    const { mirror, path, repository: place } = target;
    if (place === null) return { kind: "opaque" };
    if (place.digest !== undefined) {
      const key = contentKey(mirror, place.digest);
      const object = key === lost ? null : await store.head(key);
      if (object !== null) {
        await noteUse(target);
        return { kind: "object", key, object, state: "fresh", ageSeconds: Math.max(0, Math.floor((now() - object.storedAt) / 1000)) };
      }
    }
    return repository(mirror.name, place.base).resolve(path, place, lost);
  }

  async function expected(target: Target, waitMs: number): Promise<Expected> {
    const { mirror, path, repository: place } = target;
    if (place?.digest !== undefined) return { kind: "known", expectation: { ...place.digest, source: "name" } };
    if (place?.role === "member") {
      const expectation = await repository(mirror.name, place.base).expectation(path, place);
      return expectation === null ? { kind: "none" } : { kind: "known", expectation };
    }
    const isPackage = target.class === "package" || target.class === "unstable-package";
    return isPackage && publishedDigests !== null ? publishedDigests(target, waitMs) : { kind: "none" };
  }
}

/** Files that a repository fetches ahead only if its clients use them. */
function isUseNoted(path: string, { kind, role }: RepositoryPlace): boolean {
  return role === "hashed" && (kind === "deb" || path.endsWith(".zck"));
}
