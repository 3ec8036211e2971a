import type { RepositoryPlace } from "../../route/place.ts";
import { newVersion } from "../../store/keys.ts";
import { readObject, readPart } from "../../store/read-object.ts";
import { chooseIndexes, type Index } from "./choose-indexes.ts";
import {
  createTableBuilder,
  createTableIndex,
  type Digest,
  MAX_RECORDS,
  PAGE_BYTES,
  type TableBuilder,
  type TableEntry,
} from "./digest-table.ts";
import type { RootContent } from "../members/generation.ts";
import { memberCandidates, type Members } from "../members/members.ts";
import { type IndexOptions, parseIndex } from "../formats/parse-index.ts";
import { join } from "../formats/repository-path.ts";
import type { NamedPackage } from "../formats/named-package.ts";
import { resolveLocation } from "../formats/resolve-location.ts";
import type { KeptState } from "../ports/kept-state.ts";
import { type SettleDependencies, settleProvisional } from "./settle-provisional.ts";
import { tableKey, type TableRef, type Unsettled } from "./table-directory.ts";

/** Heads of changed packages that one call to the store deletes. */
const DELETE_AT_ONCE = 1000;

/** The directory of a mirror's digest tables (table-directory.ts), called from another Durable Object. Calls reject if it cannot be reached. */
export interface DirectoryPort {
  building(base: string): Promise<void>;
  publish(base: string, table: TableRef | null, isMoreComing: boolean): Promise<void>;
  unsettled(base: string): Promise<Unsettled>;
  settled(base: string, paths: readonly string[]): Promise<void>;
}

export interface IndexTablesDependencies extends SettleDependencies, Pick<IndexOptions, "xz" | "breathe"> {
  readonly kept: KeptState;
  readonly directory: DirectoryPort;
  readonly now: () => number;
}

/** The table of one root, and the `id`s of the indexes that it was made of, sorted. */
interface OwnTable {
  readonly table: TableRef;
  readonly digests: readonly string[];
}

export type IndexTables = ReturnType<typeof createIndexTables>;

/** Builds a digest table for each generation: what its indexes say of packages. */
export function createIndexTables(deps: IndexTablesDependencies) {
  const { directory, kept, log, mirror, now, store } = deps;
  /** Tables are cut at the last whole page. */
  const sliceBytes = Math.max(PAGE_BYTES, deps.sliceBytes - (deps.sliceBytes % PAGE_BYTES));
  const logError = (message: string) => log("error", `${mirror.name}: ${message}`);
  let queue = Promise.resolve();
  /** Roots whose first or larger table is on its way: until the last one has landed, packages wait for a table. */
  const coming = new Set<string>();
  let settling = Promise.resolve();
  /** Tables that were published since the start, and how many there were at the last complete comparison. */
  let published = 0;
  let settled = -1;

  return {
    /**
     * Builds the table of a root from the indexes that it names, unless the stored one was made of the same. Once this resolves the heads of packages
     * whose digest changed are deleted. Never rejects: where no table can be built the log says why, and packages are judged by their structure.
     */
    prepare(place: RepositoryPlace, next: RootContent, members: Members): Promise<void> {
      queue = queue
        .then(() => follow(place, next, members))
        .catch((error: unknown) => logError(`cannot build the digest table of ${place.root}: ${String(error)}`));
      // A queue of its own: no swap waits for comparisons, not even for one that never ends.
      const isBuilt = queue;
      settling = settling
        .then(() => isBuilt)
        .then(() => settle(place.base))
        .catch((error: unknown) => logError(`cannot compare what was stored before the table of ${place.root}: ${String(error)}`));
      return queue;
    },

    /**
     * If `prepare` will build a first table or a larger one: marks the directory's folder as building, so that fills wait for the table. Never rejects.
     */
    async announce(place: RepositoryPlace, next: RootContent, members: Members): Promise<void> {
      if (!isLarger(chooseIndexes(place, next, members), loadOwn(place.root))) return;
      coming.add(place.root);
      const announced = directory.building(place.base);
      await announced.catch((error: unknown) => logError(`cannot announce the digest table of ${place.root}: ${String(error)}`));
    },
  };

  async function follow(place: RepositoryPlace, next: RootContent, members: Members): Promise<void> {
    const indexes = chooseIndexes(place, next, members);
    const digests = indexes.map(({ id }) => id).toSorted();
    const own = loadOwn(place.root);
    coming.delete(place.root);
    if (own === null && indexes.length === 0) return;
    const isUnchanged = own !== null && digests.join() === own.digests.join();
    if (isUnchanged && (await isStored(own.table))) return;
    // Otherwise the published table stays right: no client can know the new packages before the swap.
    if (isLarger(indexes, own)) await directory.building(place.base);
    const built = await build(place, next, indexes, members, own?.table ?? null);
    if (built === null) kept.remove(`table:${place.root}`);
    else kept.save(`table:${place.root}`, JSON.stringify({ table: built.table, digests } satisfies OwnTable));
    const merged = await merge(place);
    published++;
    await directory.publish(place.base, merged, coming.size > 0);
    const changed = built === null ? [] : await stillChanged(built.changed, merged, built.table);
    await deleteHeads(changed, place.base);
    if (own !== null) await store.delete([tableKey(own.table)]);
  }

  /** Compares what was stored while a table was being built: once a table, and once after a start, since an earlier comparison may have been broken off. */
  async function settle(base: string): Promise<void> {
    const upTo = published;
    if (settled === upTo) return;
    const { table, paths } = await directory.unsettled(base);
    if (table !== null && paths.length > 0) {
      const { compared, failures } = await settleProvisional(paths, base, await loadTable(table), deps);
      if (compared.length > 0) await directory.settled(base, compared);
      if (failures > 0) return;
    }
    settled = upTo;
  }

  interface Changed {
    readonly path: string;
    readonly old: readonly Digest[];
  }

  /** The new table of a root, and the packages whose digest it changes; null where an index cannot be fetched or read. */
  async function build(place: RepositoryPlace, root: RootContent, indexes: readonly Index[], members: Members, old: TableRef | null) {
    const builder = createTableBuilder();
    const changed: Changed[] = [];
    const lookUpOld = old === null ? null : await loadTable(old);
    let isFull = false;
    const add = (package_: NamedPackage): void => {
      const named = entryOf(place.base, package_);
      if (named === null) return;
      isFull ||= !builder.add(named);
      const before = lookUpOld?.(named.path) ?? [];
      const isChanged = before.length > 0 && !before.some(({ sha256 }) => sha256 === named.sha256);
      if (isChanged) changed.push({ path: named.path, old: before });
    };
    for (const index of indexes) {
      // One index at a time keeps memory flat.
      const reason = await readIndex(place, root, index, members, add);
      const why = isFull ? `it names more than ${MAX_RECORDS} packages` : reason;
      if (why === null) continue;
      logError(`no digest table of ${place.root}: ${index.path}: ${why}`);
      return null;
    }
    return { table: await storeTable(builder), changed };
  }

  /** Passes each package that an index names to `add`. Resolves with null, or with the reason why the index could not be read to its end. */
  async function readIndex(
    place: RepositoryPlace,
    root: RootContent,
    index: Index,
    members: Members,
    add: (named: NamedPackage) => void,
  ): Promise<string | null> {
    const { entry, key } = index;
    if (place.kind === "pair") return "it is no index of packages";
    if (entry !== null) {
      const answer = await members.ensure(entry, memberCandidates(entry, root.parsed?.byHash ?? false));
      if (answer.kind !== "stored")
        return answer.kind === "failure" ? answer.detail : `the upstream does not have it as named (${answer.kind})`;
    }
    try {
      const { xz, breathe } = deps;
      await parseIndex(place.kind, readObject(store, key), { openSize: entry?.openSize, xz, breathe }, add);
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async function storeTable(builder: TableBuilder): Promise<TableRef> {
    const version = newVersion();
    const { pages, parts } = builder.finish(sliceBytes);
    let index = 0;
    for (const part of parts) await store.putSlice(version, index++, part);
    const table = { version, pages, sliceBytes };
    const facts = { contentType: "application/octet-stream", upstream: "", storedAt: now(), verified: "none" } as const;
    await store.put(tableKey(table), { version, size: pages * PAGE_BYTES, sliceBytes, ...facts }, new Uint8Array());
    return table;
  }

  /**
   * The one table for all roots below the base: the table of the only root, or a new one with the records of all; null: no root has one, or they are
   * too many.
   */
  async function merge(place: RepositoryPlace): Promise<TableRef | null> {
    const roots = kept.keys().flatMap((key) => (key.startsWith("table:") ? [key.slice("table:".length)] : []));
    const tables = roots.flatMap((root) => loadOwn(root)?.table ?? []);
    const before = kept.load("merged");
    kept.remove("merged");
    if (before !== null) await store.delete([before]);
    if (tables.length < 2) return tables[0] ?? null;
    const builder = createTableBuilder();
    for (const table of tables) {
      for (const part of await loadParts(table)) {
        if (builder.addPages(part)) continue;
        logError(`no digest table below ${place.base}: its roots together name more than ${MAX_RECORDS} packages`);
        return null;
      }
    }
    const merged = await storeTable(builder);
    kept.save("merged", tableKey(merged));
    return merged;
  }

  /** Without the packages that another live root still names with the old digest: a stored copy may be either file. */
  async function stillChanged(changed: readonly Changed[], merged: TableRef | null, own: TableRef): Promise<readonly Changed[]> {
    if (merged === null || merged.version === own.version || changed.length === 0) return changed;
    const known = await loadTable(merged);
    return changed.filter(({ path, old }) => !known(path).some(({ sha256 }) => old.some((one) => one.sha256 === sha256)));
  }

  async function deleteHeads(changed: readonly Changed[], base: string): Promise<void> {
    const [first] = changed;
    if (first !== undefined) log("info", `${mirror.name}: ${changed.length} packages below ${base} have new digests, e.g. ${first.path}`);
    const keys = changed.map(({ path }) => `${mirror.name}/${join(base, path)}`);
    for (let at = 0; at < keys.length; at += DELETE_AT_ONCE) {
      await store.delete(keys.slice(at, at + DELETE_AT_ONCE));
    }
  }

  /** Whether the store still has a root's table and the one that it was merged into. */
  async function isStored(table: TableRef): Promise<boolean> {
    const merged = kept.load("merged");
    return (await store.head(tableKey(table))) !== null && (merged === null || (await store.head(merged)) !== null);
  }

  function loadOwn(root: string): OwnTable | null {
    const text = kept.load(`table:${root}`);
    return text === null ? null : (JSON.parse(text) as OwnTable);
  }

  async function loadTable(table: TableRef): Promise<(path: string) => readonly Digest[]> {
    return createTableIndex(await loadParts(table), table.pages);
  }

  /** The slices of a table; none where the store lost one. */
  async function loadParts(table: TableRef): Promise<readonly Uint8Array[]> {
    const [parts, size]: [Uint8Array[], number] = [[], table.pages * PAGE_BYTES];
    for (let at = 0; at < size; at += table.sliceBytes) {
      const part = await readPart(store, tableKey(table), table, at, Math.min(table.sliceBytes, size - at));
      if (part === null) return [];
      parts.push(part);
    }
    return parts;
  }
}

function isLarger(indexes: readonly Index[], own: OwnTable | null): boolean {
  return indexes.length > (own?.digests.length ?? 0);
}

/** The record of a package; null where the table has no room for what its index says: another digest than SHA-256, no size, a path outside the base. */
function entryOf(base: string, { location, base: xmlBase, size, digests }: NamedPackage): TableEntry | null {
  const path = resolveLocation(base, location, xmlBase);
  const sha256 = digests.find(({ algorithm }) => algorithm === "sha256")?.digest;
  if (path === null || size === undefined || sha256 === undefined) return null;
  if (base === "") return { path, size, sha256 };
  return path.startsWith(`${base}/`) ? { path: path.slice(base.length + 1), size, sha256 } : null;
}
