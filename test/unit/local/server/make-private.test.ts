import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makePrivate } from "../../../../src/local/server/make-private.ts";

let folder: string;
const modeOf = (path: string) => (statSync(join(folder, path)).mode & 0o777).toString(8);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-private-"));
  mkdirSync(join(folder, "store/objects/any"), { recursive: true });
  mkdirSync(join(folder, "objects/do"), { recursive: true });
  for (const [path, mode] of [
    ["store/objects/any/a.deb", 0o644],
    ["objects/do/x.sqlite", 0o664],
    ["admin-token", 0o600],
    ["read-token", 0o600],
    ["lock", 0o644],
  ] as const) {
    writeFileSync(join(folder, path), path);
    chmodSync(join(folder, path), mode);
  }
  for (const path of ["", "store", "store/objects", "store/objects/any", "objects", "objects/do"]) chmodSync(join(folder, path), 0o755);
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("the state folder of an earlier version", () => {
  test("becomes its owner's alone, with all in it", () => {
    expect(makePrivate(folder)).toBe(true);
    for (const path of ["", "store", "store/objects", "store/objects/any", "objects", "objects/do"]) expect(modeOf(path)).toBe("700");
    for (const path of ["store/objects/any/a.deb", "objects/do/x.sqlite", "admin-token", "lock"]) expect(modeOf(path)).toBe("600");
  });

  test.each(["reserve", "flushed.json", "flushed.json.new", "set-aside.json", "set-aside.json.new", "set-aside/2026/x.sqlite"])(
    "becomes so with %s in it, which the server puts there as well",
    (name) => {
      const path = join(folder, name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, "");
      chmodSync(path, 0o644);
      expect(makePrivate(folder)).toBe(true);
      expect([modeOf(""), modeOf(name)]).toEqual(["700", "600"]);
    },
  );

  test("keeps what is not the server's as it is, and its own mode then", () => {
    const other = join(folder, "other.sh");
    writeFileSync(other, "");
    chmodSync(other, 0o755);
    expect(makePrivate(folder)).toBe(true);
    expect([modeOf(""), modeOf("other.sh"), modeOf("store"), modeOf("store/objects/any/a.deb")]).toEqual(["755", "755", "700", "600"]);
  });

  test("leads nowhere else by a link", () => {
    const elsewhere = mkdtempSync(join(tmpdir(), "lazy-mirror-elsewhere-"));
    chmodSync(elsewhere, 0o755);
    symlinkSync(elsewhere, join(folder, "store/link"));
    expect(makePrivate(folder)).toBe(true);
    expect((statSync(elsewhere).mode & 0o777).toString(8)).toBe("755");
    rmSync(elsewhere, { recursive: true });
  });

  test("is not read again once it is private", () => {
    chmodSync(folder, 0o700);
    expect(makePrivate(folder)).toBe(true);
    expect(modeOf("store")).toBe("755");
  });
});
