/**
 * Whether a path stays below the folder that it is relative to and can be asked for: no empty, `.` or `..` parts, no backslash, no control characters, and
 * nothing that was no UTF-8.
 */
export function isContained(path: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (path.length > 1024 || /[\u0000-\u001f\u007f\\\ufffd]/.test(path)) return false;
  return !path.split("/").some((part) => /^\.{0,2}$/.test(part));
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
