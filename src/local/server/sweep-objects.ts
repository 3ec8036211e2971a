import { closeSync, openSync, readdirSync, readSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { openDatabase } from "./open-database.ts";

/** Folders of the Durable Objects of repositories, named by their unique key (workerd-config.ts). */
const REPOSITORIES = /-RepositoryObject$/;
/** A Durable Object's file; `metadata.sqlite` is the runtime's own. */
const OBJECT_FILE = /^[0-9a-f]{64}\.sqlite$/;
/** SQLite's page. A table takes a page of its own, so that a file of one page has none, and one of two pages has one. */
const PAGE_BYTES = 4_096;
const CELLS_AT = 3;

/**
 * Removes the files of repositories' Durable Objects that keep nothing: workerd leaves the file where an object has deleted its storage, and earlier
 * versions made one for each repository that a client asked for. Returns how many. No server may be running on the folder.
 */
export function sweepObjects(folder: string): number {
  let removed = 0;
  for (const path of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!path.isFile() || !REPOSITORIES.test(path.parentPath) || !OBJECT_FILE.test(path.name)) continue;
    const file = join(path.parentPath, path.name);
    if (!keepsNothing(file)) continue;
    for (const end of ["", "-wal", "-shm"]) rmSync(file + end, { force: true });
    removed++;
  }
  return removed;
}

/** Whether no row is kept in the file (repository-object.ts). What cannot be read is left as it is. */
function keepsNothing(file: string): boolean {
  if (sizeOf(file) > 2 * PAGE_BYTES) return false;
  const isWritten = sizeOf(`${file}-wal`) > 0;
  if (!isWritten && sizeOf(file) <= PAGE_BYTES) return true;
  let database: DatabaseSync | null = null;
  try {
    if (hasRows(file)) return false;
    database = openDatabase(file);
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    if (tables.some(({ name }) => name !== "kept")) return false;
    return tables.length === 0 || database.prepare("SELECT 1 FROM kept LIMIT 1").all().length === 0;
  } catch {
    return false;
  } finally {
    database?.close();
  }
}

/**
 * Whether the second page has a row (https://sqlite.org/fileformat.html: the count of cells in a page's header). Almost every file has, and to open thousands
 * of databases would take seconds. What a killed server deleted and left in the WAL is found once a server has run on the file.
 */
function hasRows(file: string): boolean {
  const count = Buffer.alloc(2);
  const opened = openSync(file, "r");
  try {
    return readSync(opened, count, 0, 2, PAGE_BYTES + CELLS_AT) === 2 && count.readUInt16BE() > 0;
  } finally {
    closeSync(opened);
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
