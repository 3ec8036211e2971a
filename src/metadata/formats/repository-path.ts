import { MalformedError } from "./parsed-root.ts";

/**
 * The path, where it stays below the folder that it is relative to: no empty, `.` or `..` parts, no backslash, no control characters. Throws
 * MalformedError, which calls it `what`, for any other.
 */
export function requireContained(path: string, what: string): string {
  const parts = path.split("/");
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  const isContained = path.length <= 1024 && !/[\u0000-\u001f\u007f\\]/.test(path) && !parts.some((part) => /^\.{0,2}$/.test(part));
  if (!isContained) throw new MalformedError(`${what} ${JSON.stringify(path.slice(0, 120))} leads out of the repository`);
  return path;
}

/** The path of `name` in `folder`; the empty folder is the mirror's top. */
export function join(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}

/** The folders above a path, the nearest first; the last one is the mirror's top, "". */
export function foldersAbove(path: string): readonly string[] {
  const parts = path.split("/");
  return parts.map((_, above) => parts.slice(0, -1 - above).join("/"));
}
