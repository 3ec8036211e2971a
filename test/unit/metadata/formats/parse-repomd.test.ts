import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseRepomd } from "../../../../src/metadata/formats/parse-repomd.ts";
import { repomd, sha256 } from "../samples.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const NOW = 1_700_000_000;

function createRepository(): Uint8Array | null {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-repomd-"));
  try {
    execFileSync("createrepo_c", ["--quiet", folder], { stdio: "ignore" });
    return readFileSync(join(folder, "repodata/repomd.xml"));
  } catch {
    return null;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
const created = createRepository();

test("a repomd.xml gives each file's path, digest, size and kind, and the revision and newest timestamp", async () => {
  const text = repomd({ revision: NOW, data: { primary: ["repodata/primary.xml.gz", "abc"] } });
  expect(await parseRepomd(bytes(text), "os")).toEqual({
    kind: "parsed",
    root: {
      revision: NOW,
      timestamp: NOW,
      validUntil: undefined,
      byHash: false,
      entries: [{ path: "os/repodata/primary.xml.gz", algorithm: "sha256", digest: sha256("abc"), type: "primary", size: 3 }],
    },
  });
});

test.skipIf(created === null)("what createrepo_c writes is read whole", async () => {
  const parsed = await parseRepomd(created ?? new Uint8Array(), "");
  if (parsed.kind !== "parsed") throw new Error(parsed.reason);
  expect(parsed.root.entries.map((entry) => entry.type)).toEqual(expect.arrayContaining(["primary", "filelists", "other"]));
  expect(parsed.root.entries.every((entry) => (entry.size ?? 0) > 0 && (entry.openSize ?? 0) > 0)).toBe(true);
  expect(parsed.root.revision).toBeGreaterThan(NOW);
});

test("a revision that is a word, and data that lie elsewhere, are no fault", async () => {
  const text = `<repomd><revision>jammy-1</revision><data type="x"><checksum type="sha256">${"a".repeat(64)}</checksum><location xml:base="http://other/" href="x"/></data></repomd>`;
  expect(await parseRepomd(bytes(text), "")).toMatchObject({ root: { revision: undefined, timestamp: undefined, entries: [] } });
});

test("a repomd.xml cut anywhere is malformed", async () => {
  const whole = repomd({ revision: NOW, data: { primary: ["repodata/p.gz", "abc"], other: ["repodata/o.gz", "d"] } }).trimEnd();
  for (let length = 0; length < whole.length; length += 5) {
    expect((await parseRepomd(bytes(whole.slice(0, length)), "")).kind).toBe("malformed");
  }
});

const data = (href: string): string =>
  `<repomd><data type="primary"><checksum type="sha256">${"a".repeat(64)}</checksum><location href="${href}"/></data></repomd>`;
test.each([
  ["an href that leads out", data("repodata/../../x"), "leads out"],
  ["an encoded href that leads out", data("&#46;&#46;/x"), "leads out"],
  ["an absolute href", data("/etc/passwd"), "leads out"],
  ["an href that is a URL", data("http://evil/x"), "leads out"],
  ["HTML", "<!doctype html><html><body>Down for maintenance</body></html>", "<html> stands where <repomd> should"],
  ["an empty file", "", "no complete <repomd>"],
  ["text", "404 not found", "text stands outside"],
  ["deep nesting", `<repomd>${"<a>".repeat(100)}`, "nested"],
  ["an element of endless attributes", `<repomd ${Array.from({ length: 100 }, (_, n) => `a${n}="x"`).join(" ")}/>`, "attributes"],
  ["an attribute of two megabytes", `<repomd a="${"x".repeat(2_000_000)}"/>`, "longer than"],
  ["a comment of two megabytes", `<!--${"x".repeat(2_000_000)}--><repomd/>`, "longer than"],
  ["a checksum of a megabyte", `<repomd><data><checksum>${"a".repeat(1_000_000)}`, "longer than"],
  ["more files than any repository has", `<repomd>${data("x").slice(8, -9).repeat(20_001)}</repomd>`, "more than"],
  ["bytes that are no UTF-8", "\u0000", "outside"],
])("%s is refused with the reason", async (_name, text, reason) => {
  expect(await parseRepomd(bytes(text), "")).toEqual({ kind: "malformed", reason: expect.stringContaining(reason) });
});

test("an entity bomb stays the few bytes it is", async () => {
  const entities = Array.from({ length: 20 }, (_, n) => `<!ENTITY e${n + 1} "${`&e${n};`.repeat(10)}">`).join("");
  const text = `<?xml version="1.0"?><!DOCTYPE repomd [<!ENTITY e0 "lol">${entities}]><repomd><revision>&e20;</revision></repomd>`;
  const parsed = await parseRepomd(bytes(text), "");
  if (parsed.kind === "parsed") expect(parsed.root).toMatchObject({ revision: undefined, entries: [] });
});

test("no input makes it throw", async () => {
  const tag = fc.constantFrom(
    "<repomd>",
    "</repomd>",
    "<data type='a'>",
    "</data>",
    "<location href='x'/>",
    "<![CDATA[",
    "]]>",
    "&#x0;",
    "<!--",
    "-->",
  );
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array(),
        fc.array(fc.oneof(tag, fc.string())).map((parts) => bytes(parts.join(""))),
      ),
      async (input) => {
        expect(["parsed", "malformed"]).toContain((await parseRepomd(input, "os")).kind);
      },
    ),
  );
});
