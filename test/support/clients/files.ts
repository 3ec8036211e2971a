import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";

/** Contents by file name of all files under `folder` that end with `extension`. */
export function readFiles(folder: string, extension: string): Map<string, Buffer> {
  if (!existsSync(folder)) return new Map();
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(extension));
  return new Map(names.map((name) => [basename(name), readFileSync(join(folder, name))]));
}

/** The noise that a test package brings. */
export function readPayload(root: string, name: string): Buffer | undefined {
  const file = join(root, "usr/share", name, "data");
  return existsSync(file) ? readFileSync(file) : undefined;
}
