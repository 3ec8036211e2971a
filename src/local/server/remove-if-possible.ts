import { rmSync } from "node:fs";

/** Removes a file, or a folder with what is in it. Never throws: where it is another user's, or the disk is read-only, it stays. */
export function removeIfPossible(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {
    // `force` forgives that it is missing, and nothing else.
  }
}
