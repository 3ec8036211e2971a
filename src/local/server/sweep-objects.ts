import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** Folders of the Durable Objects of repositories, named by their unique key (workerd-config.ts). */
const REPOSITORIES = /-RepositoryObject$/;
/** A Durable Object's file; `metadata.sqlite` is the runtime's own. */
const OBJECT_FILE = /^[0-9a-f]{64}\.sqlite$/;
/** SQLite's page. A table takes a page of its own, so that a file of one page has none, and one of two pages has one. */
const PAGE_BYTES = 4_096;

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
    database = new DatabaseSync(file);
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
    if (tables.some(({ name }) => name !== "kept")) return false;
    return tables.length === 0 || database.prepare("SELECT 1 FROM kept LIMIT 1").all().length === 0;
  } catch {
    return false;
  } finally {
    database?.close();
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
