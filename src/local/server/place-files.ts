import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeIfPossible } from "./remove-if-possible.ts";

/** What workerd reads while it starts, in the state folder where that has room. */
export const START_FOLDER = "workerd";

/** A file system in memory, which a full disk does not touch, and the system's own folder for such files. */
const ELSEWHERE = ["/dev/shm", tmpdir()];

/**
 * Writes the files, by their names, into `folder`, which is made anew, or where that has no room into a new folder elsewhere. Only this user can read them.
 * Returns the folder, which the caller removes. Throws what the first disk throws, where no other takes them either.
 */
export function placeFiles(folder: string, files: Readonly<Record<string, string | Uint8Array>>): string {
  const makers = [() => makeAnew(folder), ...ELSEWHERE.map((parent) => () => mkdtempSync(join(parent, "lazy-mirror-")))];
  const failures: unknown[] = [];
  for (const make of makers) {
    let made: string | null = null;
    try {
      made = make();
      for (const [name, content] of Object.entries(files)) writeFileSync(join(made, name), content, { mode: 0o600 });
      return made;
    } catch (error) {
      failures.push(error);
      if (made !== null) removeIfPossible(made);
    }
  }
  throw failures[0];
}

function makeAnew(folder: string): string {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o700 });
  return folder;
}
