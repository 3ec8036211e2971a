import * as v from "valibot";
import type { Timer } from "../../clock/timer.ts";
import { DAY_MS } from "../../http/units.ts";
import { foldersAbove } from "../formats/repository-path.ts";
import type { KeptState } from "../ports/kept-state.ts";

/** Where a digest table lies: `pages` pages of PAGE_BYTES in slices of `sliceBytes` (whole pages) under the version. */
const TABLE_REF = v.object({ version: v.string(), pages: v.number(), sliceBytes: v.number() });
export type TableRef = v.InferOutput<typeof TABLE_REF>;

/** Key of a table's head. Without a head, retention would delete the table's slices as left-overs. */
export function tableKey({ version }: TableRef): string {
  return `-/table/${version}`;
}

const LISTING = v.pipe(v.string(), v.parseJson(), v.object({ table: v.nullable(TABLE_REF), buildingSince: v.nullable(v.number()) }));
type Listing = v.InferOutput<typeof LISTING>;

/** A build that takes longer has ended with its Durable Object: requests do not wait for it any more. */
const MAX_BUILD_MS = 10 * 60 * 1000;
/** Paths that are noted for one folder, and for how long: the tables of its other suites may be the ones that name them. Later a day's revalidation compares. */
const MAX_ASKED = 10_000;
const ASKED_MS = DAY_MS;
/** A path that is asked for again is noted anew after this long. */
const NOTE_AGAIN_MS = 60 * 60 * 1000;
/** Begins the keys under which folders are kept. */
const LISTING_KEY = "listing:";
/** Begins the keys that note which paths wait for a table: `asked:<base>\n<path>`, as no path holds a line end. */
const ASKED_KEY = "asked:";

/** Which digest table covers a path. */
export interface Lookup {
  /** Folder that the table's paths are relative to; null where no repository covers the path. */
  readonly base: string | null;
  /** Null: there is none (yet). */
  readonly table: TableRef | null;
  /** A first or larger table for the folder is being built. */
  readonly building: boolean;
  /** The answer is from memory (remember-tables.ts): the directory may say something else by now. */
  readonly remembered?: true;
}

/** What waits to be compared with a folder's table. */
export interface Unsettled {
  readonly table: TableRef | null;
  readonly paths: readonly string[];
}

/** Looks up which table of a mirror covers a path, as `lookUp` of its directory does. Rejects if that cannot be reached. */
export type LookUpTable = (mirror: string, path: string, waitMs: number) => Promise<Lookup>;

/** What the directory says of one folder. */
export type Listed = Lookup & { readonly base: string };

/** With more folders than this there is no listing of all. */
const MAX_LISTED = 500;

export type TableDirectory = ReturnType<typeof createTableDirectory>;

/** Which table knows the packages below which folder: one directory per mirror. */
export function createTableDirectory({
  kept,
  timer,
  now,
}: {
  readonly kept: KeptState;
  readonly timer: Timer;
  readonly now: () => number;
}) {
  const asked = keptAsked(kept);
  const waiting = new Map<string, Set<() => void>>();

  return {
    /** Marks a first or larger table for packages below `base` as being built. */
    building(base: string): void {
      save(base, { table: load(base)?.table ?? null, buildingSince: now() });
    },
    /** Sets the table for packages below `base` (null: none), and ends its building unless the tables of other roots are still to come into it. */
    publish(base: string, table: TableRef | null, isMoreComing = false): void {
      save(base, { table, buildingSince: isMoreComing ? (load(base)?.buildingSince ?? now()) : null });
      for (const wake of waiting.get(base) ?? []) wake();
      waiting.delete(base);
    },
    /** The published table, and the paths that were looked up in vain while one was built: noted until `settled`, whatever fails or restarts meanwhile. */
    unsettled(base: string): Unsettled {
      const paths = asked.get(base) ?? new Map<string, number>();
      for (const [path, at] of paths) if (now() - at >= ASKED_MS) forget(base, path);
      return { table: load(base)?.table ?? null, paths: [...paths.keys()] };
    },
    /** Forgets these paths: what was stored under them has been compared. Not while another table is built, since when they may have been noted anew. */
    settled(base: string, paths: readonly string[]): void {
      if (!isBuilding(base)) for (const path of paths) forget(base, path);
    },
    /** The table that covers a path. While one is being built, waits up to `waitMs` for it, and notes the path where that is not enough. */
    async lookUp(path: string, waitMs: number): Promise<Lookup> {
      const base = foldersAbove(path).find((folder) => kept.load(`${LISTING_KEY}${folder}`) !== null);
      if (base === undefined) return { base: null, table: null, building: false };
      if (isBuilding(base) && waitMs > 0) await landed(base, waitMs);
      const listed = listingOf(base);
      if (listed.building) note(base, path);
      return listed;
    },
    /** What there is of all folders; null: they are too many to send. */
    listings(): readonly Listed[] | null {
      const bases = kept.keys().flatMap((key) => (key.startsWith(LISTING_KEY) ? [key.slice(LISTING_KEY.length)] : []));
      return bases.length > MAX_LISTED ? null : bases.map(listingOf);
    },
  };

  function listingOf(base: string): Listed {
    return { base, table: load(base)?.table ?? null, building: isBuilding(base) };
  }

  function load(base: string): Listing | null {
    const parsed = v.safeParse(LISTING, kept.load(`${LISTING_KEY}${base}`));
    return parsed.success ? parsed.output : null;
  }

  function save(base: string, listing: Listing): void {
    kept.save(`${LISTING_KEY}${base}`, JSON.stringify(listing));
  }

  function isBuilding(base: string): boolean {
    const since = load(base)?.buildingSince ?? null;
    return since !== null && now() - since < MAX_BUILD_MS;
  }

  function note(base: string, path: string): void {
    const paths = asked.get(base) ?? new Map<string, number>();
    if (now() - (paths.get(path) ?? -Infinity) < NOTE_AGAIN_MS) return;
    paths.delete(path);
    const [oldest] = paths.size >= MAX_ASKED ? paths.keys() : [];
    if (oldest !== undefined) forget(base, oldest);
    kept.save(askedKey(base, path), String(now()));
    asked.set(base, paths.set(path, now()));
  }

  function forget(base: string, path: string): void {
    asked.get(base)?.delete(path);
    kept.remove(askedKey(base, path));
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

function askedKey(base: string, path: string): string {
  return `${ASKED_KEY}${base}\n${path}`;
}

/** When which path was noted, by folder, as an earlier run of this object kept it. */
function keptAsked(kept: KeptState): Map<string, Map<string, number>> {
  const asked = new Map<string, Map<string, number>>();
  for (const key of kept.keys()) {
    if (!key.startsWith(ASKED_KEY)) continue;
    const [base = "", path = ""] = key.slice(ASKED_KEY.length).split("\n", 2);
    asked.set(base, (asked.get(base) ?? new Map<string, number>()).set(path, Number(kept.load(key))));
  }
  return asked;
}
