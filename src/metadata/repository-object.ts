import { DurableObject } from "cloudflare:workers";
import { breathe, systemTimer } from "../clock/timer.ts";
import type { Config } from "../config/config.ts";
import { distributionOf } from "../config/distributions.ts";
import { parseKeyPattern } from "../store/key-pattern.ts";
import type { ObjectStore } from "../store/object-store.ts";
import type { RootProtection, RootStanding } from "../watch/history.ts";
import type { NamedKey } from "../watch/named-key.ts";
import type { ReadingWatch } from "../watch/readings.ts";
import type { Upstreams } from "../upstream/upstream.ts";
import type { RepositoryPlace } from "../route/place.ts";
import type { CreateDigest } from "../verify/digest-ranges.ts";
import type { Expectation } from "../verify/expectation.ts";
import { createIndexTables, type DirectoryPort } from "./digests/index-tables.ts";
import type { EnsureStored } from "./ports/ensure-stored.ts";
import { createKeptRows } from "./kept-rows.ts";
import type { Log } from "./ports/kept-state.ts";
import type { Resolution } from "./ports/repositories.ts";
import type { StoredRows } from "./ports/stored-rows.ts";
import type { FetchFileAnswer } from "./generations/fetch-file.ts";
import { createBroughtFiles } from "./generations/brought-files.ts";
import { PLACE_KEY } from "./generations/known-roots.ts";
import { createRepository, type Repository } from "./generations/repository.ts";
import { companionFiles, rootFiles } from "./generations/root-files.ts";
import type { BroughtGeneration, CarriedGeneration } from "./ports/carried.ts";
import type { EarlyRoot } from "./known-repositories.ts";
import { createTableDirectory, type Listed, type Lookup, type PublishedTable, type TableDirectory } from "./digests/table-directory.ts";
import xz from "./xz.wasm";

/** What worker.ts gives each of these Durable Objects. */
export interface RepositoryObjectDependencies {
  readonly config: Config;
  readonly store: ObjectStore;
  readonly upstreams: Upstreams;
  readonly createDigest: CreateDigest;
  readonly ensureStored: EnsureStored;
  readonly log: Log;
  /** Receives, after each swap, all keys that this object's published generations name, with their paths. Never throws. */
  readonly onPublished: (named: readonly NamedKey[]) => void;
  /** Receives how a published root stands to its upstreams, whenever that changes; null: none is published any more. Never throws. */
  readonly onStanding: (mirror: string, root: string, standing: RootStanding | null) => void;
  /**
   * Notes that a version stored under the key proved to be other bytes than its index names: no date and no older entity tag may match from now on.
   */
  readonly taint: (key: string, version: string) => Promise<void>;
  /** Receives whether packages of a published root are bound to digests, whenever that changes; null: the root is no more. Never throws. */
  readonly onProtection: (mirror: string, root: string, protection: RootProtection | null) => void;
  /** For how long data centres may serve a head without a read of the store, in milliseconds; 0: none of them caches heads. */
  readonly headTtlMs: number;
  /** For how many milliseconds isolates may remember what a repository says; 0: not at all (root-keeper.ts). */
  readonly rememberMs: number;
  /** What the ledger of a mirror knows of what is stored. */
  readonly rows: (mirror: string) => StoredRows;
  /** Knows which files the runtime stood still over. Default: none. */
  readonly readings?: ReadingWatch;
  /** The object of this class named `mirror`, which keeps that mirror's directory of digest tables. Its calls reject if it cannot be reached. */
  readonly directory: (mirror: string) => DirectoryPort;
}

/**
 * The Durable Object of a repository, named `<mirror>/<base>`; the one named `<mirror>` is the directory of that mirror's digest tables. It only
 * connects storage, timers and calls: the work is done in generations/repository.ts and digests/table-directory.ts. Its subclass in worker.ts gives
 * it its dependencies.
 */
export abstract class RepositoryObjectBase<Env> extends DurableObject<Env> {
  readonly #kept = createKeptRows({
    sql: this.ctx.storage.sql,
    transaction: (work) => this.ctx.storage.transactionSync(work),
    // Not awaited: the storage itself makes later writes wait for it.
    deleteAll: () => void this.ctx.storage.deleteAll(),
    now: Date.now,
    onUnreadable: (error) => {
      const name = this.ctx.id.name ?? "?";
      this.dependencies().log("error", `Cannot read what is kept of the repository ${name}; it is fetched anew: ${String(error)}`);
    },
  });
  /** By root: what the Worker fetched of it for the request that calls. */
  readonly #early = new Map<string, FetchFileAnswer>();
  #repository: Repository | null = null;
  #directory: TableDirectory | null = null;
  #brought: ReturnType<typeof createBroughtFiles> | null = null;

  /** Called once for each start of the object, at its first call. */
  protected abstract dependencies(): RepositoryObjectDependencies;

  // A repository's calls (generations/repository.ts). They throw where no mirror has the name `mirror`.
  /** `isWriteRefused`: the disk refused what the last call wrote, which ended the object. */
  async resolve(
    mirror: string,
    path: string,
    place: RepositoryPlace,
    lost?: string,
    early: readonly EarlyRoot[] = [],
    isWriteRefused = false,
  ): Promise<Resolution> {
    // Version 0.1 called with `lost` in its place: while a deployment rolls out, a call that does not fit is to fail.
    if (typeof place !== "object") throw new TypeError(`Cannot resolve ${mirror}/${path}: the call does not say where the path stands`);
    if (isWriteRefused) this.#kept.pause();
    for (const [root, answer] of early) this.#early.set(root, answer);
    try {
      const resolution = await this.#openRepository(mirror).resolve(path, place, lost);
      if (resolution.kind !== "object" || !this.#kept.isAhead()) return resolution;
      // A restart would know less, and ask the upstreams at once.
      const { rememberMs: _, ...answer } = resolution;
      return answer;
    } finally {
      for (const [root] of early) this.#early.delete(root);
    }
  }

  expectation(mirror: string, path: string, place: RepositoryPlace): Expectation | null {
    return this.#openRepository(mirror).expectation(path, place);
  }

  rootDigest(mirror: string, path: string, place: RepositoryPlace): ReturnType<Repository["rootDigest"]> {
    return this.#openRepository(mirror).rootDigest(path, place);
  }

  /** The generations that this repository has published, for a bundle. */
  carried(mirror: string): readonly CarriedGeneration[] {
    return this.#openRepository(mirror).carried();
  }

  /** Publishes a generation whose files an import has put into the store. Null: it is published; else why it is not. */
  async adopt({ mirror, place, files, members }: BroughtGeneration): Promise<string | null> {
    const repository = this.#openRepository(mirror);
    const lacking = rootFiles(place).flatMap((file) => [file, ...companionFiles(place, file)]);
    const brought = new Map<string, string | null>(lacking.map((path) => [path, null]));
    for (const { path, key } of files) brought.set(path, key);
    try {
      return (await this.#brought?.during(brought, () => repository.adopt(place, members))) ?? null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** The store lost a part of a digest table: builds the tables of this repository, whose base is `base`, anew. */
  rebuildTables(mirror: string, base: string): Promise<void> {
    return this.#openRepository(mirror).rebuildTables(base);
  }

  /**
   * No client has used this repository, whose base is `base`, for the retention: it forgets all, and gives its storage back. Returns the roots that it had
   * published. Needs no mirror in the configuration. Rejects if the directory of tables cannot be reached.
   */
  async retire(mirror: string, base: string): Promise<readonly string[]> {
    const roots = this.#publishedRoots();
    for (const root of roots) await this.dependencies().directory(mirror).publish(base, root, null);
    this.#repository = null;
    this.#kept.clear();
    return roots;
  }

  /** An operator purges the paths (`<mirror>/<path>`) that match `pattern`. Returns the roots that go with them (generations/repository.ts). */
  forget(mirror: string, pattern: string): readonly string[] {
    const parsed = parseKeyPattern(pattern);
    return parsed === null ? [] : this.#openRepository(mirror).forget((path) => parsed.matches(`${mirror}/${path}`));
  }

  // A directory's calls (digests/table-directory.ts).
  building(base: string, root: string): void {
    this.#openDirectory().building(base, root);
  }

  publish(base: string, root: string, table: PublishedTable | null): void {
    // Earlier versions called with a table in the root's place: while a deployment rolls out, a call that does not fit is to fail.
    if (typeof root !== "string") throw new TypeError(`Cannot publish a table of ${base}: the call does not say of which root`);
    this.#openDirectory().publish(base, root, table);
  }

  bases(): readonly string[] {
    return this.#openDirectory().bases();
  }

  basesBelow(base: string): readonly string[] {
    return this.#openDirectory().basesBelow(base);
  }

  lookUp(path: string, waitMs: number): Promise<Lookup> {
    return this.#openDirectory().lookUp(path, waitMs);
  }

  listings(): readonly Listed[] | null {
    return this.#openDirectory().listings();
  }

  #publishedRoots(): readonly string[] {
    return this.#kept.keys().flatMap((key) => (key.startsWith(PLACE_KEY) ? [key.slice(PLACE_KEY.length)] : []));
  }

  #openDirectory(): TableDirectory {
    this.#directory ??= createTableDirectory({ kept: this.#kept, timer: systemTimer, now: Date.now });
    return this.#directory;
  }

  #openRepository(name: string): Repository {
    if (this.#repository !== null) return this.#repository;
    const dependencies = this.dependencies();
    const {
      config,
      store,
      upstreams,
      createDigest,
      ensureStored,
      log,
      directory,
      taint,
      headTtlMs,
      rememberMs,
      rows,
      onPublished,
      onStanding,
      onProtection,
    } = dependencies;
    const watched = dependencies.readings === undefined ? {} : { readings: dependencies.readings };
    const mirror = config.mirrors.get(name);
    if (mirror === undefined) throw new Error(`Cannot open a repository of "${name}": no mirror has that name`);
    const hasTables = config.verify === "index" && distributionOf(mirror.distro).indexesNamePackages !== false;
    const shared = { mirror, store, kept: this.#kept, sliceBytes: config.sliceBytes, timer: systemTimer, now: Date.now, log, ...watched };
    const brought = (this.#brought = createBroughtFiles({ mirror, store, upstreams, ensureStored }));
    this.#repository = createRepository({
      ...shared,
      upstreams: brought.upstreams,
      createDigest,
      ensureStored: brought.ensureStored,
      takeEarly: (root) => {
        const answer = this.#early.get(root);
        this.#early.delete(root);
        return answer;
      },
      onPublished: (named) => {
        onPublished(named);
        // Its last root is gone: there is nothing to come back to.
        if (named.length === 0 && this.#publishedRoots().length === 0) this.#kept.clear();
      },
      onStanding: (root, standing) => onStanding(mirror.name, root, standing),
      limits: config,
      rememberMs,
      retentionDays: config.retentionDays,
      tables: hasTables
        ? createIndexTables({
            ...shared,
            taint,
            headTtlMs,
            directory: directory(name),
            rows: rows(name),
            xz,
            breathe,
            onProtection: (root, protection) => onProtection(name, root, protection),
          })
        : null,
    });
    return this.#repository;
  }
}
