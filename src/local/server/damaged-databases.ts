import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { openDatabase } from "./open-database.ts";

/** Of a database longer than this, or all that come after so many bytes, only the beginning is read: to read each whole would keep the server from starting. */
const MAX_CHECKED_BYTES = 256 * 1024 * 1024;
/** Checks that begin later than this after the first read only the beginning. */
const MAX_CHECK_MS = 1_000;
const HEADER = Buffer.from("SQLite format 3\0");
/** Folders of damaged databases that are kept; older ones are deleted. */
const MAX_KEPT = 5;
/** https://sqlite.org/rescode.html: SQLITE_CORRUPT and SQLITE_NOTADB. */
const DAMAGED: ReadonlySet<number> = new Set([11, 26]);

/** What becomes of the state in a damaged database, by the folder that it lies in. */
const REMEDIES: Readonly<Record<string, string>> = {
  LedgerObject: "the ledger is made anew of what is stored; pins and counts of uses are lost",
  RepositoryObject: "the repository is fetched and adopted anew from its upstream",
  FillCoordinator: "it is made anew; which files once had bad bytes is forgotten",
};

/**
 * Moves damaged databases out of `objects`, the folder of the Durable Objects, to a folder in `asideFolder` that is named by the time `now` (milliseconds since
 * the epoch), so that the server starts and makes their state anew. Returns a line for the operator for each. No server may be running on them. Takes some
 * seconds at most. Throws where a damaged database cannot be moved.
 */
export function setAsideDamaged(objects: string, asideFolder: string, now = Date.now()): readonly string[] {
  const databases = readdirSync(objects, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".sqlite"))
    .map((name) => ({ name, size: statSync(join(objects, name), { throwIfNoEntry: false })?.size ?? 0 }))
    .toSorted((one, other) => one.size - other.size);
  const lines: string[] = [];
  const began = Date.now();
  let left = MAX_CHECKED_BYTES;
  for (const { name, size } of databases) {
    left -= size;
    const damage = findDamage(join(objects, name), left >= 0 && Date.now() - began < MAX_CHECK_MS);
    if (damage === null) continue;
    const aside = join(asideFolder, new Date(now).toISOString().replaceAll(":", "-"), name);
    mkdirSync(dirname(aside), { recursive: true, mode: 0o700 });
    for (const end of ["", "-wal", "-shm", "-journal"]) {
      if (existsSync(join(objects, name + end))) renameSync(join(objects, name + end), aside + end);
    }
    const owner = basename(dirname(name)).replace(/^.*-/, "");
    const remedy = name.endsWith("metadata.sqlite") ? "workerd makes it anew" : (REMEDIES[owner] ?? "it is made anew");
    lines.push(`Set aside the damaged database "${join(objects, name)}" (${damage}): ${remedy}. It lies in "${aside}".`);
  }
  if (lines.length > 0) dropOld(asideFolder);
  return lines;
}

/** What is wrong with a database, as a phrase; null: nothing was found. `isWhole`: reads all of it, and not the first bytes alone. */
function findDamage(path: string, isWhole: boolean): string | null {
  let database: DatabaseSync | undefined;
  try {
    if (!isWhole) return hasHeader(path) ? null : "its beginning is no database's";
    database = openDatabase(path);
    const [check] = database.prepare("PRAGMA quick_check(1)").all();
    const [found] = Object.values(check ?? {});
    return found === "ok" ? null : String(found).split("\n").join("; ").slice(0, 200);
  } catch (error) {
    const { errcode = 0, message } = error as Error & { readonly errcode?: number };
    // Whatever else is wrong, such as a full disk, is not mended by losing the database.
    return DAMAGED.has(errcode & 0xff) ? message : null;
  } finally {
    try {
      database?.close();
    } catch {
      // A damaged database may refuse that as well.
    }
  }
}

/** Whether a file begins as a database does (https://sqlite.org/fileformat.html), or is empty, as one is that was never written. */
function hasHeader(path: string): boolean {
  const beginning = Buffer.alloc(HEADER.length);
  const file = openSync(path, "r");
  try {
    const length = readSync(file, beginning);
    return length === 0 || beginning.equals(HEADER);
  } finally {
    closeSync(file);
  }
}

function dropOld(asideFolder: string): void {
  const folders = readdirSync(asideFolder).toSorted();
  for (const name of folders.slice(0, -MAX_KEPT)) rmSync(join(asideFolder, name), { recursive: true, force: true });
}
