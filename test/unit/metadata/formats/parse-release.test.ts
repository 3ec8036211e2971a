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

test.each([
  ["a path that leads out", `SHA256:\n ${"2".repeat(64)} 1 main/../../etc/passwd\n`, "leads out"],
  ["an absolute path", `SHA256:\n ${"2".repeat(64)} 1 /etc/passwd\n`, "leads out"],
  ["HTML", "<html><body>504 Gateway Timeout</body></html>\n", "no field"],
  ["nothing", "", "lists no files"],
  ["a short digest", "SHA256:\n abc 1 Packages\n", "digest size path"],
  ["a size that is no number", `SHA256:\n ${"2".repeat(64)} -1 Packages\n`, "digest size path"],
  ["a date that is none", `Date: yesterday-ish\nSHA256:\n ${"2".repeat(64)} 1 Packages\n`, "no date"],
  [
    "more files than any repository has",
    `SHA256:\n${Array.from({ length: 20_001 }, (_, n) => ` ${"2".repeat(64)} 1 f${n}\n`).join("")}`,
    "more than",
  ],
])("%s is refused with the reason", async (_name, text, reason) => {
  expect(await parseRelease(bytes(text), "")).toEqual({ kind: "malformed", reason: expect.stringContaining(reason) });
});

test("no input makes it throw", async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array(), fc.string().map(bytes)), async (input) => {
      expect(["parsed", "malformed"]).toContain((await parseRelease(input, "dists/x")).kind);
    }),
  );
});
