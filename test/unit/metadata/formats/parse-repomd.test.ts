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

const odd = (href: string): string =>
  `<data type="odd"><checksum type="sha256">${"b".repeat(64)}</checksum><location href="${href}"/></data>`;
const good = `<data type="primary"><checksum type="sha256">${"a".repeat(64)}</checksum><location href="repodata/p.gz"/></data>`;

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

test.each([
  ["without a location", `<data type="odd"><checksum type="sha256">${"a".repeat(64)}</checksum></data>`, "no location"],
  ["without a digest", `<data type="odd"><location href="x"/></data>`, "no digest"],
  ["with a digest of an unknown kind", `<data type="odd"><checksum type="crc32">00</checksum><location href="x"/></data>`, "no digest"],
  [
    "with a digest of a megabyte",
    `<data type="odd"><checksum type="sha256">${"a".repeat(1_000_000)}</checksum><location href="x"/></data>`,
    "no digest",
  ],
  ["that leads out", odd("repodata/../../x"), "elsewhere"],
  ["that leads out, encoded", odd("&#46;&#46;/x"), "elsewhere"],
  ["with an absolute href", odd("/etc/passwd"), "elsewhere"],
  ["with a URL as href", odd("http://evil/x"), "elsewhere"],
  ["with an xml:base", odd("x").replace("href", 'xml:base="http://other/" href'), "elsewhere"],
])("a <data> %s is left out by itself, and counted", async (_name, text, reason) => {
  const parsed = await parseRepomd(bytes(`<repomd>${text}${good}</repomd>`), "os");
  expect(parsed).toMatchObject({
    kind: "parsed",
    root: { entries: [{ path: "os/repodata/p.gz", type: "primary" }], skipped: { count: 1, example: expect.stringContaining(reason) } },
  });
});

test.each([
  ["seconds", "1790000000", 1_790_000_000],
  ["a counter", "12", 12],
  ["a date in digits", "20261126", 20_261_126],
  ["a word", "jammy-1", undefined],
  ["more digits than any number has", "9".repeat(40), undefined],
])("a revision may be %s", async (_name, text, revision) => {
  expect(await parseRepomd(bytes(`<repomd><revision>${text}</revision>${good}</repomd>`), "")).toMatchObject({ root: { revision } });
});

test("unknown elements and attributes are passed over, and timestamps may have fractions", async () => {
  const text = `<repomd a="b"><tags><revision>9</revision><data/></tags><what><location href="y"/></what>${good.replace(
    "</data>",
    "<timestamp>1790000000.25</timestamp><odd><location href='z'/><timestamp>5</timestamp></odd></data>",
  )}</repomd>`;
  expect(await parseRepomd(bytes(text), "os")).toMatchObject({
    root: { revision: undefined, timestamp: 1_790_000_000.25, entries: [{ path: "os/repodata/p.gz" }] },
  });
});

test("a declared encoding holds, and so do a byte order mark, comments and blanks behind the end", async () => {
  const declared = `<?xml version="1.0" encoding="ISO-8859-1"?><repomd><tags><repo>caf\u00e9</repo></tags>${good}</repomd>`;
  const marked = `\uFEFF<?xml version="1.0"?><!-- a --><repomd>${good}</repomd>\n<!-- b -->\n`;
  for (const input of [Uint8Array.from(declared, (char) => char.charCodeAt(0)), bytes(marked)]) {
    expect(await parseRepomd(input, "os")).toMatchObject({ kind: "parsed", root: { entries: [{ path: "os/repodata/p.gz" }] } });
  }
});

test("files beyond the limit are skipped and counted", async () => {
  const parsed = await parseRepomd(bytes(`<repomd>${good.repeat(20_002)}</repomd>`), "os");
  expect(parsed).toMatchObject({ kind: "parsed", root: { skipped: { count: 2 } } });
});

test("a repomd.xml cut anywhere is malformed", async () => {
  const whole = repomd({ revision: NOW, data: { primary: ["repodata/p.gz", "abc"], other: ["repodata/o.gz", "d"] } }).trimEnd();
  for (let length = 0; length < whole.length; length += 5) {
    expect((await parseRepomd(bytes(whole.slice(0, length)), "")).kind).toBe("malformed");
  }
});

test.each([
  ["HTML", "<!doctype html><html><body>Down for maintenance</body></html>", "<html> stands where <repomd> should"],
  ["an empty file", "", "no complete <repomd>"],
  ["text", "404 not found", "text stands outside"],
  ["deep nesting", `<repomd>${"<a>".repeat(100)}`, "nested"],
  ["an element of endless attributes", `<repomd ${Array.from({ length: 100 }, (_, n) => `a${n}="x"`).join(" ")}/>`, "attributes"],
  ["an attribute of two megabytes", `<repomd a="${"x".repeat(2_000_000)}"/>`, "longer than"],
  ["a comment of two megabytes", `<!--${"x".repeat(2_000_000)}--><repomd/>`, "longer than"],
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
