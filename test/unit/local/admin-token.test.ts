import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { adminTokenPath, readAdminToken, readReadToken, readTokenPath } from "../../../src/local/admin-token.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-token-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("a token is made once, and one that the operator wrote is kept", () => {
  const made = readAdminToken(folder);
  expect(made).toMatch(/^[\w-]{43}$/);
  expect(readAdminToken(folder)).toBe(made);
  writeFileSync(adminTokenPath(folder), " my-own+token=\n");
  expect(readAdminToken(folder)).toBe("my-own+token=");
});

test("the read token is another one, and only its owner reads it", () => {
  const read = readReadToken(folder);
  expect(read).toMatch(/^[\w-]{43}$/);
  expect(read).not.toBe(readAdminToken(folder));
  expect(readReadToken(folder)).toBe(read);
  expect(statSync(readTokenPath(folder)).mode & 0o777).toBe(0o600);
});

test.each([
  ["nothing", ""],
  ["zeros", "\0".repeat(44)],
  ["bytes that no header carries", "\u0001\u00e9\n\u2028"],
])("a token file of %s is replaced by a new token", (_what, content) => {
  writeFileSync(adminTokenPath(folder), content);
  const made = readAdminToken(folder);
  expect(made).toMatch(/^[\w-]{43}$/);
  expect(readFileSync(adminTokenPath(folder), "utf8")).toBe(`${made}\n`);
  expect(readAdminToken(folder)).toBe(made);
});
