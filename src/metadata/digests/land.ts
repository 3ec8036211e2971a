import { isAhead } from "../../clock/elapsed.ts";
import type { Timer } from "../../clock/timer.ts";
import type { Mirror } from "../../config/config.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import { rewriteObject } from "../../store/rewrite-object.ts";
import { compare, measuredOf } from "../../verify/compare.ts";
import type { KeptState, Log } from "../ports/kept-state.ts";
import type { StoredRow, StoredRows } from "../ports/stored-rows.ts";
import { expectationsOf } from "./expectations.ts";
import { LostTableError, type Tables } from "./read-table.ts";
import { isBelow } from "./readings.ts";
import type { TableRecord } from "./table-format.ts";

/** A table that has been published, and how far what was stored before it has been compared. Times in milliseconds since the epoch. */
interface Landing {
  readonly base: string;
  readonly root: string;
  /** Version of the root's table before it, which everything stored was compared with; null: there was none, so that all is to be compared. */
  readonly from: string | null;
  readonly to: string;
  readonly at: number;
  /** Which of PASSES_MS is next. */
  readonly pass: number;
  /** The last key of the ledger that this pass has compared. */
  readonly after: string;
}

/**
 * How long after a table was published what is stored is compared with it. At once; and again, as a fill that ends then may have asked an isolate that
 * remembers the table before (for MAX_REMEMBERED_MS), and the ledger learns of it some 10 s later.
 */
const PASSES_MS = [0, 15_000, 90_000] as const;
/** Objects that were stored this long before a table was published have been compared by its first pass. */
const OVERLAP_MS = 120_000;
/** Rows that are compared in one turn, and looked for in one call of the ledger. */
const ROWS_PER_TURN = 200;
/** A pass ends where the store fails so often. */
const MAX_FAILURES = 3;
/** After a failure the comparison goes on where it stopped, so much later. */
const RETRY_MS = 60_000;

const LANDING_KEY = "landing:";

export interface LandDependencies {
  readonly mirror: Pick<Mirror, "name">;
  readonly kept: KeptState;
  readonly store: ObjectStore;
  readonly rows: StoredRows;
  readonly tables: Tables;
  /** Versions of all tables of this repository. */
  readonly versions: () => readonly string[];
  /** Folders of other repositories below this one: what lies there is theirs to judge. */
  readonly basesBelow: (base: string) => Promise<readonly string[]>;
  /** Notes that a version stored under the key proved to be other bytes than its index names. */
  readonly taint: (key: string, version: string) => Promise<void>;
  /** Configured length of slices: an object stored as one is at most this long. */
  readonly sliceBytes: number;
  readonly timer: Timer;
  readonly now: () => number;
  readonly breathe: () => Promise<void>;
  readonly log: Log;
}

/**
 * Compares what is stored with the tables of a repository as they land, whatever was stored before and under whatever earlier state: the ledger's rows
 * below its folder are joined with the table, or where another was there before, with what the new one says otherwise. A copy that is not the file which
 * the indexes name loses its head. Works in turns, behind everything else; a restart goes on where it stopped.
 */
export function createLandings(deps: LandDependencies) {
  const { kept, log, mirror, now, rows, store, tables } = deps;
  let isRunning = false;
  let cancel: () => void = () => {};

  return {
    /** Begins to compare with a table that has just been published. */
    start(landing: Pick<Landing, "base" | "root" | "from" | "to">): void {
      const unfinished = load(landing.root);
      // What an unfinished comparison has not met was compared with the table before that one only.
      const from = unfinished === null || unfinished.pass > 0 ? landing.from : unfinished.from;
      save({ ...landing, from, at: now(), pass: 0, after: "" });
      resume();
    },
    resume,
    /** Forgets a root. */
    drop: (root: string): void => kept.remove(LANDING_KEY + root),
  };

  /** Goes on with all that is due. */
  function resume(): void {
    if (isRunning) return;
    isRunning = true;
    cancel();
    void run().finally(() => (isRunning = false));
  }

  async function run(): Promise<void> {
    const failed = new Set<string>();
    for (let due = nextDue(failed); due !== null && dueAt(due) <= now(); due = nextDue(failed)) {
      try {
        await pass(due);
      } catch (error) {
        const current = load(due.root);
        if (error instanceof LostTableError && due.from !== null && current?.to === due.to) {
          // The table before it is published no more, so that nothing makes it anew if the store loses it: everything is compared.
          save({ ...current, from: null, after: "" });
          continue;
        }
        failed.add(due.root);
        if (!(error instanceof LostTableError))
          log("warn", `${mirror.name}: cannot compare what is stored below ${due.base} with its indexes yet: ${String(error)}`);
      }
    }
    const next = nextDue();
    if (next !== null) cancel = deps.timer(Math.max(failed.size > 0 ? RETRY_MS : 0, dueAt(next) - now()), resume);
  }

  /** One pass of one landing. Another table may land for the root meanwhile: then its own landing begins anew. */
  async function pass(landing: Landing): Promise<void> {
    const { base, root, from, to, at } = landing;
    const since = landing.pass === 0 || isAhead(at, now()) ? 0 : at - OVERLAP_MS;
    const nested = await deps.basesBelow(base);
    const isOurs = ({ key, storedAt, class: pathClass }: StoredRow): boolean =>
      storedAt >= since && isPackageClass(pathClass) && !nested.some((other) => isBelow(pathOf(key), other));
    let [deleted, failures] = [0, 0];
    for await (const turn of from === null ? rowsBelow(landing) : rowsOfDifferences(from, to, base)) {
      for (const row of turn) {
        if (!isOurs(row)) continue;
        try {
          if (await settle(row)) deleted++;
        } catch (error) {
          if (error instanceof LostTableError || ++failures === MAX_FAILURES) throw error;
          log("warn", `${mirror.name}: cannot compare ${pathOf(row.key)} with its index yet: ${String(error)}`);
        }
      }
      const current = load(root);
      if (current?.to !== to || current.at !== at) return;
      // What failed is compared again, with all that comes behind it.
      if (failures === 0) save({ ...current, after: turn.at(-1)?.key ?? current.after });
      await deps.breathe();
    }
    if (failures > 0) throw new Error(`${failures} files could not be compared`);
    const current = load(root);
    if (current?.to !== to || current.at !== at) return;
    if (deleted > 0)
      log("warn", `${mirror.name}: ${deleted} files below ${base || "the top"} were stored and are not those that ${root} names: deleted`);
    if (landing.pass + 1 < PASSES_MS.length) save({ ...landing, pass: landing.pass + 1, after: "" });
    else kept.remove(LANDING_KEY + root);
  }

  /** All rows below the folder, in turns. */
  async function* rowsBelow({ base, after }: Landing): AsyncGenerator<readonly StoredRow[]> {
    const prefix = `${mirror.name}/${base === "" ? "" : `${base}/`}`;
    let last = after;
    for (;;) {
      const page = await rows.page(prefix, last, ROWS_PER_TURN);
      if (page.length === 0) return;
      yield page;
      last = page.at(-1)?.key ?? last;
    }
  }

  /** The rows of paths of which the new table says something else than the one before, in turns. */
  async function* rowsOfDifferences(from: string, to: string, base: string): AsyncGenerator<readonly StoredRow[]> {
    let keys: string[] = [];
    for await (const { path, after } of tables.differences({ version: from }, { version: to })) {
      if (after.length > 0 && isBelow(path, base)) keys.push(`${mirror.name}/${path}`);
      if (keys.length < ROWS_PER_TURN) continue;
      yield await rows.pick(keys);
      keys = [];
    }
    if (keys.length > 0) yield await rows.pick(keys);
  }

  /** Compares one object with all tables of the repository. True: it was another file, and is gone. */
  async function settle({ key }: StoredRow): Promise<boolean> {
    const expectations = expectationsOf(await recordsOf(pathOf(key)));
    if (expectations.length === 0) return false;
    const object = await store.head(key);
    if (object === null) return false;
    const comparison = compare(expectations, measuredOf(object));
    // What was pieced together is judged by its first complete read.
    if (comparison === "unknown" && object.sliceBytes !== undefined && object.verified === "none") return false;
    if (comparison === "other") {
      // Before the delete: a client must not resume the bad bytes by their date.
      await deps.taint(key, object.version);
      await store.delete([key]);
      log("warn", `${mirror.name}: ${pathOf(key)} was stored before its digest was known and is not the published file: deleted`);
      return true;
    }
    const isOpen = comparison === "unknown";
    if (isOpen === (object.provisional === true)) return false;
    await rewriteObject(store, key, object.version, deps.sliceBytes, ({ provisional: _mark, ...rest }) =>
      isOpen ? { ...rest, provisional: true } : { ...rest, verified: "digest" },
    );
    return false;
  }

  async function recordsOf(path: string): Promise<readonly TableRecord[]> {
    const found: TableRecord[] = [];
    for (const version of deps.versions()) found.push(...(await tables.lookUp({ version }, path)));
    return found;
  }

  function pathOf(key: string): string {
    return key.slice(mirror.name.length + 1);
  }

  function dueAt({ at, pass: next }: Landing): number {
    return isAhead(at, now()) ? 0 : at + (PASSES_MS[next] ?? 0);
  }

  /** Of the roots that are not in `except`. */
  function nextDue(except: ReadonlySet<string> = new Set()): Landing | null {
    const all = kept.keys().flatMap((key) => (key.startsWith(LANDING_KEY) ? (load(key.slice(LANDING_KEY.length)) ?? []) : []));
    return all.filter(({ root }) => !except.has(root)).toSorted((one, other) => dueAt(one) - dueAt(other))[0] ?? null;
  }

  function load(root: string): Landing | null {
    const text = kept.load(LANDING_KEY + root);
    return text === null ? null : (JSON.parse(text) as Landing);
  }

  function save(landing: Landing): void {
    kept.save(LANDING_KEY + landing.root, JSON.stringify(landing));
  }
}

/** Whether tables judge objects of this class: a repository judges its own roots and members. */
function isPackageClass(pathClass: string): boolean {
  return pathClass !== "root" && pathClass !== "member" && pathClass !== "hashed";
}
