import { readFileSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { gunzipSync, gzipSync, zstdCompressSync } from "node:zlib";
import * as fc from "fast-check";
import { packTar } from "modern-tar";
import { describe, expect, test } from "vitest";
import { decompress } from "../../../../src/metadata/formats/decompress.ts";
import { parsePacmanDatabase } from "../../../../src/metadata/formats/parse-pacman-database.ts";
import { MalformedError } from "../../../../src/metadata/formats/parsed-root.ts";
import { sha256 as fileSha256 } from "../../../support/fixture.ts";
import { openPacmanRepository } from "../../../support/pacman-repository.ts";
import { requireTools } from "../../../support/run-tool.ts";
import { mutationsOf } from "../../../support/verifying.ts";
import { DECODERS } from "../../../support/decompressing.ts";
import { brief, type Brief, chunked, pacmanDatabase, pacmanDesc, sha256 } from "../samples.ts";

const MIB = 1024 * 1024;
const FILES = { "a-1.0-1-any.pkg.tar.zst": "aaa", "b++-1:2.0+g1-1-x86_64.pkg.tar.xz": "bb" };
const SUM = sha256("aaa");

async function all(bytes: Uint8Array, chunkBytes = 65_536, limit = 1e7): Promise<readonly Brief[]> {
  const found: Brief[] = [];
  await parsePacmanDatabase(decompress(chunked(bytes, chunkBytes), { ...DECODERS, maxBytes: limit }), (named) => found.push(brief(named)));
  return found;
}

describe.runIf(requireTools("tar", "zstd"))("a database of a pacman repository (tar, zstd)", () => {
  test("gives file name, size and SHA-256 of each package, also under names too long for tar's header; so does its .files twin", async () => {
    const repository = await openPacmanRepository();
    try {
      await repository.add({ name: `mirror-test-${"long".repeat(30)}`, version: "1.0-1", bytes: 1000 });
      await repository.publish();
      const expected = repository.paths().map((path): Brief => {
        const file = join(repository.folder, path);
        return { path: basename(path), size: statSync(file).size, sha256: fileSha256(file) };
      });
      expect(expected).toHaveLength(4);
      for (const name of ["core.db", "core.files"]) {
        const gzip = readFileSync(join(repository.folder, "core/os/x86_64", name));
        const archive = gunzipSync(gzip);
        for (const content of [gzip, archive, zstdCompressSync(archive)]) {
          expect((await all(content)).toSorted((a, b) => a.path.localeCompare(b.path))).toEqual(
            expected.toSorted((a, b) => a.path.localeCompare(b.path)),
          );
        }
      }
    } finally {
      rmSync(repository.folder, { recursive: true });
    }
  });
});

test("a database is read however its bytes arrive", async () => {
  const archive = await pacmanDatabase(FILES);
  for (const chunkBytes of [1, 7, 511, 512, 100_000]) {
    expect(await all(archive, chunkBytes)).toEqual([
      { path: "a-1.0-1-any.pkg.tar.zst", size: 3, sha256: SUM },
      { path: "b++-1:2.0+g1-1-x86_64.pkg.tar.xz", size: 2, sha256: sha256("bb") },
    ]);
  }
});

test("a package is bound by what its desc states, be it MD5 alone or no size; what has no file name and all other files are passed over", async () => {
  const good = { FILENAME: "a.pkg.tar.zst", CSIZE: "3", SHA256SUM: SUM };
  const archive = await packTar([
    pacmanDesc("a-1-1/desc", { FILENAME: "a.pkg.tar.zst", CSIZE: "3", MD5SUM: "0".repeat(32) }),
    pacmanDesc("b-1-1/desc", { FILENAME: "a.pkg.tar.zst", CSIZE: "-3", SHA256SUM: SUM }),
    pacmanDesc("c-1-1/desc", { CSIZE: "3", SHA256SUM: SUM }),
    pacmanDesc("d-1-1/files", good),
    pacmanDesc("desc", good),
    { header: { name: "e-1-1/desc", type: "symlink" as const, linkname: "../../desc", size: 0 } },
    pacmanDesc("f-1-1/desc", { DESC: "%FILENAME%", ...good, SHA256SUM: SUM.toUpperCase() }),
  ]);
  expect(await all(archive)).toEqual([
    { path: "a.pkg.tar.zst", size: 3, sha256: undefined },
    { path: "a.pkg.tar.zst", size: undefined, sha256: SUM },
    { path: "a.pkg.tar.zst", size: 3, sha256: SUM },
  ]);
});

test.each(["../../etc/passwd", "/etc/passwd", "pool/a.pkg.tar.zst", "..", ".hidden", "x".repeat(5000)])(
  "a file name that leads elsewhere is skipped by itself: %j",
  async (name) => {
    const archive = await pacmanDatabase({ [name]: "x", ...FILES });
    const found: string[] = [];
    const report = await parsePacmanDatabase(chunked(archive, 65_536), ({ location }) => found.push(location));
    expect(found).toEqual(Object.keys(FILES));
    expect(report).toMatchObject({ found: 2, skipped: 1 });
    expect(report.example).toContain(name.slice(0, 100));
  },
);

test("a desc of megabytes is skipped by itself", async () => {
  const archive = await packTar([
    pacmanDesc("long-1-1/desc", { FILENAME: "long.pkg.tar.zst", DESC: "x".repeat(MIB), SHA256SUM: SUM }),
    pacmanDesc("a-1-1/desc", { FILENAME: "a.pkg.tar.zst", CSIZE: "3", SHA256SUM: SUM }),
  ]);
  const found: string[] = [];
  const report = await parsePacmanDatabase(chunked(archive, 65_536), ({ location }) => found.push(location));
  expect(found).toEqual(["a.pkg.tar.zst"]);
  expect(report).toEqual({ found: 1, skipped: 1, example: expect.stringContaining("long-1-1/desc") });
});

test.each<[string, () => Promise<Uint8Array> | Uint8Array, RegExp]>([
  ["with a name of megabytes", () => packTar([pacmanDesc(`${"x".repeat(9 * MIB)}/desc`, {})]), /maximum size/],
  ["that is cut", async () => (await pacmanDatabase(FILES)).subarray(0, 1800), /truncated/],
  ["that is an HTML page", () => new TextEncoder().encode(`<html>${" ".repeat(1000)}`), /tar archive/],
  ["with an altered header", async () => (await pacmanDatabase(FILES)).fill(0x30, 0, 2), /checksum/],
  ["that decompresses beyond its limit", () => gzipSync(new Uint8Array(32 * MIB)), /once decompressed/],
])("a database %s is malformed", async (_name, make, says) => {
  const failure = all(await make());
  await expect(failure).rejects.toBeInstanceOf(MalformedError);
  await expect(failure).rejects.toThrow(says);
});

test("no input makes the parser throw anything but MalformedError, or wait for ever", async () => {
  const archive = await pacmanDatabase(FILES);
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.uint8Array(), mutationsOf(archive), mutationsOf(gzipSync(archive))),
      fc.integer({ min: 1, max: 3000 }),
      async (input, chunkBytes) => {
        await all(input, chunkBytes, 1e6).catch((error: unknown) => expect(error).toBeInstanceOf(MalformedError));
      },
    ),
    { numRuns: 300 },
  );
});
