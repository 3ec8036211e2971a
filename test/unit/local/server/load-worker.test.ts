import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Bundle } from "../../../../src/local/server/bundle-worker.ts";
import { loadWorker } from "../../../../src/local/server/load-worker.ts";
import { done, refused, type Step } from "../../../../src/local/step.ts";

let root: string;
let cache: string;
let bundled: number;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "lazy-mirror-bundle-"));
  cache = join(root, "node_modules/.cache/lazy-mirror/worker");
  bundled = 0;
  write("src/worker.ts", 'import "./b.ts"; // ä');
  write("src/b.ts", "export {};");
  write("package-lock.json", "{}");
});
afterEach(() => rmSync(root, { recursive: true }));

test("a start that finds the bundle of an earlier one bundles nothing", async () => {
  const first = await load();
  expect(first).toBe("bundle 1 of src/worker.ts, ä");
  expect(await load()).toBe(first);
  expect(bundled).toBe(1);
});

describe("a new bundle is made", () => {
  test.each(["src/worker.ts", "src/b.ts", "package-lock.json"])("where %s has other bytes of the same size and date", async (name) => {
    await load();
    const { atime, mtime } = statSync(join(root, name));
    const text = readFileSync(join(root, name), "latin1");
    writeFileSync(join(root, name), `${text.slice(0, -1)}?`, "latin1");
    utimesSync(join(root, name), atime, mtime);
    expect(await load()).toContain("bundle 2");
    expect(await load()).toContain("bundle 2");
  });

  test("where a file that it was made of is gone, or one that counts has come", async () => {
    await load();
    rmSync(join(root, "package-lock.json"));
    expect(await load()).toContain("bundle 2");
    write("node_modules/.package-lock.json", "{}");
    expect(await load()).toContain("bundle 3");
    rmSync(join(root, "src/b.ts"));
    expect(await load(() => Promise.resolve(done({ script: "without b", inputs: ["src/worker.ts"] })))).toBe("without b");
  });

  test.each([
    ["is empty", () => ""],
    ["was cut", (text: string) => text.slice(0, -1)],
    ["has a wrong byte", (text: string) => text.replace("bundle 1", "bundle 7")],
    ["has zeros, as after a power cut", (text: string) => "\0".repeat(text.length)],
    ["is other JSON", () => "null\nx"],
  ])("where the kept one %s", async (_, damage) => {
    await load();
    writeFileSync(cache, damage(readFileSync(cache, "utf8")));
    expect(await load()).toContain("bundle 2");
    expect(await load()).toContain("bundle 2");
  });

  test("and not kept where a file changed while it was made", async () => {
    const script = await load(() => {
      write("src/b.ts", "export const changed = true;", Date.now() + 1);
      return Promise.resolve(done({ script: "of the old file", inputs: ["src/worker.ts", "src/b.ts"] }));
    });
    expect(script).toBe("of the old file");
    expect(existsSync(cache)).toBe(false);
  });
});

test("where it cannot be kept, each start bundles, and no draft is left", async () => {
  mkdirSync(cache, { recursive: true }); // a folder in its place: rename fails for root as well
  writeFileSync(join(cache, "x"), "");
  expect(await load()).toContain("bundle 1");
  expect(await load()).toContain("bundle 2");
  expect(readdirSync(dirname(cache))).toEqual(["worker"]);
});

test("so does one that finds a file in place of the folder", async () => {
  write("node_modules/.cache", "");
  expect(await load()).toContain("bundle 1");
  expect(await load()).toContain("bundle 2");
});

test.runIf(process.getuid?.() !== 0).each([0o500, 0o000])("so does one whose folder has mode %o", async (mode) => {
  mkdirSync(dirname(cache), { recursive: true });
  chmodSync(dirname(cache), mode);
  expect(await load()).toContain("bundle 1");
  expect(await load()).toContain("bundle 2");
  chmodSync(dirname(cache), 0o700);
});

test("other users can read what a server keeps, which hides its own files", async () => {
  const before = process.umask(0o077);
  try {
    await load();
    expect(process.umask()).toBe(0o077);
  } finally {
    process.umask(before);
  }
  expect(statSync(dirname(cache)).mode & 0o777).toBe(0o755);
  expect(statSync(cache).mode & 0o777).toBe(0o644);
});

test("two starts at once both have a whole bundle, and keep one", async () => {
  const both = await Promise.all([load(), load()]);
  expect(both.toSorted()).toEqual(["bundle 1 of src/worker.ts, ä", "bundle 2 of src/worker.ts, ä"]);
  expect(both).toContain(await load());
  expect(bundled).toBe(2);
});

test("what cannot be bundled is refused with the reasons, and nothing is kept", async () => {
  expect(await loadWorker(root, () => Promise.resolve(refused("Cannot bundle a.ts:1: x")))).toEqual(refused("Cannot bundle a.ts:1: x"));
  expect(existsSync(cache)).toBe(false);
});

async function load(bundle: () => Promise<Step<Bundle>> = bundleOnce): Promise<string> {
  const modules = await loadWorker(root, bundle);
  if (!modules.ok) throw new Error(modules.problems.join("\n"));
  const [script, wasm] = modules.value;
  expect(wasm).toMatchObject({ type: "CompiledWasm", path: "xz.wasm" });
  return String(script?.contents);
}

async function bundleOnce(): Promise<Step<Bundle>> {
  bundled++;
  const script = `bundle ${bundled} of src/worker.ts, ä`;
  await Promise.resolve();
  return done({ script, inputs: ["src/worker.ts", "src/b.ts"] });
}

/** By default a minute ago, before anything is bundled. */
function write(name: string, text: string, date = Date.now() - 60_000): void {
  const path = join(root, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  utimesSync(path, date / 1000, date / 1000);
}
