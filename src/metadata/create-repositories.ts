import type { ObjectStore } from "../store/object-store.ts";
import type { Target } from "../route/target.ts";
import type { Expectation } from "../verify/expectation.ts";
import { contentKey } from "./content-address.ts";
import { findInPage, PAGE_BYTES, pageOffset } from "./digests/digest-table.ts";
import { formatMetalink, formatMirrorlist } from "./formats/metalink.ts";
import type { Expected, Repositories, Resolution } from "./repositories.ts";
import type { Repository } from "./generations/repository.ts";
import { resolvePlace } from "./repository-root.ts";
import type { Lookup, TableRef } from "./digests/table-directory.ts";

/** A use is told again after this long, so that it is not forgotten while it lasts. */
const TOLD_MS = 24 * 60 * 60 * 1000;
const MAX_TOLD = 10_000;
/** Pages of digest tables in memory: 4 MiB. */
const MAX_PAGES = 1024;

/** A repository as it is called from afar, wherever it runs. */
export interface RepositoryPort {
  resolve: Repository["resolve"];
  expectation(path: string): Promise<Expectation | null>;
  rootDigest: Repository["rootDigest"];
}

export interface RepositoriesDependencies {
  readonly store: ObjectStore;
  readonly now: () => number;
  readonly repository: (mirror: string, base: string) => RepositoryPort;
  /** The directory of a mirror's digest tables; null where packages are known by their structure only. */
  readonly lookUp: ((mirror: string, path: string, waitMs: number) => Promise<Lookup>) | null;
}

/** The repositories of all mirrors, as requests ask them: at most one call to a Durable Object, and none for a file that its own name verifies and that is stored. */
export function createRepositories({ store, now, repository, lookUp }: RepositoriesDependencies): Repositories {
  const told = new Map<string, number>();
  const pagesRead = new Map<string, Uint8Array>();

  return {
    resolve: (target, lost) => answering(target, () => resolve(target, lost)),
    noteUse,
    async expected(target, waitMs = 0) {
      try {
        return await expected(target, waitMs);
      } catch {
        // A directory that restarts, or a table that cannot be read just now: asked again once the file is there, and else provisional.
        return { kind: "building" };
      }
    },
    async metalink(target, url) {
      const place = resolvePlace(target.path);
      if (place?.kind !== "rpm-md" || place.role !== "root") return null;
      const digest = await repository(target.mirror.name, place.base).rootDigest(target.path);
      return digest === null ? null : formatMetalink({ url, ...digest });
    },
    mirrorlist(target, url) {
      const place = resolvePlace(target.path);
      return place?.kind === "rpm-md" && place.role === "root" ? formatMirrorlist(url) : null;
    },
  };

  /** Tells the repository that its clients use this file, once a day: it may be stored without having been asked for here. */
  async function noteUse(target: Target): Promise<void> {
    if (!/\/by-hash\/|\.zck$/.test(target.path) || now() - (told.get(target.key) ?? -Infinity) < TOLD_MS) return;
    if (told.size >= MAX_TOLD) told.clear();
    told.set(target.key, now());
    const base = resolvePlace(target.path)?.base;
    if (base === undefined) return;
    try {
      await repository(target.mirror.name, base).resolve(target.path);
    } catch {
      // One that cannot be told now is told by the next client.
      told.delete(target.key);
    }
  }

  async function resolve(target: Target, lost: string | undefined): Promise<Resolution> {
    const place = resolvePlace(target.path);
    if (place === null) return { kind: "opaque" };
    if (place.digest !== undefined) {
      const key = hashedKey(target) ?? "";
      const object = key === lost ? null : await store.head(key);
      if (object !== null) {
        // Another mirror stored the same content since: this one's repository is to learn of the use all the same.
        await noteUse(target);
        return { kind: "object", key, object, state: "fresh", ageSeconds: Math.max(0, Math.floor((now() - object.storedAt) / 1000)) };
      }
    }
    return repository(target.mirror.name, place.base).resolve(target.path, lost);
  }

  async function expected(target: Target, waitMs: number): Promise<Expected> {
    const place = resolvePlace(target.path);
    if (place?.digest !== undefined) return { kind: "known", expectation: { ...place.digest, source: "name" } };
    if (place !== null) {
      const expectation = place.role === "member" ? await repository(target.mirror.name, place.base).expectation(target.path) : null;
      return expectation === null ? { kind: "none" } : { kind: "known", expectation };
    }
    const isPackage = target.class === "package" || target.class === "unstable-package";
    if (!isPackage || lookUp === null || target.mirror.distro === "koji") return { kind: "none" };
    let first = await lookUp(target.mirror.name, target.path, 0);
    let known = await ask(first, target.path);
    if (known.kind === "none" && first.remembered === true) {
      // A table that was published since may know it: the new packages of an update are asked for at once.
      const remembered = first.table?.version;
      first = await lookUp(target.mirror.name, target.path, 0);
      if (first.table?.version !== remembered) known = await ask(first, target.path);
    }
    if (known.kind !== "none" || !first.building) return known;
    const later = waitMs > 0 ? await lookUp(target.mirror.name, target.path, waitMs) : first;
    return later.building ? { kind: "building" } : ask(later, target.path);
  }

  async function ask({ base, table }: Lookup, path: string): Promise<Expected> {
    if (table === null) return { kind: "none" };
    const relative = base === null || base === "" ? path : path.slice(base.length + 1);
    const page = await readPage(table, relative);
    const digests = page === null ? [] : findInPage(page, relative);
    const [first] = digests;
    // Two live suites that name one path with different bytes: neither is judged by the other.
    if (first === undefined || digests.length > 1) return { kind: "none" };
    return { kind: "known", expectation: { algorithm: "sha256", digest: first.sha256, size: first.size, source: "index" } };
  }

  /** Pages never change under their version. Of a small repository all are at hand soon, and its packages cost no read. */
  async function readPage({ version, pages, sliceBytes }: TableRef, path: string): Promise<Uint8Array | null> {
    const offset = pageOffset(path, pages);
    const name = `${version}/${offset}`;
    const known = pagesRead.get(name);
    if (known !== undefined) return known;
    const body = await store.getSlice(version, Math.floor(offset / sliceBytes), offset % sliceBytes, PAGE_BYTES);
    if (body === null) return null;
    const page = new Uint8Array(await new Response(body).arrayBuffer());
    if (pagesRead.size >= MAX_PAGES) pagesRead.clear();
    pagesRead.set(name, page);
    return page;
  }
}

/** The key of a file whose name carries its digest, stored or not; null for any other path. Asks nobody. */
function hashedKey({ mirror, path }: Target): string | null {
  const digest = resolvePlace(path)?.digest;
  return digest === undefined ? null : contentKey(mirror, digest);
}

/** A Durable Object that restarts or is overrun is an upstream trouble like any other: the client is to try again. */
async function answering(target: Target, call: () => Promise<Resolution>): Promise<Resolution> {
  try {
    return await call();
  } catch (error) {
    const detail = `Cannot ask the repository of ${target.key}: ${error instanceof Error ? error.message : String(error)}`;
    return { kind: "failure", status: 503, detail, retryAfterSeconds: 1 };
  }
}
