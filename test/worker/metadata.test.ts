import { env } from "cloudflare:test";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { createTableReader } from "../../src/metadata/digests/read-table.ts";
import { createRecordSorter } from "../../src/metadata/digests/sort-records.ts";
import { writeTable } from "../../src/metadata/digests/write-table.ts";
import { decompress } from "../../src/metadata/formats/decompress.ts";
import { parsePackages } from "../../src/metadata/formats/parse-packages.ts";
import { parsePacmanDatabase } from "../../src/metadata/formats/parse-pacman-database.ts";
import { parsePrimary } from "../../src/metadata/formats/parse-primary.ts";
import { MalformedError } from "../../src/metadata/formats/parsed-root.ts";
import { createIndexTables } from "../../src/metadata/digests/index-tables.ts";
import { createTableDirectory } from "../../src/metadata/digests/table-directory.ts";
import xz from "../../src/metadata/xz.wasm";
import { createR2Store } from "../../src/store/r2-store.ts";
import { brief, type Brief, chunked, packages, pacmanDatabase, primary, repomd, sha256 } from "../unit/metadata/samples.ts";
import { createWorld, memoryState, ONE, portOf, tableDependencies } from "../unit/metadata/world.ts";

const DECODERS = { xz, breathe: () => scheduler.wait(0) };
const FILES = Object.fromEntries(Array.from({ length: 2000 }, (_, n) => [`Packages/p-${n}.rpm`, `content ${n}`]));
const named = Object.entries(FILES).map(([path, content]): Brief => ({ path, size: content.length, sha256: sha256(content) }));

/** A primary.xml of 20,000 packages, `p-0.rpm` to `p-2.rpm` in turn, made with `zstd -19`: workerd cannot be trusted to make one itself. */
const ZSTD_PRIMARY =
  "KLUv/aB1vjEAHAUAkkYWF5DpATX0vEC/0P9px67b3FiWZSVO3eUezzW2VHqusaXSc42tpRSiVQkSUBkOr8yDJMV1mRwdESeG55vCdkTtkZ9bPi3Dr8w9dLGG/Ck7PuGG9NrRrwt+n3YdoCC4GvvHGKCjNK0BlfJizXs+1IfySX2oD/VJ/VAf6pPyoT7UJ/WhfqhP6hOoDztqgvoSKeAL2bQTs37qX5Jut7mXkJJLAVQAAAABAP3/Hfy5BgJEAAAAAQD9/zkAAkQAAAABAP3/OQACRAAAAAEA/f85AAJEAAAAAQD9/zkAAkQAAAABAP3/OQACRAAAAAEA/f85AAJEAAAAAQD9/zkAAkQAAAABAP3/OQACRAAAAAEA/f85AAJEAAAAAQD9/zkAAkQAAAABAP3/OQACRAAAAAEA/f85AAJEAAAAAQD9/zkAAkQAAAABAP3/OQACRAAAAAEA/f85AAJEAAAAAQD9/zkAAkQAAAABAP3/OQACRAAAAAEA/f85AAJEAAAAAQD9/zkAAkQAAAABAP3/OQACRAAAAAEA/f85AAJEAAAAAQD9/zkAAnUAABAvbQIAbr6REIjmm4Mg";

test("zstd is read in workerd, however its bytes arrive", async () => {
  for (const size of [1, 100, 100_000]) {
    let count = 0;
    await parsePrimary(decompress(chunked(Buffer.from(ZSTD_PRIMARY, "base64"), size), { ...DECODERS, maxBytes: 1e8 }), ({ location }) => {
      expect(location).toBe(`p-${count++ % 3}.rpm`);
    });
    expect(count).toBe(20_000);
  }
});

test.each([
  ["primary.xml", parsePrimary, primary(FILES)],
  ["Packages", parsePackages, packages(FILES)],
])("%s is read in workerd: plain and gzip", async (_name, parse, text) => {
  for (const content of [text, gzipSync(text)]) {
    const found: Brief[] = [];
    await parse(decompress(chunked(content, 65_536), { ...DECODERS, maxBytes: 1e8 }), (one) => found.push(brief(one)));
    expect(found).toEqual(named);
  }
});

test("a pacman database is read in workerd: plain and gzip, and a cut one is malformed", async () => {
  const files = Object.fromEntries(Array.from({ length: 2000 }, (_, n) => [`p${n}-1:1.0+1-1-any.pkg.tar.zst`, `content ${n}`]));
  const archive = await pacmanDatabase(files);
  for (const content of [archive, gzipSync(archive)]) {
    const found: Brief[] = [];
    await parsePacmanDatabase(decompress(chunked(content, 65_536), { ...DECODERS, maxBytes: 1e8 }), (one) => found.push(brief(one)));
    expect(found).toEqual(Object.entries(files).map(([path, text]) => ({ path, size: text.length, sha256: sha256(text) })));
    const cut = content.subarray(0, content.length - 2000);
    await expect(parsePacmanDatabase(decompress(chunked(cut, 4096), { ...DECODERS, maxBytes: 1e8 }), () => {})).rejects.toBeInstanceOf(
      MalformedError,
    );
    await expect(parsePacmanDatabase(decompress(chunked(content, 4096), { ...DECODERS, maxBytes: 1000 }), () => {})).rejects.toThrow(
      "more than 1000 bytes",
    );
  }
});

test("a cut index is malformed in workerd too, and a bomb ends at its limit", async () => {
  for (const bytes of [gzipSync(primary(FILES)), Buffer.from(ZSTD_PRIMARY, "base64")]) {
    const cut = bytes.subarray(0, bytes.length - 20);
    await expect(parsePrimary(decompress(chunked(cut, 4096), { ...DECODERS, maxBytes: 1e8 }), () => {})).rejects.toBeInstanceOf(
      MalformedError,
    );
    await expect(parsePrimary(decompress(chunked(bytes, 4096), { ...DECODERS, maxBytes: 1000 }), () => {})).rejects.toThrow(
      "more than 1000 bytes",
    );
  }
});

test("a repository is published, its table built and looked up on R2", async () => {
  const world = createWorld([ONE]);
  const store = createR2Store((env as unknown as { BUCKET: R2Bucket }).BUCKET);
  const index = gzipSync(primary(FILES));
  const href = `repodata/${sha256(index)}-primary.xml.gz`;
  world.origins[ONE] = {
    "os/repodata/repomd.xml": repomd({ revision: 1_767_000_000, data: { primary: [href, index] } }),
    [`os/${href}`]: index,
  };
  Object.assign(world.store, store);
  const directory = createTableDirectory({ kept: memoryState(), timer: world.timer, now: () => world.now });
  const tables = createIndexTables({ ...tableDependencies(world), ...DECODERS, directory: portOf(() => directory) });
  const repository = world.repository({ tables });
  const root = await repository.resolve("os/repodata/repomd.xml");
  if (root.kind !== "object") throw new Error(JSON.stringify(root));
  expect(await store.head(root.key)).toMatchObject({ version: root.object.version });
  await expect.poll(() => directory.lookUp("os/x", 0)).toMatchObject({ base: "os", building: false, tables: [{ root: "os/repodata" }] });
  const [table] = (await directory.lookUp("os/x", 0)).tables;
  const path = "Packages/p-1999.rpm";
  expect(table && (await createTableReader({ store }).lookUp(table, `os/${path}`))).toMatchObject([{ path: `os/${path}`, size: 12 }]);
});

test("a table of 100,000 packages is made and read in workerd, on R2", async () => {
  const store = createR2Store((env as unknown as { BUCKET: R2Bucket }).BUCKET);
  const parts: Uint8Array[] = [];
  const scratch = {
    write: async (part: Uint8Array) => parts.push(part) - 1,
    read: async (part: number) => parts[part] ?? new Uint8Array(),
    clear: async () => {},
  };
  const sorter = createRecordSorter({ scratch, breathe: () => new Promise((resolve) => setTimeout(resolve, 0)) });
  const digests = [{ algorithm: "sha256", digest: sha256("x") }] as const;
  for (let n = 0; n < 100_000; n++) {
    sorter.add({ path: `Packages/package-${n}.rpm`, size: n, digests });
    if (n % 1000 === 0) await sorter.relieve();
  }
  const table = await writeTable(sorter.sorted(), { store, now: () => Date.now() });
  const path = "Packages/package-99999.rpm";
  expect(await createTableReader({ store }).lookUp(table, path)).toEqual([{ path, size: 99_999, digests }]);
});
