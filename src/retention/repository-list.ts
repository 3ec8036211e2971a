import { elapsedMs } from "../clock/elapsed.ts";
import { type createNotes, rowsOf, type Sql } from "../store/sql.ts";

/** A use is written down again after this long: a row written costs more than one read. */
const USE_AGAIN_MS = 3_600_000;
/** Repositories that one run of cron retires at most. The next one goes on. */
const MAX_RETIRED = 50;
/** Repositories that the status page lists at most. */
const MAX_LISTED = 200;
/** Note: the repositories that earlier versions had published are in the list. */
const ADOPTED_NOTE = "repositories";

/** A repository that has published something. */
export interface RepositoryLine {
  /** `<mirror>/<base>`: the name of its Durable Object. */
  readonly name: string;
  /**
   * When a client was last seen to use it, in milliseconds since the epoch. Its last use may be a day and an hour later: an isolate reports a repository once
   * a day, and the list writes that down once an hour.
   */
  readonly usedAt: number;
}

/** How many repositories each mirror has, and those used last, the latest first. */
export interface RepositoriesView {
  readonly counts: readonly { readonly mirror: string; readonly repositories: number }[];
  readonly latest: readonly RepositoryLine[];
}

export type RepositoryList = ReturnType<typeof createRepositoryList>;

/**
 * The repositories that have published something, and when clients last used each. Opens the list in `sql`, which has the ledger's tables, and makes its
 * own at the first start. `now`: milliseconds since the epoch.
 */
export function createRepositoryList(sql: Sql, notes: ReturnType<typeof createNotes>, now: () => number) {
  sql.exec("CREATE TABLE IF NOT EXISTS repositories (name TEXT PRIMARY KEY, usedAt INTEGER NOT NULL) WITHOUT ROWID");
  if (notes.get(ADOPTED_NOTE) === null) {
    sql.exec("INSERT OR IGNORE INTO repositories SELECT DISTINCT owner, ? FROM named", now());
    notes.set(ADOPTED_NOTE, "adopted");
  }

  function note(name: string): void {
    sql.exec("INSERT OR REPLACE INTO repositories VALUES (?, ?)", name, now());
  }

  return {
    /** The repository has published something, for a client. */
    note,
    /** Whether it is in the list. If so, notes that a client uses it. */
    use(name: string): boolean {
      const [row] = rowsOf<{ usedAt: number }>(sql, "SELECT usedAt FROM repositories WHERE name = ?", name);
      if (row === undefined) return false;
      if (elapsedMs(row.usedAt, now()) >= USE_AGAIN_MS) note(name);
      return true;
    },
    /** The first `limit` names that come after `after`, in their order. */
    page: (after: string, limit: number): readonly RepositoryLine[] =>
      rowsOf<RepositoryLine>(sql, "SELECT name, usedAt FROM repositories WHERE name > ? ORDER BY name LIMIT ?", after, limit),
    /** The names of all of them that begin with `prefix`, in order: 10,000 at most. */
    names: (prefix: string): readonly string[] =>
      rowsOf<{ name: string }>(
        sql,
        "SELECT name FROM repositories WHERE substr(name, 1, ?) = ? ORDER BY name LIMIT 10000",
        prefix.length,
        prefix,
      ).map(({ name }) => name),
    remove: (name: string): void => void sql.exec("DELETE FROM repositories WHERE name = ?", name),
    /** Those that no client has used since `before`, at most 50, the longest unused first. */
    unused(before: number): readonly string[] {
      // A repository that a wrong clock dated ahead counts as used now. Otherwise it would stay until the clock gets there.
      sql.exec("UPDATE repositories SET usedAt = ?1 WHERE usedAt > ?1", now());
      const query = "SELECT name FROM repositories WHERE usedAt <= ? ORDER BY usedAt LIMIT ?";
      return rowsOf<{ name: string }>(sql, query, before, MAX_RETIRED).map(({ name }) => name);
    },
    view(): RepositoriesView {
      const counts =
        "SELECT substr(name, 1, instr(name, '/') - 1) AS mirror, count(*) AS repositories FROM repositories GROUP BY 1 ORDER BY 1";
      const latest = "SELECT name, usedAt FROM repositories ORDER BY usedAt DESC, name LIMIT ?";
      return { counts: rowsOf(sql, counts), latest: rowsOf<RepositoryLine>(sql, latest, MAX_LISTED) };
    },
  };
}

/** Retires repositories that no client has used since `before`. One that cannot be reached is tried again in the next run. Never rejects. */
export async function retireUnused(
  list: Pick<RepositoryList, "unused">,
  {
    before,
    retire,
    forget,
    log,
  }: {
    readonly before: number;
    readonly retire: (name: string) => Promise<readonly string[]>;
    /** Removes what else is kept of a repository and of the roots that it had published. */
    readonly forget: (name: string, roots: readonly string[]) => void;
    readonly log: (message: string) => void;
  },
): Promise<void> {
  for (const name of list.unused(before)) {
    try {
      forget(name, await retire(name));
      log(`Forgot the repository ${name}: no client has used it for the retention`);
    } catch (error) {
      log(`Cannot forget the repository ${name}, which no client uses: ${String(error)}`);
    }
  }
}
