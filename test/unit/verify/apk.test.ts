import { gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createApkDigest } from "../../../src/verify/apk.ts";
import { toHex } from "../../../src/verify/expectation.ts";
import { makeApk } from "../../support/apk-package.ts";
import { createNodeDigest, mutationsOf } from "../../support/verifying.ts";

async function digestOf(bytes: Uint8Array, chunkBytes = 65_536): Promise<string> {
  const digest = createApkDigest(createNodeDigest);
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const chunk = bytes.slice(at, at + chunkBytes);
    await digest.update(chunk);
    chunk.fill(0xff);
  }
  return toHex(await digest.digest());
}

const flipped = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte));
/** Content that gzip cannot make small: the data segment is longer than any one piece. */
const noise = Uint8Array.from({ length: 300_000 }, (_, n) => Math.imul(n * n + 7, 2_654_435_761) >>> 24);

describe.each([{ isUnsigned: false }, { isUnsigned: true }])("a package with %o", (options) => {
  test("has the SHA-1 of its control segment, however its bytes arrive", async () => {
    const apk = await makeApk(noise, options);
    for (const size of [1, 7, 100, 4096, 65_536, 1e7]) expect(await digestOf(apk.bytes, size)).toBe(apk.control);
  });

  test("has another one, or none, for each flipped byte of control segment and data", async () => {
    const { bytes, control, segment } = await makeApk("some content of a file", options);
    for (let at = segment[0]; at < bytes.length; at++) expect(await digestOf(flipped(bytes, at)), `byte ${at}`).not.toBe(control);
  });

  test("that is cut, or has more behind it, has none", async () => {
    const { bytes } = await makeApk("some content of a file", options);
    for (let length = 0; length < bytes.length; length++) expect(await digestOf(bytes.subarray(0, length))).toBe("");
    expect(await digestOf(Uint8Array.of(...bytes, 0))).toBe("");
  });
});

test("the signature is apk's to verify: another one changes nothing", async () => {
  const { bytes, control, segment } = await makeApk("x");
  const signature = gzipSync(Buffer.concat([Buffer.from(".SIGN.RSA.other.rsa.pub"), Buffer.alloc(489), Buffer.alloc(512)]));
  expect(await digestOf(new Uint8Array(Buffer.concat([signature, bytes.subarray(segment[0])])))).toBe(control);
});

test("a control segment without datahash binds itself alone", async () => {
  const { bytes, control } = await makeApk("x", { hasDataHash: false });
  expect(await digestOf(bytes)).toBe(control);
});

test.each<[string, string]>([
  ["millions of empty lines", "\n".repeat(7_000_000)],
  ["a line of its name over and over", `pkgdesc = ${"datahash = ".repeat(600_000)}\n`],
  ["fields that are named like it", "datahashes = 1\ndatahash\nxdatahash = 2\n"],
])("%s before datahash take no long turn, and hide it from nothing", async (_name, info) => {
  const { bytes, control, segment } = await makeApk("x", { info });
  const { user } = process.cpuUsage();
  expect(await digestOf(bytes)).toBe(control);
  expect(await digestOf(flipped(bytes, segment[1] + 20))).toBe("");
  expect(process.cpuUsage().user - user).toBeLessThan(5_000_000);
});

test.each<[string, () => Promise<Uint8Array> | Uint8Array]>([
  ["an HTML page", () => Buffer.from("<html>".repeat(1000))],
  ["nothing", () => new Uint8Array()],
  ["zeros", () => new Uint8Array(100_000)],
  ["a gigabyte in its control segment", async () => gzipSync(Buffer.alloc(64 * 1024 * 1024))],
  ["thousands of empty members", () => Buffer.concat(Array.from({ length: 5000 }, () => gzipSync(".SIGN.")))],
  ["two megabytes before its control segment ends", () => gzipSync(Buffer.from(noise.toString().repeat(8)), { level: 0 })],
])("%s has none", async (_name, make) => {
  expect(await digestOf(await make())).toBe("");
});

test("whatever becomes of a package, nothing is thrown", async () => {
  const { bytes, control, segment } = await makeApk("x");
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array(), mutationsOf(bytes)), fc.integer({ min: 1, max: 600 }), async (input, chunkBytes) => {
      const isSame = Buffer.from(input)
        .subarray(-bytes.length + segment[0])
        .equals(Buffer.from(bytes).subarray(segment[0]));
      const digest = await digestOf(input, chunkBytes);
      if (!isSame) expect(digest).not.toBe(control);
    }),
    { numRuns: 500 },
  );
});
