import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

describe("the linter refuses", () => {
  /** I/O, the clock and chance, which pure code gets as arguments; bindings, which only adapters name; circles in tests as well. */
  const planted: readonly (readonly [file: string, code: string, rule: string])[] = [
    ["src/http/clock.ts", "export const now = Date.now();", "no-restricted-properties"],
    ["src/route/chance.ts", "export const die = Math.random();", "no-restricted-properties"],
    ["src/verify/network.ts", "export const get = () => fetch('http://127.0.0.1/');", "no-restricted-globals"],
    ["src/metadata/formats/timer.ts", "setTimeout(() => undefined, 1);", "no-restricted-globals"],
    ["src/serve/binding.ts", "export type Bucket = R2Bucket;", "no-restricted-types"],
    ["src/ring/one.ts", 'import { two } from "./two.ts";\nexport const one = (): unknown => two;', "no-cycle"],
    ["src/ring/two.ts", 'import { one } from "./one.ts";\nexport const two = (): unknown => one;', "no-cycle"],
    ["test/ring/one.ts", 'import type { Two } from "./two.ts";\nexport type One = Two | 1;', "no-cycle"],
    ["test/ring/two.ts", 'import type { One } from "./one.ts";\nexport type Two = One | 2;', "no-cycle"],
  ];
  let root: string;
  let found: ReadonlyMap<string, string>;

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "lazy-mirror-layering-"));
    for (const file of [".oxlintrc.json", "tsconfig.json"]) cpSync(join(ROOT, file), join(root, file));
    symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
    for (const [file, code] of planted) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), `${code}\n`);
    }
    found = lint(root);
  });

  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it.each(planted)("%s saying %s", (file, _code, rule) => {
    expect(found.get(file)).toContain(rule);
  });
});

/** Rules that fired, by file. */
function lint(root: string): ReadonlyMap<string, string> {
  const byFile = new Map<string, string>();
  for (const { filename, code } of JSON.parse(runOxlint(root)).diagnostics as readonly { filename: string; code: string }[]) {
    byFile.set(filename, `${byFile.get(filename) ?? ""} ${code}`);
  }
  return byFile;
}

/** oxlint ends with 1 where it finds something, which it must here. */
function runOxlint(cwd: string): string {
  try {
    return execFileSync(join(ROOT, "node_modules/.bin/oxlint"), ["--format", "json", "src", "test"], {
      cwd,
      encoding: "utf8",
      stdio: "pipe",
    });
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}
