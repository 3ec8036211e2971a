/** Whether a path that a file names stays below the folder it is relative to: no empty, `.` or `..` parts, no backslash, no control characters. */
export function isContained(path: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (path.length > 1024 || /[\u0000-\u001f\u007f\\]/.test(path)) return false;
  return path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

/** The path of `name` in `folder`; the empty folder is the mirror's top. */
export function join(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}
