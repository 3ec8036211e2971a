import { existsSync, readdirSync, readFileSync } from "node:fs";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parseRelease } from "../../../../src/metadata/formats/parse-release.ts";
import { clearsigned, release } from "../samples.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const LISTS = "/var/lib/apt/lists";
const signedLists = existsSync(LISTS) ? readdirSync(LISTS).filter((name) => name.endsWith("_InRelease")) : [];

test("a Release gives its dates and the strongest digest of each file", async () => {
  const text = `Date: Sat, 11 Jul 2026 10:07:01 UTC\nValid-Until: Sat, 18 Jul 2026 10:07:01 UTC\nAcquire-By-Hash: yes
MD5Sum:\n ${"1".repeat(32)} 12 main/binary-amd64/Packages\nSHA256:\n ${"2".repeat(64)}       12 main/binary-amd64/Packages\n`;
  expect(await parseRelease(bytes(text), "debian/dists/sid")).toEqual({
    kind: "parsed",
    root: {
      revision: undefined,
      timestamp: Date.UTC(2026, 6, 11, 10, 7, 1) / 1000,
      validUntil: Date.UTC(2026, 6, 18, 10, 7, 1),
      byHash: true,
      entries: [{ path: "debian/dists/sid/main/binary-amd64/Packages", algorithm: "sha256", digest: "2".repeat(64), size: 12 }],
    },
  });
});

test.skipIf(signedLists.length === 0)("the InRelease files that apt fetched on this machine are read whole", async () => {
  for (const name of signedLists) {
    const parsed = await parseRelease(readFileSync(`${LISTS}/${name}`), "dists/suite");
    if (parsed.kind !== "parsed") throw new Error(`${name}: ${parsed.reason}`);
    expect(parsed.root.timestamp).toBeGreaterThan(1_700_000_000);
    expect(parsed.root.entries.length).toBeGreaterThan(100);
    expect(parsed.root.entries.every((entry) => entry.algorithm === "sha256")).toBe(true);
  }
});

test("an InRelease cut anywhere is malformed, though its beginning reads like a Release", async () => {
  const whole = clearsigned(release({ date: 1_700_000_000, files: { "main/binary-amd64/Packages": "x" } }));
  expect((await parseRelease(bytes(whole), "")).kind).toBe("parsed");
  for (let length = 0; length < whole.length - 2; length += 7) {
    expect((await parseRelease(bytes(whole.slice(0, length)), "")).kind).toBe("malformed");
  }
});

test("a path in a flat repository may begin with ./", async () => {
  const parsed = await parseRelease(bytes(`SHA256:\n ${"2".repeat(64)} 1 ./Packages\n`), "obs");
  expect(parsed).toMatchObject({ root: { entries: [{ path: "obs/Packages" }] } });
});

const GOOD = ` ${"2".repeat(64)} 1 Packages\n`;
const names = (paths: readonly string[]) => paths.map((path) => ({ path, algorithm: "sha256", digest: "2".repeat(64), size: 1 }));

test.each([
  ["a path that leads out", `SHA256:\n ${"2".repeat(64)} 1 main/../../etc/passwd\n${GOOD}`, "leads out"],
  ["an absolute path", `SHA256:\n ${"2".repeat(64)} 1 /etc/passwd\n${GOOD}`, "leads out"],
  ["a path that is no UTF-8", `SHA256:\n ${"2".repeat(64)} 1 caf\u00e9\n${GOOD}`, "leads out"],
  ["a short digest", `SHA256:\n abc 1 x\n${GOOD}`, "digest size path"],
  ["a size that is no number", `SHA256:\n ${"2".repeat(64)} -1 x\n${GOOD}`, "digest size path"],
  ["an entry without a path", `SHA256:\n ${"2".repeat(64)} 1\n${GOOD}`, "no path"],
  ["an endless entry", `SHA256:\n ${"2".repeat(64)} 1 ${"x".repeat(5000)}\n${GOOD}`, "digest size path"],
  ["a line that is no field", `what is this\nSHA256:\n${GOOD}`, "no field"],
  ["a colon without a name", `: x\nSHA256:\n${GOOD}`, "no field"],
  ["a date that is none", `Date: yesterday-ish\nSHA256:\n${GOOD}`, "no date"],
  ["a Valid-Until that is none", `Valid-Until: never\nSHA256:\n${GOOD}`, "no date"],
])("%s is passed over by itself, and counted", async (_name, text, reason) => {
  const latin1 = Uint8Array.from(text, (char) => char.charCodeAt(0));
  expect(await parseRelease(latin1, "")).toMatchObject({
    kind: "parsed",
    root: {
      timestamp: undefined,
      validUntil: undefined,
      entries: names(["Packages"]),
      skipped: { count: 1, example: expect.stringContaining(reason) },
    },
  });
});

test("files beyond the limit are skipped and counted", async () => {
  const text = `SHA256:\n${Array.from({ length: 20_003 }, (_, n) => ` ${"2".repeat(64)} 1 f${n}\n`).join("")}`;
  const parsed = await parseRelease(bytes(text), "");
  expect(parsed).toMatchObject({ kind: "parsed", root: { skipped: { count: 3, example: expect.stringContaining("more than 20000") } } });
  expect(parsed.kind === "parsed" && parsed.root.entries).toHaveLength(20_000);
});

const DATE = "Sat, 11 Jul 2026 10:07:01 UTC";
test.each([
  ["CRLF", `Date: ${DATE}\r\nAcquire-By-Hash: yes\r\nSHA256:\r\n ${"2".repeat(64)} 1 Packages\r\n`],
  ["a byte order mark", `\uFEFFDate: ${DATE}\nAcquire-By-Hash: yes\nSHA256:\n${GOOD}`],
  ["field names in any case", `DATE: ${DATE}\nacquire-by-HASH: yes\nsha256:\n${GOOD}`],
  ["another word for yes", `Date: ${DATE}\nAcquire-By-Hash: Yes\nSHA256:\n${GOOD}`],
  ["continuation by tab", `Date: ${DATE}\nAcquire-By-Hash: yes\nSHA256:\n\t${"2".repeat(64)}\t1\tPackages\n`],
  ["blanks before the colon", `Date : ${DATE}\nAcquire-By-Hash : yes\nSHA256 :\n${GOOD}`],
  ["an entry beside the name of its field", `Date: ${DATE}\nAcquire-By-Hash: yes\nSHA256:${GOOD}`],
  ["empty lines before the first stanza", `\n\nDate: ${DATE}\nAcquire-By-Hash: yes\nSHA256:\n${GOOD}`],
  [
    "a second stanza",
    `Date: ${DATE}\nAcquire-By-Hash: yes\nSHA256:\n${GOOD}\nDate: Sun, 12 Jul 2026 10:07:01 UTC\nSHA256:\n ${"3".repeat(64)} 1 Other\n`,
  ],
  ["digests of another kind", `Date: ${DATE}\nAcquire-By-Hash: yes\nBLAKE2:\n 00 1 Other\nSHA256:\n${GOOD}`],
  ["text before the armor", `Hello\n${clearsigned(`Date: ${DATE}\nAcquire-By-Hash: yes\nSHA256:\n${GOOD}`)}`],
  ["CRLF in an armor", clearsigned(`Date: ${DATE}\nAcquire-By-Hash: yes\nSHA256:\n${GOOD}`).replaceAll("\n", "\r\n")],
  [
    "two signatures",
    `${clearsigned(`Date: ${DATE}\nAcquire-By-Hash: yes\nSHA256:\n${GOOD}`)}-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n`,
  ],
])("%s is read as apt reads it", async (_name, text) => {
  const root = { timestamp: Date.UTC(2026, 6, 11, 10, 7, 1) / 1000, byHash: true, entries: names(["Packages"]) };
  expect(await parseRelease(bytes(text), "")).toMatchObject({ kind: "parsed", root });
});

test.each([
  ["HTML", "<html><body>504 Gateway Timeout</body></html>\n", "lists no files"],
  ["nothing", "", "lists no files"],
])("%s is refused with the reason", async (_name, text, reason) => {
  expect(await parseRelease(bytes(text), "")).toEqual({ kind: "malformed", reason: expect.stringContaining(reason) });
});

const MIB = 1024 * 1024;
test.each<[string, string]>([
  ["one line of 7 MB of blanks", `Date:${" ".repeat(7 * MIB)}x\nSHA256:\n`],
  ["8 MB without a line end", "x".repeat(8 * MIB)],
  ["8 MB of line ends", "\n".repeat(8 * MIB)],
  ["8 MB of carriage returns", "\r".repeat(8 * MIB)],
  ["lines of colons", ":\n".repeat(4 * MIB)],
  ["an entry of 7 MB of blanks", `SHA256:\n a${" ".repeat(7 * MIB)}b\n`],
  ["thousands of signed messages", "-----BEGIN PGP SIGNED MESSAGE-----\n".repeat(200_000)],
  ["a signed message of empty lines", `-----BEGIN PGP SIGNED MESSAGE-----\n${"\n \n".repeat(2 * MIB)}`],
])("%s is read in short turns", async (_name, text) => {
  let breaths = 0;
  const started = performance.now();
  await parseRelease(bytes(text), "", async () => void breaths++);
  expect(performance.now() - started).toBeLessThan(10_000);
  const lines = text.startsWith("-") ? 0 : text.split("\n").length - 1;
  expect(breaths).toBeGreaterThanOrEqual(Math.floor(lines / 10_000));
});

test("no input makes it throw", async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array(), fc.string().map(bytes)), async (input) => {
      expect(["parsed", "malformed"]).toContain((await parseRelease(input, "dists/x")).kind);
    }),
  );
});

test("what is no UTF-8 is decoded in turns", async () => {
  let turns = 0;
  const root = new Uint8Array(8 * 1024 * 1024).fill(0xff);
  root.set(new TextEncoder().encode(`SHA256:\n ${"0".repeat(64)} 1 a\n`));
  const parsed = await parseRelease(root, "", async () => void turns++);
  expect(parsed).toMatchObject({ kind: "parsed", root: { entries: [{ path: "a" }] } });
  expect(turns).toBeGreaterThanOrEqual(7);
});

test("a root of very long paths names no more of them than can be kept in a short turn", async () => {
  const line = (n: number): string => ` ${"0".repeat(64)} 1 ${"p".repeat(380)}/${n}\n`;
  const text = `SHA256:\n${Array.from({ length: 18_000 }, (_, n) => line(n)).join("")}`;
  const parsed = await parseRelease(bytes(text), "f".repeat(600));
  if (parsed.kind !== "parsed") throw new Error(parsed.reason);
  expect(JSON.stringify(parsed.root).length).toBeLessThan(5_000_000);
  expect(parsed.root.entries.length + (parsed.root.skipped?.count ?? 0)).toBe(18_000);
  expect(parsed.root.skipped?.example).toContain("too many long names");
});
