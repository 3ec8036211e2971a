import { elapsedMs } from "../../clock/elapsed.ts";
import * as v from "valibot";
import type { Timer } from "../../clock/timer.ts";
import { foldersAbove } from "../formats/repository-path.ts";
import type { KeptState } from "../ports/kept-state.ts";
import type { AskDigests } from "../ports/repositories.ts";
import type { TableRef } from "./write-table.ts";

/**
 * What the directory knows of one root: `version` of its table, or `why` there is none; `isReaching`: some paths of the table lie outside its base; since
 * when (milliseconds since the epoch) a first or larger table is being built.
 */
const LISTED_ROOT = v.object({
  root: v.string(),
  version: v.nullable(v.string()),
  why: v.nullable(v.string()),
  isReaching: v.boolean(),
  buildingSince: v.nullable(v.number()),
});
export type ListedRoot = Readonly<v.InferOutput<typeof LISTED_ROOT>>;

/** `isLost`: tables of an earlier version of this program were here; the repository makes new ones as soon as it is woken. */
const FOLDER = v.pipe(v.string(), v.parseJson(), v.object({ roots: v.array(LISTED_ROOT), isLost: v.boolean() }));
type Folder = v.InferOutput<typeof FOLDER>;

/** What `publish` says of a root's table. */
export type PublishedTable = Pick<ListedRoot, "version" | "why" | "isReaching">;

/** A table that may name a path. `root`: the root whose indexes it was made of; `base`: the folder that its repository owns. */
export interface ListedTable extends TableRef {
  readonly base: string;
  readonly root: string;
}

/** What the directory says of one folder. */
export interface Listed {
  readonly base: string;
  readonly roots: readonly ListedRoot[];
  readonly building: boolean;
  readonly isLost: boolean;
}

/** Which tables decide about a path. */
export interface Lookup {
  /** The folder of the nearest repository above the path; null: none is. */
  readonly base: string | null;
  /** Those of that repository; where there is none, those of all that reach out of their own folder. */
  readonly tables: readonly ListedTable[];
  /** A first or larger table for the folder is being built. */
  readonly building: boolean;
  /** The repository is to make its tables anew. */
  readonly isLost: boolean;
  /** Why the repository has no table, root by root, as phrases. */
  readonly whys: readonly string[];
}

/** Looks up which tables of a mirror decide about a path, as `lookUp` of its directory does. Rejects if that cannot be reached. */
export type LookUpTables = (mirror: string, path: string, ask: AskDigests) => Promise<Lookup>;

/** A build that takes longer has ended with its Durable Object: requests do not wait for it any more. */
const MAX_BUILD_MS = 10 * 60 * 1000;
/** With more folders than this there is no listing of all. */
const MAX_LISTED = 500;
/** Begins the keys under which folders are kept. */
const FOLDER_KEY = "tables:";
/** Keys of earlier versions: `listing:<base>` was a folder's one table, `asked:<base>\n<path>` a path that waited for it. */
const OLD_LISTING_KEY = "listing:";
const OLD_ASKED_KEY = "asked:";

export type TableDirectory = ReturnType<typeof createTableDirectory>;

/** Which tables know the packages below which folder: one directory per mirror. */
export function createTableDirectory({
  kept,
  timer,
  now,
}: {
  readonly kept: KeptState;
  readonly timer: Timer;
  readonly now: () => number;
}) {
  const waiting = new Map<string, Set<() => void>>();
  adoptOldState(kept);

  return {
    /** Marks a first or larger table of a root as being built. */
    building(base: string, root: string): void {
      const before = rootsOf(base).find((one) => one.root === root);
      set(base, { version: null, why: null, isReaching: false, ...before, root, buildingSince: now() });
    },
    /** Sets what there is of a root, and ends its building. Null: the root is no more. */
    publish(base: string, root: string, table: PublishedTable | null): void {
      if (table === null) save(base, { roots: rootsOf(base).filter((one) => one.root !== root), isLost: false });
      else set(base, { ...table, root, buildingSince: null });
      if (listingOf(base).building) return;
      for (const wake of waiting.get(base) ?? []) wake();
      waiting.delete(base);
    },
    /** Which tables decide about a path. While one is being built, waits up to `waitMs` for it. */
    async lookUp(path: string, waitMs: number): Promise<Lookup> {
      const base = foldersAbove(path).find((folder) => kept.load(FOLDER_KEY + folder) !== null);
      if (base !== undefined && waitMs > 0 && listingOf(base).building) await landed(base, waitMs);
      return lookUpIn(base === undefined ? bases().map(listingOf) : [listingOf(base)], path);
    },
    /** What there is of all folders; null: they are too many to send. */
    listings(): readonly Listed[] | null {
      const all = bases();
      return all.length > MAX_LISTED ? null : all.map(listingOf);
    },
    /** The folders of all repositories. */
    bases,
    /** The folders of other repositories below this one. */
    basesBelow(base: string): readonly string[] {
      const start = base === "" ? "" : `${base}/`;
      return bases().filter((one) => one !== base && one.startsWith(start));
    },
  };

  function bases(): readonly string[] {
    return kept.keys().flatMap((key) => (key.startsWith(FOLDER_KEY) ? [key.slice(FOLDER_KEY.length)] : []));
  }

  function rootsOf(base: string): Folder["roots"] {
    return load(base)?.roots ?? [];
  }

  function set(base: string, listed: ListedRoot): void {
    save(base, { roots: [...rootsOf(base).filter(({ root }) => root !== listed.root), listed], isLost: false });
  }

  function listingOf(base: string): Listed {
    const { roots, isLost } = load(base) ?? { roots: [], isLost: false };
    const building = roots.some(({ buildingSince }) => buildingSince !== null && elapsedMs(buildingSince, now()) < MAX_BUILD_MS);
    return { base, roots, building, isLost };
  }

  function load(base: string): Folder | null {
    const parsed = v.safeParse(FOLDER, kept.load(FOLDER_KEY + base));
    return parsed.success ? parsed.output : null;
  }

  function save(base: string, folder: Folder): void {
    if (folder.roots.length === 0 && !folder.isLost) kept.remove(FOLDER_KEY + base);
    else kept.save(FOLDER_KEY + base, JSON.stringify(folder));
  }

  function landed(base: string, waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wakers = waiting.get(base) ?? new Set();
      const wake = (): void => {
        cancel();
        wakers.delete(wake);
        resolve();
      };
      const cancel = timer(waitMs, wake);
      waiting.set(base, wakers.add(wake));
    });
  }
}

/** Which of the listed tables decide about a path: the nearest repository above it, or else each that reaches out of its folder. */
export function lookUpIn(listings: readonly Listed[], path: string): Lookup {
  const byBase = new Map(listings.map((one) => [one.base, one]));
  const base = foldersAbove(path).find((folder) => byBase.has(folder));
  const nearest = base === undefined ? null : (byBase.get(base) ?? null);
  if (nearest === null) {
    const tables = listings.flatMap((one) =>
      tablesOf(
        one,
        one.roots.filter(({ isReaching }) => isReaching),
      ),
    );
    return { base: null, tables, building: false, isLost: false, whys: [] };
  }
  const whys = nearest.roots.flatMap(({ root, why }) => (why === null ? [] : [`${root}: ${why}`]));
  return { base: nearest.base, tables: tablesOf(nearest, nearest.roots), building: nearest.building, isLost: nearest.isLost, whys };
}

function tablesOf({ base }: Listed, roots: readonly ListedRoot[]): readonly ListedTable[] {
  return roots.flatMap(({ root, version }) => (version === null ? [] : [{ base, root, version }]));
}

/** Folders of earlier versions had tables of another form: their repositories make new ones. */
function adoptOldState(kept: KeptState): void {
  for (const key of kept.keys()) {
    if (key.startsWith(OLD_ASKED_KEY)) kept.remove(key);
    if (!key.startsWith(OLD_LISTING_KEY)) continue;
    kept.save(FOLDER_KEY + key.slice(OLD_LISTING_KEY.length), JSON.stringify({ roots: [], isLost: true } satisfies Folder));
    kept.remove(key);
  }
}
