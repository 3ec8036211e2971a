import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { placeFiles } from "../../../../src/local/server/place-files.ts";

const FILES = { "config.capnp": "a secret", "xz.wasm": Buffer.from([0, 1]) };

let state: string;
beforeEach(() => (state = mkdtempSync(join(tmpdir(), "lazy-mirror-place-"))));
afterEach(() => rmSync(state, { recursive: true }));

test("the files lie in the folder alone, for this user", () => {
  const folder = join(state, "workerd");
  mkdirSync(folder);
  writeFileSync(join(folder, "of an earlier start"), "");
  expect(placeFiles(folder, FILES)).toBe(folder);
  expectPrivate(folder);
  expect(readdirSync(state)).toEqual(["workerd"]);
});

test("where the folder cannot be made or written they lie elsewhere, for this user", () => {
  const inTheWay = join(state, "lock");
  writeFileSync(inTheWay, "");
  const folder = placeFiles(join(inTheWay, "workerd"), FILES);
  expect(["/dev/shm", tmpdir()]).toContain(dirname(folder));
  expectPrivate(folder);
  rmSync(folder, { recursive: true });
});

test("where no folder takes them the first reason is thrown, and nothing is left", () => {
  const before = readdirSync("/dev/shm");
  expect(() => placeFiles(join(state, "workerd"), { "config.capnp": "", "no/such/folder": "" })).toThrow(/ENOENT.*no\/such\/folder/);
  expect(readdirSync(state)).toEqual([]);
  expect(readdirSync("/dev/shm").filter((name) => name.startsWith("lazy-mirror-") && !before.includes(name))).toEqual([]);
});

function expectPrivate(folder: string): void {
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "latin1")]))).toEqual({
    "config.capnp": "a secret",
    "xz.wasm": "\0\u0001",
  });
  for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
}
