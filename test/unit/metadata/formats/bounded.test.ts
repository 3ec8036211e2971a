import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { packTar } from "modern-tar";
import { describe, expect, test } from "vitest";
import { UNITS_PER_TURN } from "../../../../src/metadata/formats/pace.ts";
import { parseIndex } from "../../../../src/metadata/formats/parse-index.ts";
import { MalformedError } from "../../../../src/metadata/formats/parsed-root.ts";
import { readXml } from "../../../../src/metadata/formats/read-xml.ts";
import { DECODERS } from "../../../support/decompressing.ts";
import { chunked, packages, pacmanDatabase, pacmanDesc, primary } from "../samples.ts";

const MIB = 1024 * 1024;
const KINDS = ["rpm-md", "deb", "pacman", "apk"] as const;

/**
 * Far more than reading these inputs costs, even on a machine that does other things, and far less than anything that looks at a megabyte of them again for
 * each character.
 */
const MAX_CPU_MS = 15_000;

/** Reads the whole of it: null, or why not. Says what it took. */
async function read(kind: (typeof KINDS)[number], content: string | Uint8Array, chunkBytes = 65_536): Promise<string | null> {
  const before = process.cpuUsage();
  const error = await parseIndex(kind, chunked(content, chunkBytes), DECODERS, () => {}).then(
    () => null,
    (failure: unknown) => failure,
  );
  const { user } = process.cpuUsage(before);
  expect(user / 1000).toBeLessThan(MAX_CPU_MS);
  if (error === null) return null;
  expect(error).toBeInstanceOf(MalformedError);
  return (error as MalformedError).message;
}

const xml = (inner: string): string => `<?xml version="1.0"?><metadata>${inner}</metadata>`;
const tar = (name: string, body: string | Uint8Array) => packTar([{ header: { name, size: Buffer.byteLength(body) }, body }]);

describe("what opens to far more than it is ends at a limit, with nothing held of it", () => {
  test.each<[string, (typeof KINDS)[number], () => Promise<Uint8Array> | Uint8Array, RegExp]>([
    ["900 MB of <a/> in a megabyte", "rpm-md", () => gzipOf("<metadata>", "<a/>", 900 * MIB), /an element for less than/],
    ["900 MB of blanks in a megabyte", "rpm-md", () => gzipOf("<metadata>", " ", 900 * MIB), /200 times as long/],
    ["900 MB of blanks in a megabyte", "deb", () => gzipOf("Package: a\n", " ", 900 * MIB), /200 times as long/],
    ["900 MB of lines in a megabyte", "deb", () => gzipOf("Package: a\n", " x\n", 900 * MIB), /200 times as long/],
    ["900 MB of zeros in a megabyte", "pacman", () => gzipOf("", "\0", 900 * MIB), /200 times as long|tar archive/],
    ["900 MB of one name in a megabyte", "apk", () => gzipOf("", "x", 900 * MIB), /200 times as long|tar archive/],
  ])("%s (%s)", async (_name, kind, make, says) => {
    const bomb = await make();
    expect(bomb.length).toBeLessThan(1.1 * MIB);
    globalThis.gc?.();
    const before = process.memoryUsage.rss();
    let peak = 0;
    const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss() - before)), 10);
    expect(await read(kind, bomb)).toMatch(says);
    clearInterval(watch);
    expect(peak).toBeLessThan(300 * MIB);
  });
});

describe("megabytes of what makes careless parsers slow are read in linear time", () => {
  const M = 4 * MIB;
  test.each<[string, string, RegExp | null]>([
    ["one line of blanks", " ".repeat(7 * MIB), null],
    ["one field of blanks", `Package: a\nFilename:${" ".repeat(7 * MIB)}x\n`, null],
    ["one list of blanks", `Package: a\nDirectory: .\nFiles:\n ${" ".repeat(7 * MIB)}x\n`, null],
    ["one line without an end", `Package: ${"x".repeat(M)}`, null],
    ["lines of colons", `Package: a\n${":\n".repeat(M / 2)}`, null],
    ["empty lines", `Package: a\n${"\n".repeat(M)}`, null],
    ["lines of CR", `Package: a\n${"\r".repeat(M)}\n`, null],
    ["stanzas of one field", "Package:a\n\n".repeat(M / 10), null],
    [
      "one stanza of a million files",
      `Package: a\nDirectory: .\nFiles:\n${Array.from({ length: 300_000 }, (_, n) => ` ${"d".repeat(32)} 1 f${n}\n`).join("")}`,
      null,
    ],
    ["HTML", `<html>${"<p>\n".repeat(M / 4)}`, /no Packages or Sources/],
  ])("Packages: %s", async (_name, text, says) => {
    const error = await read("deb", text);
    if (says === null) expect(error).toBeNull();
    else expect(error).toMatch(says);
  });

  test.each<[string, string, RegExp]>([
    ["a tag without an end", `<metadata>${"<".repeat(M)}`, /./],
    ["an attribute without an end", `<metadata><a b="${"x".repeat(M)}`, /longer than/],
    ["a name without an end", `<metadata><${"x".repeat(M)}`, /longer than/],
    ["a comment without an end", `<metadata><!--${"-".repeat(M)}`, /longer than/],
    ["a processing instruction without an end", `<metadata><?${"x".repeat(M)}`, /longer than/],
    ["a CDATA section without an end", `<metadata><![CDATA[${"]".repeat(M)}`, /longer than|never closed|no complete/],
    ["a document type without an end", `<!DOCTYPE ${"[".repeat(M)}`, /longer than/],
    ["a tag of blanks", `<metadata><a ${" ".repeat(M)}`, /longer than/],
    [
      "attributes over attributes",
      xml(`<a ${Array.from({ length: 100_000 }, (_, n) => `a${n}="1"`).join(" ")}/>`),
      /more than 64 attributes/,
    ],
    ["one attribute over and over", xml(`<a ${'b="1" '.repeat(100_000)}/>`), /more than 64 attributes/],
    ["nesting", xml("<a>".repeat(M / 3)), /more than 32 deep/],
    ["closing tags", `<metadata>${"</a>".repeat(M / 4)}`, /./],
    ["entities", xml("&a;".repeat(M / 3)), /./],
    ["ampersands", xml("&".repeat(M)), /./],
    ["numeric entities", xml("&#65;".repeat(M / 5)), /./],
  ])("XML: %s", async (_name, text, says) => {
    const error = await read("rpm-md", text);
    // Some are text like any other.
    if (error !== null || says.source !== ".") expect(error).toMatch(says);
  });

  test("an entity bomb stays the text that it is", async () => {
    const bomb = `<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "${"x".repeat(1000)}"><!ENTITY b "${"&a;".repeat(1000)}">]><metadata>${"&b;".repeat(1000)}</metadata>`;
    let characters = 0;
    const count = (text: string): void => void (characters += text.length);
    await readXml([Buffer.from(bomb)], "metadata", { open() {}, text: count, close() {} }).catch((error: unknown) =>
      expect(error).toBeInstanceOf(MalformedError),
    );
    expect(characters).toBeLessThanOrEqual(bomb.length);
  });

  test.each<[string, (typeof KINDS)[number], () => Promise<Uint8Array>, RegExp | null]>([
    ["a desc of one line", "pacman", () => packTar([pacmanDesc("a-1-1/desc", { FILENAME: "x".repeat(900_000) })]), null],
    ["a desc of empty lines", "pacman", () => tar("a-1-1/desc", "\n".repeat(1_000_000)), null],
    ["a desc of blanks", "pacman", () => tar("a-1-1/desc", `%FILENAME%\n${" ".repeat(1_000_000)}`), null],
    ["thousands of files", "pacman", () => packTar(Array.from({ length: 20_000 }, (_, n) => pacmanDesc(`a${n}-1-1/desc`, {}))), null],
    ["an APKINDEX of blanks", "apk", () => tar("APKINDEX", `P:${" ".repeat(M)}`), null],
    ["an APKINDEX of empty lines", "apk", () => tar("APKINDEX", "\n".repeat(M)), null],
    ["an APKINDEX of colons", "apk", () => tar("APKINDEX", ":".repeat(M)), null],
  ])("archives: %s (%s)", async (_name, kind, make, says) => {
    const error = await read(kind, await make());
    if (says === null) expect(error).toBeNull();
    else expect(error).toMatch(says);
  });
});

test("a turn of XML is as short as one of bytes, be it all elements", async () => {
  const text = xml(`<file type="dir">/a</file>`.repeat(60_000));
  let [elements, since, longest, breaths] = [0, 0, 0, 0];
  const breathe = async (): Promise<void> => {
    breaths++;
    since = 0;
  };
  const open = (): void => {
    elements++;
    longest = Math.max(longest, ++since);
  };
  await readXml([Buffer.from(text)], "metadata", { open, text() {}, close() {} }, { breathe });
  expect(elements).toBe(60_001);
  expect(breaths).toBeGreaterThan(text.length / UNITS_PER_TURN);
  // Between two breaths at most UNITS_PER_TURN and one piece of 64 KB.
  expect(longest).toBeLessThan((UNITS_PER_TURN + 65_536) / 26);
});

describe("whatever comes, a parser throws nothing but MalformedError", () => {
  const text = fc.array(
    fc.constantFrom(
      ...Array.from("<>/=\"'&;! \t\r\n\0:%-?[]ax9\u00e9"),
      "<metadata>",
      "<package>",
      "</package>",
      "<location href=",
      "Package:",
      "Filename: ",
      "\n\n",
      " ".repeat(300),
      "%FILENAME%\n",
      "P:a\nV:1\n",
    ),
    { maxLength: 200 },
  );
  const bytes = fc.oneof(
    fc.uint8Array(),
    text.map((parts) => Buffer.from(parts.join(""))),
  );
  test.each(KINDS)("%s", async (kind) => {
    const good = {
      "rpm-md": Buffer.from(primary({ "a.rpm": "a" })),
      deb: Buffer.from(packages({ "a.deb": "a" })),
      pacman: await pacmanDatabase({ a: "a" }),
      apk: await tar("APKINDEX", "P:a\nV:1\n"),
    };
    const around = fc
      .tuple(fc.nat(good[kind].length), bytes)
      .map(([at, inserted]) => Buffer.concat([good[kind].subarray(0, at), inserted, good[kind].subarray(at)]));
    await fc.assert(
      fc.asyncProperty(fc.oneof(bytes, around), fc.integer({ min: 1, max: 2000 }), fc.boolean(), async (input, chunkBytes, isPacked) => {
        await read(kind, isPacked ? gzipSync(input) : input, chunkBytes);
      }),
      { numRuns: 200 },
    );
  });
});

/** A gzip file of `start` and then `unit` over and over, made without holding what it opens to. */
function gzipOf(start: string, unit: string, length: number): Uint8Array {
  // Members behind each other are one file.
  const part = gzipSync(unit.repeat(Math.floor((16 * MIB) / unit.length)), { level: 9 });
  return Buffer.concat([gzipSync(start), ...Array.from({ length: Math.floor(length / (16 * MIB)) }, () => part)]);
}
