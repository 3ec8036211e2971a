import { elapsedMs } from "../clock/elapsed.ts";
import { DAY_MS } from "../http/units.ts";
import { SPARING_WAIT_MS } from "../store/row-count.ts";
import { addColumns, rowsOf, type Sql } from "../store/sql.ts";
import type { Hold, Hole } from "./hold.ts";

/** Counts of one mirror on one day (UTC). Bytes are those of bodies. */
export interface DayCount {
  readonly mirror: string;
  /** `2026-11-22` */
  readonly day: string;
  readonly requests: number;
  /** Bytes sent to clients. */
  readonly served: number;
  /** Those of `served` that no upstream had to send. */
  readonly saved: number;
  /** Bytes that upstreams sent, stored or passed on. */
  readonly fetched: number;
  /** Bodies from upstreams that failed verification. */
  readonly refused: number;
  /** Answers whose body ended early. */
  readonly cut: number;
  /** Requests that the mirror's `access` or a rate limit refused. */
  readonly turnedAway: number;
}

/** How a published root compares with its upstreams. Times are milliseconds since the epoch. */
export interface RootStanding {
  /** When the published generation was adopted. */
  readonly adoptedAt: number;
  /** When an upstream last confirmed it. While there is no trouble, later confirmations are not reported, and the real time may be later. */
  readonly confirmedAt: number;
  /** Since when an upstream has had another root that could not be adopted; null: no upstream has. */
  readonly behindSince: number | null;
  /** Why no upstream confirmed the generation at the last try; null: one did. */
  readonly trouble: string | null;
  /** The same as a state with a deadline; null: an upstream confirmed the generation at the last try. */
  readonly hold: Hold | null;
  /** What the generation names and no upstream has: the first 50. */
  readonly holes: readonly Hole[];
}

/** Whether the packages of a published root are bound to digests by its indexes. */
export interface RootProtection {
  /** `partly`: entries of its indexes, or whole indexes, could not be used. `not`: no index could. */
  readonly state: "bound" | "partly" | "not";
  /** How many packages are bound. */
  readonly packages: number;
  /** How many entries and indexes could not be used. */
  readonly skipped: number;
  /** One of these and why it could not be used, or why no package is bound, as a phrase; null where all are. */
  readonly detail: string | null;
  /** Set where nothing is wrong: there is no index that clients use, or the configuration wants none to be read. */
  readonly isExpected?: true;
}

/** How one published root stands. `root`: its path below the mirror. */
export interface RootLine extends RootStanding {
  readonly mirror: string;
  readonly root: string;
  /** Absent: not known yet, or files of this kind are bound to no digests. */
  readonly protection?: RootProtection;
}

/** How many days are kept, today included. */
export const HISTORY_DAYS = 14;
const COUNTS = ["requests", "served", "saved", "fetched", "refused", "cut", "turnedAway"] as const;

/**
 * Counts by day, and how roots stand: of all isolates, kept over restarts. Opens the history in `sql`, and makes its tables at the first start. `now`:
 * milliseconds since the epoch. While `isSparing`, counts of days are written once a minute; a restart loses those of
 * the last one.
 */
export function createHistory(sql: Sql, now: () => number, isSparing: () => boolean = () => false) {
  sql.exec(
    `CREATE TABLE IF NOT EXISTS days (day TEXT, mirror TEXT, ${COUNTS.map((name) => `${name} INTEGER NOT NULL`).join(", ")},
      PRIMARY KEY (day, mirror)) WITHOUT ROWID`,
  );
  sql.exec(
    `CREATE TABLE IF NOT EXISTS roots (mirror TEXT, root TEXT, adoptedAt INTEGER NOT NULL, confirmedAt INTEGER NOT NULL, behindSince INTEGER,
      trouble TEXT, PRIMARY KEY (mirror, root)) WITHOUT ROWID`,
  );
  addColumns(sql, "roots", ["hold", "holes"]);
  sql.exec(
    "CREATE TABLE IF NOT EXISTS protections (mirror TEXT, root TEXT, protection TEXT NOT NULL, PRIMARY KEY (mirror, root)) WITHOUT ROWID",
  );
  /** Counts that are in no row yet, by day and mirror. */
  let unwritten = new Map<string, DayCount>();
  let writtenAt = 0;

  function writeDays(): void {
    const days = [...unwritten.values()];
    unwritten = new Map();
    writtenAt = now();
    for (const one of days) {
      sql.exec(
        `INSERT INTO days (day, mirror, ${COUNTS.join(", ")}) VALUES (?, ?, ${COUNTS.map(() => "?").join(", ")})
            ON CONFLICT DO UPDATE SET ${COUNTS.map((name) => `${name} = ${name} + excluded.${name}`).join(", ")}`,
        one.day,
        one.mirror,
        ...COUNTS.map((name) => one[name]),
      );
    }
    if (days.length > 0) sql.exec("DELETE FROM days WHERE day <= ?", dayOf(now() - HISTORY_DAYS * DAY_MS));
  }

  return {
    /** Adds to the days; forgets days older than `HISTORY_DAYS`. */
    count(days: readonly DayCount[]): void {
      for (const one of days) {
        const name = `${one.day} ${one.mirror}`;
        unwritten.set(name, addDays(unwritten.get(name), one));
      }
      if (!isSparing() || elapsedMs(writtenAt, now()) >= SPARING_WAIT_MS) writeDays();
    },
    /** Requests of all mirrors on a day, as `dayOf` gives it, as far as isolates have reported them. */
    requestsOn(day: string): number {
      const [row] = rowsOf<{ requests: number }>(sql, "SELECT coalesce(sum(requests), 0) AS requests FROM days WHERE day = ?", day);
      return [...unwritten.values()].reduce((sum, one) => (one.day === day ? sum + one.requests : sum), row?.requests ?? 0);
    },
    /** Keeps how a root stands; null: it is no longer published. */
    stand(mirror: string, root: string, standing: RootStanding | null): void {
      if (standing === null) return void sql.exec("DELETE FROM roots WHERE mirror = ? AND root = ?", mirror, root);
      const { adoptedAt, confirmedAt, behindSince, trouble, hold, holes } = standing;
      const texts = [hold, holes].map((value) => JSON.stringify(value));
      const values = [mirror, root, adoptedAt, confirmedAt, behindSince, trouble, ...texts];
      sql.exec(`INSERT OR REPLACE INTO roots (${ROOT_COLUMNS.join(", ")}) VALUES (${values.map(() => "?").join(", ")})`, ...values);
    },
    /** Keeps whether packages of a root are bound to digests; null: the root is no more. */
    protect(mirror: string, root: string, protection: RootProtection | null): void {
      if (protection === null) sql.exec("DELETE FROM protections WHERE mirror = ? AND root = ?", mirror, root);
      else sql.exec("INSERT OR REPLACE INTO protections VALUES (?, ?, ?)", mirror, root, JSON.stringify(protection));
    },
    /** The oldest day first. */
    days(): readonly DayCount[] {
      writeDays();
      return rowsOf<DayCount>(sql, `SELECT day, mirror, ${COUNTS.join(", ")} FROM days ORDER BY day, mirror`);
    },
    /** By mirror and root, at most 200. */
    roots: (): readonly RootLine[] => readRoots("", []),
    /** Those of one mirror whose path begins with `prefix`. */
    rootsBelow: (mirror: string, prefix: string): readonly RootLine[] =>
      readRoots("WHERE mirror = ? AND root >= ? AND root < ?", [mirror, prefix, `${prefix}\u{10FFFF}`]),
  };

  function readRoots(where: string, values: readonly string[]): readonly RootLine[] {
    const columns = ROOT_COLUMNS.map((name) => `roots.${name}`).join(", ");
    const rows = rowsOf<RootRow & { readonly protection: string | null }>(
      sql,
      `SELECT ${columns}, protection FROM roots LEFT JOIN protections USING (mirror, root) ${where} ORDER BY mirror, root LIMIT 200`,
      ...values,
    );
    return rows.map(({ protection, ...row }) => ({
      ...readRoot(row),
      ...(protection === null ? {} : { protection: JSON.parse(protection) as RootProtection }),
    }));
  }
}

const ROOT_COLUMNS = ["mirror", "root", "adoptedAt", "confirmedAt", "behindSince", "trouble", "hold", "holes"] as const;

/** `hold` and `holes` are JSON; null in rows of versions that did not have them. */
type RootRow = Omit<RootLine, "hold" | "holes"> & { readonly hold: string | null; readonly holes: string | null };

function readRoot({ hold, holes, ...row }: RootRow): RootLine {
  return { ...row, hold: JSON.parse(hold ?? "null") as Hold | null, holes: JSON.parse(holes ?? "[]") as readonly Hole[] };
}

/** The UTC day of a time in milliseconds since the epoch: `2026-11-22`. */
export function dayOf(ms: number): string {
  const number = Math.floor(ms / DAY_MS);
  // It is asked for with each request, and changes once a day.
  if (number !== latest.number) latest = { number, text: new Date(ms).toISOString().slice(0, 10) };
  return latest.text;
}

let latest = { number: NaN, text: "" };

/** The sum of two counts of the same mirror and day. */
export function addDays(one: DayCount | undefined, more: DayCount): DayCount {
  if (one === undefined) return more;
  const sum = { ...more };
  for (const name of COUNTS) sum[name] += one[name];
  return sum;
}

/** A day's counts, all 0. */
export function emptyDay(mirror: string, day: string): DayCount {
  return { mirror, day, requests: 0, served: 0, saved: 0, fetched: 0, refused: 0, cut: 0, turnedAway: 0 };
}
