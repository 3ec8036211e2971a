import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createVerifier } from "../../../src/verify/create-verifier.ts";
import { buildIso } from "../../support/packages.ts";
import { requireTools } from "../../support/run-tool.ts";
import { anyCuts, judge } from "../../support/verifying.ts";

const DESCRIPTOR_AT = 32_768;
const SECTOR = 2048;

function craftIso(blocks: number): Buffer {
  const image = Buffer.alloc(blocks * SECTOR);
  image.write("\x01CD001\x01", DESCRIPTOR_AT, "latin1");
  image.writeUInt32LE(blocks, DESCRIPTOR_AT + 80);
  image.writeUInt32BE(blocks, DESCRIPTOR_AT + 84);
  image.writeUInt16LE(SECTOR, DESCRIPTOR_AT + 128);
  return image;
}

describe.runIf(requireTools("genisoimage"))("a real image (genisoimage)", () => {
  test("is whole, and declares at least the blocks of its volume", async () => {
    const { name, bytes } = await buildIso();
    expect(await judge(name, bytes, { contentLength: bytes.length })).toEqual({
      verdict: { kind: "whole" },
      declared: { kind: "at-least", bytes: bytes.length },
    });
  });

  test("is never whole when cut", async () => {
    const { name, bytes } = await buildIso();
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), anyCuts, async (length, cuts) => {
        const { verdict } = await judge(name, bytes.subarray(0, length), { cuts });
        expect(verdict.kind).toBe(length > 0 && length < DESCRIPTOR_AT + 6 ? "unknown" : "broken");
      }),
    );
  });
});

describe("an image", () => {
  const image = craftIso(40);

  test("may be longer than its volume: padding and partitions follow", async () => {
    expect((await judge("a.iso", Buffer.concat([image, Buffer.alloc(300 * 1024)]))).verdict.kind).toBe("whole");
  });

  test("that upstream cut is known from its descriptor, against Content-Length", async () => {
    const verifier = createVerifier("a.iso", { contentLength: image.length - SECTOR });
    await verifier.feed(image.subarray(0, DESCRIPTOR_AT + SECTOR));
    expect(verifier.broken()).toContain(`at least ${image.length} bytes`);
  });

  test("whose little- and big-endian sizes differ, or whose blocks have no possible size, is broken", async () => {
    const differing = Buffer.from(image);
    differing.writeUInt32BE(41, DESCRIPTOR_AT + 84);
    expect((await judge("a.iso", differing)).verdict.kind).toBe("broken");
    const blockless = Buffer.from(image);
    blockless.writeUInt16LE(0, DESCRIPTOR_AT + 128);
    expect((await judge("a.iso", blockless)).verdict.kind).toBe("broken");
  });

  test("of another file system is unknown", async () => {
    expect(await judge("a.iso", Buffer.alloc(100 * 1024))).toEqual({ verdict: { kind: "unknown" }, declared: { kind: "unknown" } });
  });
});
