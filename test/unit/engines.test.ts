import { readFileSync } from "node:fs";
import { join } from "node:path";
import { subset } from "semver";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

interface Lock {
  readonly packages: Readonly<Record<string, { readonly engines?: { readonly node?: string }; readonly os?: readonly string[] }>>;
}

test("npm ci warns on no version of Node that we support: every package supports each of them", () => {
  const { packages } = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as Lock;
  const ours = packages[""]?.engines?.node ?? "";
  expect(ours).not.toBe("");
  const installed = Object.entries(packages).filter(([, { os }]) => os === undefined || os.includes("linux"));
  const others = installed.flatMap(([path, { engines }]) => (engines?.node === undefined ? [] : [{ path, node: engines.node }]));
  expect(others.filter(({ node }) => !subset(ours, node))).toEqual([]);
});
