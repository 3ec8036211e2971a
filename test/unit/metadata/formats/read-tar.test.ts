import { packTar } from "modern-tar";
import { expect, it } from "vitest";
import { MalformedError } from "../../../../src/metadata/formats/parsed-root.ts";
import { readTar } from "../../../../src/metadata/formats/read-tar.ts";

const ARCHIVE = await packTar([
  { header: { name: "a", size: 3 }, body: "one" },
  { header: { name: "empty", size: 0 }, body: "" },
  { header: { name: "b", size: 2000 }, body: "x".repeat(2000) },
]);

async function* chunked(bytes: Uint8Array, end?: Error): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700);
  if (end !== undefined) throw end;
}

async function sizesOf(chunks: AsyncIterable<Uint8Array>): Promise<Record<string, number>> {
  const sizes: Record<string, number> = {};
  await readTar(chunks, async ({ name }, body) => {
    sizes[name] = 0;
    for await (const chunk of body) sizes[name] += chunk.length;
  });
  return sizes;
}

it("gives each file with its bytes, also an empty one", async () => {
  expect(await sizesOf(chunked(ARCHIVE))).toEqual({ a: 3, empty: 0, b: 2000 });
});

it("throws what `read` throws as it is", async () => {
  const error = new Error("Cannot log in");
  await expect(readTar(chunked(ARCHIVE), () => Promise.reject(error))).rejects.toBe(error);
});

it.each([
  ["between files", 1024],
  ["within a file", 3000],
])("throws what its bytes throw as it is: %s", async (_where, at) => {
  const error = new Error("the disk failed");
  await expect(sizesOf(chunked(ARCHIVE.subarray(0, at), error))).rejects.toBe(error);
});

it.each([
  ["text", new TextEncoder().encode("no archive\n".repeat(200))],
  ["an archive that is cut off within a file", ARCHIVE.subarray(0, 3000)],
])("throws a MalformedError for %s", async (_what, bytes) => {
  const read = sizesOf(chunked(bytes));
  await expect(read).rejects.toBeInstanceOf(MalformedError);
  await expect(read).rejects.toThrow(/^it cannot be read as a tar archive: /);
});
