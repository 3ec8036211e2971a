import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

/** Every arrow that must not be drawn: the file that would import, and what. */
const FORBIDDEN_IMPORTS: readonly (readonly [file: string, specifier: string])[] = [
  ["src/http/a.ts", "../config/config.ts"],
  ["src/verify/a.ts", "../store/object-store.ts"],
  ["src/verify/b.ts", "../upstream/upstream.ts"],
  ["src/route/a.ts", "../fill/fill.ts"],
  ["src/config/a.ts", "../local/server.ts"],
  ["src/store/a.ts", "../fill/fill.ts"],
  ["src/store/nested/a.ts", "../../fill/fill.ts"],
  ["src/upstream/a.ts", "../store/object-store.ts"],
  ["src/retention/a.ts", "../fill/fill.ts"],
  ["src/fill/a.ts", "../serve/serve.ts"],
  ["src/fill/fill-coordinator.ts", "../metadata/ports.ts"],
  ["src/fill/b.ts", "../metadata/ports.ts"],
  ["src/metadata/a.ts", "../serve/serve.ts"],
  ["src/metadata/repository-object.ts", "../fill/fill.ts"],
  ["src/serve/a.ts", "../site/page.ts"],
  ["src/serve/b.ts", "../upstream/upstream.ts"],
  ["src/site/a.ts", "../fill/fill.ts"],
  ["src/local/a.ts", "../fill/fill.ts"],
  ["src/serve/c.ts", "../worker.ts"],
  ["src/app.ts", "./worker.ts"],
  ["src/worker.ts", "./local/server.ts"],
  ["src/http/b.ts", "node:buffer"],
  ["src/fill/c.ts", "node:fs"],
  ["src/worker-part.ts", "miniflare"],
  ["src/serve/d.ts", "hono"],
  ["src/fill/d.ts", "hono/cookie"],
  ["src/local/b.ts", "hono"],
  ["src/serve/e.ts", "cloudflare:workers"],
  ["src/fill/e.ts", "cloudflare:workers"],
  ["src/site/b.ts", "cloudflare:workers"],
];

/** Arrows of the architecture: a rule that forbade these would be no use. */
const ALLOWED_IMPORTS: readonly (readonly [file: string, specifier: string])[] = [
  ["src/verify/c.ts", "../http/http-date.ts"],
  ["src/route/b.ts", "../config/config.ts"],
  ["src/fill/f.ts", "../store/object-store.ts"],
  ["src/fill/g.ts", "../upstream/upstream.ts"],
  ["src/fill/h.ts", "../verify/verifier.ts"],
  ["src/serve/f.ts", "../fill/fill.ts"],
  ["src/serve/g.ts", "../metadata/ports.ts"],
  ["src/site/c.tsx", "hono"],
  ["src/store/b.ts", "cloudflare:workers"],
  ["src/retention/ledger-object.ts", "cloudflare:workers"],
  ["src/local/c.ts", "node:fs"],
];

/** Ports: what the other side fulfils, without a call across the arrow. */
const ALLOWED_TYPES: readonly (readonly [file: string, specifier: string])[] = [
  ["src/serve/types.ts", "../upstream/upstream.ts"],
  ["src/fill/types.ts", "../metadata/ports.ts"],
];

/** I/O, the clock and chance, which pure code is given. */
const FORBIDDEN_CODE: readonly (readonly [file: string, code: string, rule: string])[] = [
  ["src/http/clock.ts", "export const now = Date.now();", "no-restricted-properties"],
  ["src/route/chance.ts", "export const die = Math.random();", "no-restricted-properties"],
  ["src/verify/network.ts", "export const get = () => fetch('http://127.0.0.1/');", "no-restricted-globals"],
  ["src/serve/binding.ts", "export type Bucket = R2Bucket;", "no-restricted-types"],
];

let root: string;
let found: ReadonlyMap<string, string>;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "lazy-mirror-layering-"));
  cpSync(join(ROOT, ".oxlintrc.json"), join(root, ".oxlintrc.json"));
  cpSync(join(ROOT, "tsconfig.json"), join(root, "tsconfig.json"));
  symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
  for (const [file, specifier] of [...FORBIDDEN_IMPORTS, ...ALLOWED_IMPORTS]) {
    plant(file, `import { planted } from "${specifier}";\nexport const a = planted;\n`);
  }
  for (const [file, specifier] of ALLOWED_TYPES) plant(file, `import type { Planted } from "${specifier}";\nexport type A = Planted;\n`);
  for (const [file, code] of FORBIDDEN_CODE) plant(file, `${code}\n`);
  plant("src/ring/one.ts", 'import { two } from "./two.ts";\nexport const one = (): unknown => two;\n');
  plant("src/ring/two.ts", 'import { one } from "./one.ts";\nexport const two = (): unknown => one;\n');
  found = lint();
});

afterAll(() => rmSync(root, { recursive: true, force: true }));

describe("the linter refuses", () => {
  test.each(FORBIDDEN_IMPORTS)("%s importing %s", (file) => {
    expect(found.get(file)).toContain("no-restricted-imports");
  });
  test.each(FORBIDDEN_CODE)("%s saying %s", (file, _code, rule) => {
    expect(found.get(file)).toContain(rule);
  });
  test("two files that import each other", () => {
    expect(found.get("src/ring/one.ts")).toContain("no-cycle");
  });
});

describe("the linter allows", () => {
  test.each(ALLOWED_IMPORTS)("%s importing %s", (file) => {
    expect(found.get(file) ?? "").not.toContain("no-restricted");
  });
});

describe("the linter allows types alone", () => {
  test.each(ALLOWED_TYPES)("to %s from %s", (file) => {
    expect(found.get(file) ?? "").not.toContain("no-restricted");
  });
});

function plant(file: string, code: string): void {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), code);
}

/** Rules that fired, by file. */
function lint(): ReadonlyMap<string, string> {
  const byFile = new Map<string, string>();
  for (const { filename, code } of JSON.parse(runOxlint()).diagnostics as readonly { filename: string; code: string }[]) {
    byFile.set(filename, `${byFile.get(filename) ?? ""} ${code}`);
  }
  return byFile;
}

/** oxlint ends with 1 where it finds something, which is what we are here for. */
function runOxlint(): string {
  try {
    return execFileSync(join(ROOT, "node_modules/.bin/oxlint"), ["--format", "json", "src"], {
      cwd: root,
      encoding: "utf8",
      stdio: "pipe",
    });
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}
