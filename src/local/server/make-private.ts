import { chmodSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** All that a server puts into its state folder (docs/storage-layout.md); `lock-journal` and the like are SQLite's, `.new` is a file that is being written. */
const OURS = /^(?:store|objects|(?:admin|read)-token|lock(?:-[a-z]+)?|reserve|set-aside|workerd|(?:set-aside|flushed)\.json(?:\.new)?)$/;
const OTHERS = 0o077;

/** From here on this process, and workerd after it, makes folders with mode 0700 and files with 0600. */
export function hideNewFiles(): void {
  process.umask(OTHERS);
}

/**
 * Takes the rights of other users from a state folder that an earlier version, or the operator, made readable for them: passwords of mirrors with
 * `access`, their files and the admin token lie there. A folder that holds other things too keeps its own mode. A private folder costs one look.
 * @returns whether no other user can read what is the server's; false where something belongs to another user, who must do it.
 */
export function makePrivate(folder: string): boolean {
  if (!isOpen(folder)) return true;
  const names = readdirSync(folder);
  const isDone = names.filter((name) => OURS.test(name)).every((name) => closeAll(join(folder, name)));
  // Last: where the start is broken off before, the next one does it all again.
  return names.every((name) => OURS.test(name)) ? isDone && close(folder) : isDone;
}

function closeAll(top: string): boolean {
  let isDone = true;
  const paths = [top];
  for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined || stats.isSymbolicLink()) continue;
    if (!close(path)) isDone = false;
    else if (stats.isDirectory()) for (const name of readdirSync(path)) paths.push(join(path, name));
  }
  return isDone;
}

function isOpen(path: string): boolean {
  return (lstatSync(path).mode & OTHERS) !== 0;
}

function close(path: string): boolean {
  try {
    const { mode } = lstatSync(path);
    if ((mode & OTHERS) !== 0) chmodSync(path, mode & 0o700);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ENOENT";
  }
}
