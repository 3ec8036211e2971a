import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { parseSync, Visitor } from "oxc-parser";
import { describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

/** `file` is a path below `src/`. `isType`: the import, export or `import("…")` is of types alone. */
interface Import {
  readonly file: string;
  readonly specifier: string;
  readonly isType: boolean;
}

/** What each row lists: `src/store`, `type src/store` (its types alone), `hono`, `node:` (every such module). */
const TABLE = readTable(readFileSync(join(ROOT, "docs/architecture.md"), "utf8"));
const FILES = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" }).filter(isFile);
const IMPORTS = FILES.flatMap((file) => readImports(file, readFileSync(join(ROOT, "src", file), "utf8")));

describe(`the rooms of docs/architecture.md, with ${FILES.length} files and ${IMPORTS.length} imports`, () => {
  it("have a row for every file", () => {
    expect(FILES.length).toBeGreaterThan(150);
    expect(FILES.filter((file) => !TABLE.has(roomOf(file)))).toEqual([]);
  });

  it("import only what their rows list", () => {
    expect(IMPORTS.length).toBeGreaterThan(FILES.length);
    expect(IMPORTS.flatMap((one) => refusal(one) ?? [])).toEqual([]);
  });

  it("list only what they import", () => {
    // A type alone is no reason to list a room with all that it has.
    const reasons = (one: Import) => waysToList(one).filter((way) => !one.isType || !way.startsWith("src/"));
    const used = new Set(IMPORTS.flatMap((one) => rowsOf(one.file).flatMap((row) => reasons(one).map((way) => `${row}: ${way}`))));
    const listed = [...TABLE].flatMap(([row, entries]) => [...entries].map((entry) => `${row}: ${entry}`));
    expect(listed.filter((entry) => !used.has(entry))).toEqual([]);
    expect([...TABLE.keys()].filter((row) => !FILES.some((file) => rowsOf(file).includes(row)))).toEqual([]);
  });

  it("stand in no circle, and no file does", () => {
    expect(findCircle((row) => [...(TABLE.get(row) ?? [])].map((entry) => entry.replace(/^(type )?src\//, "")), TABLE.keys())).toBeNull();
    expect(findCircle(importedBy(IMPORTS), FILES)).toBeNull();
  });
});

describe("a planted import falls", () => {
  const rooms = [...TABLE.keys()].filter((row) => roomOf(inRoom(row)) === row);

  it.each([...TABLE.keys()])("where row %s does not list it", (row) => {
    const file = inRoom(row);
    const isListed = (entry: string) => rowsOf(file).some((one) => TABLE.get(one)?.has(entry));
    const closed = rooms.filter((room) => room !== roomOf(file) && !isListed(`src/${room}`));
    const planted = [
      ...closed.map((room) => `import { a } from "${pathTo(file, room)}";`),
      ...closed.filter((room) => !isListed(`type src/${room}`)).map((room) => `import type { A } from "${pathTo(file, room)}";`),
      ...["hono", "cloudflare:workers", "miniflare"].filter((name) => !isListed(name)).map((name) => `import "${name}";`),
      ...(isListed("node:") ? [] : ['import "node:fs";']),
    ];
    expect(closed).not.toEqual([]);
    expect(planted.filter((code) => readImports(file, code).every((one) => refusal(one) === null))).toEqual([]);
  });

  it.each([
    'import "../config/config.ts";',
    'import { type Config } from "../config/config.ts";',
    'import type { Config } from "../config/config.ts";',
    'export { parseConfig } from "../config/config.ts";',
    'export type * from "../config/config.ts";',
    'export const config = import("../config/config.ts");',
    'export type Config = import("../config/config.ts").Config;',
    'export type All = typeof import("../config/config.ts");',
    'export const any = import("../config/" + name);',
    'import "../../package.json";',
    'import "http";',
  ])("%s", (code) => {
    expect(readImports("http/planted.ts", code).map(refusal)).toEqual([expect.stringContaining("src/http/planted.ts imports ")]);
  });

  it.each(["new.ts", "new/planted.ts", "fill/new/planted.ts"])("out of %s and into it, which has no row", (file) => {
    expect(TABLE.has(roomOf(file))).toBe(false);
    expect(refusal({ file, specifier: pathTo(file, "http"), isType: true })).toContain(`row \`${roomOf(file)}\``);
    expect(refusal({ file: "app.ts", specifier: `./${file}`, isType: true })).toContain(`list \`type ${roomOf(file)}\``);
  });

  it("that closes a circle of types", () => {
    const one = readImports("store/one.ts", 'import type { Two } from "./two.ts";');
    const two = readImports("store/two.ts", 'export type Two = import("./one.ts").One;');
    expect(findCircle(importedBy([...one, ...two]), ["store/one.ts"])).toEqual(["store/one.ts", "store/two.ts", "store/one.ts"]);
  });
});

function readTable(markdown: string): ReadonlyMap<string, ReadonlySet<string>> {
  const section = markdown.split(/^## /m).find((part) => part.startsWith("Rooms\n")) ?? "";
  const names = (cell = "") => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
  const rows = section.split("\n").filter((line) => line.startsWith("| `"));
  return new Map(
    rows.map((line) => {
      const [, row, , rooms, packages] = line.split("|");
      return [names(row).join(), new Set([...names(rooms).map((name) => name.replace(/^(type )?/, "$1src/")), ...names(packages)])];
    }),
  );
}

function isFile(path: string): boolean {
  return /\.[cm]?[jt]sx?$/.test(path);
}

/** A file at the top of `src/` is a room of its own. */
function roomOf(file: string): string {
  return file.includes("/") ? dirname(file) : file;
}

/** The rows that hold for a file: its room's, and its own, which adds to that. */
function rowsOf(file: string): readonly string[] {
  return [...new Set([roomOf(file), file])].filter((row) => TABLE.has(row));
}

function inRoom(row: string): string {
  return isFile(row) ? row : `${row}/planted.ts`;
}

function pathTo(file: string, room: string): string {
  return `./${relative(dirname(file), inRoom(room))}`;
}

function readImports(file: string, code: string): readonly Import[] {
  const { program, errors } = parseSync(file, code);
  if (errors.length > 0) throw new Error(`Cannot parse src/${file}: ${errors.map(({ message }) => message).join("; ")}`);
  const found: Import[] = [];
  const add = (from: { readonly type: string } | null, isType: boolean) => {
    // A computed path may lead anywhere, so no row can list it.
    const specifier = from !== null && "value" in from && typeof from.value === "string" ? from.value : "a computed path";
    if (from !== null) found.push({ file, specifier, isType });
  };
  new Visitor({
    ImportDeclaration: ({ source, importKind }) => add(source, importKind === "type"),
    ExportNamedDeclaration: ({ source, exportKind }) => add(source, exportKind === "type"),
    ExportAllDeclaration: ({ source, exportKind }) => add(source, exportKind === "type"),
    ImportExpression: ({ source }) => add(source, false),
    TSImportType: ({ source }) => add(source, true),
  }).visit(program);
  return found;
}

/** What a row may list to allow an import, the narrowest first; nothing where the import stays in its room. */
function waysToList({ file, specifier, isType }: Import): readonly string[] {
  if (!specifier.startsWith(".")) return [specifier, specifier.replace(/^(node:|@[^/]+\/[^/]+|[^/]+).*/, "$1")];
  const room = roomOf(join(dirname(file), specifier));
  if (room === roomOf(file)) return [];
  return isType ? [`type src/${room}`, `src/${room}`] : [`src/${room}`];
}

/** Which row would have to list an import, and as what; null where one does. */
function refusal(one: Import): string | null {
  const ways = waysToList(one);
  if (ways.length === 0 || rowsOf(one.file).some((row) => ways.some((way) => TABLE.get(row)?.has(way)))) return null;
  const entry = ways[0]?.replace("src/", "");
  return `src/${one.file} imports ${one.specifier}: row \`${roomOf(one.file)}\` of docs/architecture.md would have to list \`${entry}\``;
}

function importedBy(imports: readonly Import[]): (file: string) => readonly string[] {
  const local = imports.filter(({ specifier }) => specifier.startsWith("."));
  return (file) => local.filter((one) => one.file === file).map(({ specifier }) => join(dirname(file), specifier));
}

/** The stops of one circle beyond `stops`, the first again at the end; null where every way ends. */
function findCircle(
  next: (stop: string) => readonly string[],
  stops: Iterable<string>,
  way: readonly string[] = [],
  ended = new Set<string>(),
): readonly string[] | null {
  for (const stop of stops) {
    if (way.includes(stop)) return [...way.slice(way.indexOf(stop)), stop];
    if (ended.has(stop)) continue;
    const circle = findCircle(next, next(stop), [...way, stop], ended);
    if (circle !== null) return circle;
    ended.add(stop);
  }
  return null;
}
