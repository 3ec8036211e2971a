import { elapsedMs } from "../../clock/elapsed.ts";
import type { Timer } from "../../clock/timer.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import type { RootProtection } from "../../watch/history.ts";
import type { RootContent } from "../members/generation.ts";
import type { Members } from "../members/members.ts";
import type { StoredRows } from "../ports/stored-rows.ts";
import { type BuildDependencies, type BuiltTable, buildTable } from "./build-table.ts";
import { type Choice, chooseIndexes } from "./choose-indexes.ts";
import { createDeletedHeads, type DeletedHeadsDependencies } from "./deleted-heads.ts";
import { deleteChanged } from "./delete-changed.ts";
import { createLandings, type LandDependencies } from "./land.ts";
import { doubtOutside } from "./doubt-outside.ts";
import { createTableReader } from "./read-table.ts";
import type { PublishedTable } from "./table-directory.ts";
import { tableKey } from "./write-table.ts";

/** A table that could not be made of its indexes is tried again after this long, at the next request that asks the repository … */
const RETRY_MS = 10 * 60_000;
/** … and one that could not be stored or listed after this long. */
const RETRY_FAILED_MS = 60_000;

/** The directory of a mirror's digest tables (table-directory.ts), called from another Durable Object. Calls reject if it cannot be reached. */
export interface DirectoryPort {
  building(base: string, root: string): Promise<void>;
  publish(base: string, root: string, table: PublishedTable | null): Promise<void>;
  basesBelow(base: string): Promise<readonly string[]>;
  bases(): Promise<readonly string[]>;
}

export interface IndexTablesDependencies
  extends BuildDependencies, Pick<LandDependencies, "kept" | "taint" | "sliceBytes" | "log">, Pick<DeletedHeadsDependencies, "headTtlMs"> {
  readonly directory: DirectoryPort;
  readonly rows: StoredRows;
  readonly timer: Timer;
  /** Receives whether packages of a root are bound to digests, whenever that changes; null: the root is no more. Never throws. */
  readonly onProtection: (root: string, protection: RootProtection | null) => void;
}

/** What was made of a root's indexes. */
interface Made {
  /** What it was made of: the `id`s of the indexes; empty where there were none. */
  readonly ids: readonly string[];
  readonly version: string | null;
  readonly isReaching: boolean;
  readonly protection: RootProtection;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

const MADE_KEY = "made:";
/** Earlier versions kept a root's table under `table:<root>`, and that of all roots together under `merged`. */
const OLD_TABLE_KEY = "table:";
const OLD_MERGED_KEY = "merged";

export type IndexTables = ReturnType<typeof createIndexTables>;

/** Builds a digest table for each generation: what its indexes say of packages. */
export function createIndexTables(deps: IndexTablesDependencies) {
  const { directory, kept, log, mirror, now, store } = deps;
  const tables = createTableReader({ store });
  const landings = createLandings({ ...deps, tables, versions, basesBelow: directory.basesBelow });
  const deleted = createDeletedHeads(deps);
  const logError = (message: string) => log("error", `${mirror.name}: ${message}`);
  /** What is kept, so that each request need not read it. */
  const mades = new Map<string, Made | null>();
  /** Roots whose last table could not be stored or listed. In memory only: a restart tries each again. */
  const failures = new Map<string, { readonly at: number; readonly protection: RootProtection }>();
  /** Tables under way in place of those that the store lost: who finds the same loss meanwhile waits for these. */
  const replacing = new Map<string, Promise<boolean>>();
  /** Roots of which the directory was asked whether it knows their table. */
  const listed = new Set<string>();
  let queue = removeOldState();
  landings.resume();

  return {
    /**
     * Builds the table of a root from the indexes that it names, unless the stored one was made of the same (`isLost`: the store may have lost a part of
     * that). Once this resolves the heads of packages whose digest changed are deleted. True: there is another table than before. Never rejects: where no
     * table can be built the log and the status page say why, and packages are judged by their structure.
     */
    prepare(place: RepositoryPlace, next: RootContent, members: Members, isLost = false): Promise<boolean> {
      const { root } = place;
      const replacement = isLost ? replacing.get(root) : undefined;
      if (replacement !== undefined) return replacement;
      const prepared = queue
        .then(() => follow(place, next, members, isLost))
        .catch((error: unknown) => {
          noteFailure(root, String(error));
          return false;
        })
        .finally(() => isLost && replacing.delete(root));
      if (isLost) replacing.set(root, prepared);
      queue = prepared.then(() => {});
      return prepared;
    },
    /**
     * If `prepare` will build a first table or a larger one: marks the directory's folder as building, so that fills wait for the table. Never rejects.
     */
    async announce(place: RepositoryPlace, next: RootContent, members: Members): Promise<void> {
      const choice = chooseIndexes(place, next, members);
      if (!isOutdated(place.root, idsOf(choice)) || !isLarger(choice, load(place.root))) return;
      const announced = directory.building(place.base, place.root);
      await announced.catch((error: unknown) => logError(`cannot announce the digest table of ${place.root}: ${String(error)}`));
    },
    /**
     * When a root whose table is prepared may be published at the earliest, in milliseconds since the epoch; 0: at once. Until then other data centres may
     * serve packages whose heads the preparation deleted.
     */
    publishableAt: (root: string): number => deleted.goneAt(root),
    /** What was prepared last is published now, or will not be: what is deleted from now on begins another wait. */
    noteSettled: (root: string): void => deleted.forget(root),
    /** Forgets the table of a root that is no more. Never rejects. */
    withdraw({ base, root }: Pick<RepositoryPlace, "base" | "root">): Promise<void> {
      queue = queue
        .then(() => (load(root) === null ? undefined : drop(base, root)))
        .catch((error: unknown) => logError(`cannot withdraw the digest table of ${root}: ${String(error)}`));
      return queue;
    },
    /** Has the directory forget all tables of this repository, which has none. */
    async withdrawAll(base: string): Promise<void> {
      for (const root of rootsMade()) await drop(base, root);
      await directory.publish(base, "", null);
    },
    /** Whether a table that could not be made is to be tried again. */
    isDue(root: string): boolean {
      const failure = failures.get(root);
      return failure === undefined ? isRetryDue(load(root)) : elapsedMs(failure.at, now()) >= RETRY_FAILED_MS;
    },
    /** The keys of all that live tables lie in: retention spares them. Leaves out a table that the store lost. */
    async keys(): Promise<readonly string[]> {
      const all = await Promise.all(versions().map((version) => tables.keys({ version }).catch(() => [])));
      return all.flat();
    },
  };

  async function drop(base: string, root: string): Promise<void> {
    landings.drop(root);
    failures.delete(root);
    deleted.forget(root);
    kept.remove(MADE_KEY + root);
    mades.delete(root);
    await directory.publish(base, root, null);
    deps.onProtection(root, null);
  }

  async function follow(place: RepositoryPlace, next: RootContent, members: Members, isLost: boolean): Promise<boolean> {
    const { base, root } = place;
    const choice = chooseIndexes(place, next, members);
    const ids = idsOf(choice);
    const before = load(root);
    if (choice.indexes.length === 0 && choice.why === null) return false;
    if (!isLost && before !== null && !isOutdated(root, ids) && (await isStored(before.version))) {
      await listAgain(base, root, before);
      return false;
    }
    // Otherwise the published table stays right: no client can know the new packages before the swap.
    if (isLarger(choice, before)) await directory.building(base, root);
    const built = await build(place, next, choice, members, isLost);
    const version = built.table?.version ?? null;
    const protection = protectionOf(built, choice);
    const from = before?.version ?? null;
    await directory.publish(base, root, { version, isReaching: built.isReaching, why: version === null ? protection.detail : null });
    if (built.table !== null && from !== null) {
      const nested = await directory.basesBelow(base);
      await deleteChanged(
        { base, root, from: { version: from }, to: built.table, others: versionsBut(root), nested, tables },
        { ...deps, deleted },
      );
    }
    if (version !== null && version !== from && built.isReaching) {
      await doubtOutside({ base, from, to: version, tables, bases: await directory.bases() }, deps);
    }
    // Last, so that all of this is done again where it is broken off.
    const made = { ids, version, isReaching: built.isReaching, protection, at: now() } satisfies Made;
    kept.save(MADE_KEY + root, JSON.stringify(made));
    mades.set(root, made);
    const shown = failures.get(root)?.protection ?? before?.protection ?? null;
    failures.delete(root);
    noteProtection(root, shown, protection);
    if (version !== null && version !== from) landings.start({ base, root, from, to: version });
    return version !== from;
  }

  /** Lists a table that the directory does not know any more, since its state was lost. Asks it once for each start of this object. */
  async function listAgain(base: string, root: string, { version, isReaching, protection }: Made): Promise<void> {
    if (listed.has(root)) return;
    listed.add(root);
    if ((await directory.bases()).includes(base)) return;
    await directory.publish(base, root, { version, isReaching, why: version === null ? protection.detail : null });
  }

  async function build(
    place: RepositoryPlace,
    root: RootContent,
    { indexes, why }: Choice,
    members: Members,
    isLost: boolean,
  ): Promise<BuiltTable> {
    if (indexes.length === 0) return { table: null, isReaching: false, found: 0, skipped: 0, detail: why };
    return buildTable(place, root, indexes, members, { ...deps, isLost });
  }

  /** Whether the table of a root was made of other indexes than these, or could not be made and is to be tried again. */
  function isOutdated(root: string, ids: readonly string[]): boolean {
    const made = load(root);
    return made === null || ids.join() !== made.ids.join() || failures.has(root) || isRetryDue(made);
  }

  function isRetryDue(made: Made | null): boolean {
    return made !== null && made.ids.length > 0 && made.version === null && elapsedMs(made.at, now()) >= RETRY_MS;
  }

  async function isStored(version: string | null): Promise<boolean> {
    return version === null || (await store.head(tableKey(version))) !== null;
  }

  /** What the table of before says, if there is one, may be wrong for the published generation. */
  function noteFailure(root: string, reason: string): void {
    const protection = { state: "not", packages: 0, skipped: 0, detail: `its digest table cannot be built: ${reason}` } as const;
    const shown = failures.get(root)?.protection ?? load(root)?.protection ?? null;
    failures.set(root, { at: now(), protection });
    noteProtection(root, shown, protection);
  }

  function noteProtection(root: string, before: RootProtection | null, protection: RootProtection): void {
    if (before !== null && JSON.stringify(before) === JSON.stringify(protection)) return;
    deps.onProtection(root, protection);
    const { state, packages, skipped, detail } = protection;
    if (before?.state === state && before.detail === detail) return;
    if (state === "bound") {
      if (before !== null) log("info", `${mirror.name}: the ${packages} packages of ${root} are bound to digests`);
    } else if (state === "partly") {
      log(
        "warn",
        `${mirror.name}: ${skipped} entries of the indexes of ${root} could not be used, e.g. ${detail ?? "?"}; its other packages are bound to digests`,
      );
    } else {
      log(protection.isExpected ? "info" : "error", `${mirror.name}: no digest table of ${root}: ${detail ?? "?"}`);
    }
  }

  function versions(): readonly string[] {
    return versionsBut(null);
  }

  /** The tables of all roots but this one. */
  function versionsBut(root: string | null): readonly string[] {
    return [...new Set(rootsMade().flatMap((one) => (one === root ? [] : (load(one)?.version ?? []))))];
  }

  function rootsMade(): readonly string[] {
    return kept.keys().flatMap((key) => (key.startsWith(MADE_KEY) ? [key.slice(MADE_KEY.length)] : []));
  }

  function load(root: string): Made | null {
    const known = mades.get(root);
    if (known !== undefined) return known;
    const text = kept.load(MADE_KEY + root);
    const made = text === null ? null : (JSON.parse(text) as Made);
    mades.set(root, made);
    return made;
  }

  /** Earlier versions had tables of another form, which only they can read: their heads go, and the retention removes their pages. */
  async function removeOldState(): Promise<void> {
    const old = kept.keys().filter((key) => key.startsWith(OLD_TABLE_KEY) || key === OLD_MERGED_KEY);
    const heads = old.flatMap((key) => oldHeadsOf(key, kept.load(key) ?? ""));
    try {
      if (heads.length > 0) await store.delete(heads);
      for (const key of old) kept.remove(key);
    } catch (error) {
      log("warn", `${mirror.name}: cannot delete digest tables of an earlier version yet: ${String(error)}`);
    }
  }
}

function oldHeadsOf(key: string, text: string): readonly string[] {
  if (key === OLD_MERGED_KEY) return [text];
  const { table } = JSON.parse(text) as { readonly table?: { readonly version?: string } };
  return table?.version === undefined ? [] : [tableKey(table.version)];
}

function idsOf({ indexes }: Choice): readonly string[] {
  return indexes.map(({ id }) => id).toSorted();
}

function isLarger({ indexes }: Choice, made: Made | null): boolean {
  return indexes.length > (made?.version == null ? 0 : made.ids.length);
}

function protectionOf({ table, found, skipped, detail }: BuiltTable, { indexes }: Choice): RootProtection {
  if (table === null) return { state: "not", packages: 0, skipped, detail, ...(indexes.length === 0 ? { isExpected: true } : {}) };
  return { state: skipped === 0 ? "bound" : "partly", packages: found, skipped, detail: skipped === 0 ? null : detail };
}
