import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sizeSource } from "../../../../src/fill/pump/sized-source.ts";
import type { ByteSource } from "../../../../src/upstream/upstream.ts";
import { craftRpm } from "../../../support/crafted-rpm.ts";
import { makeNoise } from "../../../support/fixture.ts";
import { makeDeb } from "../../../support/large-files.ts";

const RPM = craftRpm({ payload: makeNoise("sized", 50_000), format: "v4" }).bytes;

/** Gives views of one buffer that the next read overwrites, as a source may. */
function sourceOf(bytes: Uint8Array, chunk: number): ByteSource & { cancelled: string[] } {
  const buffer = new Uint8Array(chunk);
  let at = 0;
  const cancelled: string[] = [];
  return {
    cancelled,
    async read() {
      const part = bytes.subarray(at, at + chunk);
      at += part.length;
      buffer.set(part);
      return part.length === 0 ? null : buffer.subarray(0, part.length);
    },
    cancel: (reason = "") => void cancelled.push(reason),
  };
}

async function readAll(source: ByteSource): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for (let part = await source.read(); part !== null; part = await source.read()) parts.push(part.slice());
  return Buffer.concat(parts);
}

describe("the length of a body that came without one", () => {
  it("is what an rpm declares, known from its beginning; all bytes follow", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 100, max: 60_000 }), async (chunk) => {
        const sized = await sizeSource(sourceOf(RPM, chunk), "a.rpm", 10_000_000);
        expect(sized).toMatchObject({ size: RPM.length, proven: true });
        expect((await readAll(sized?.source as ByteSource)).equals(Buffer.from(RPM))).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it("is what an rpm declares even where it was cut: so the cut shows", async () => {
    const sized = await sizeSource(sourceOf(RPM.subarray(0, 20_000), 1_000), "a.rpm", 10_000_000);
    expect(sized).toMatchObject({ size: RPM.length, proven: true });
    expect((await readAll(sized?.source as ByteSource)).length).toBe(20_000);
  });

  it("is what arrived where nothing declares it, and then proves nothing", async () => {
    const noise = makeNoise("unknown", 5_000);
    const sized = await sizeSource(sourceOf(noise, 700), "a.tar.xz", 10_000);
    expect(sized).toMatchObject({ size: noise.length, proven: false });
    expect((await readAll(sized?.source as ByteSource)).equals(noise)).toBe(true);
  });

  it("is not looked for beyond the limit", async () => {
    expect(await sizeSource(sourceOf(makeDeb("long", 20_000), 1_000), "a.deb", 10_000)).toBeNull();
  });

  it("lets the connection go when it is cancelled on the way", async () => {
    const source = sourceOf(RPM, 1_000);
    const sized = await sizeSource(source, "a.rpm", 10_000_000);
    sized?.source.cancel("enough");
    expect(source.cancelled).toEqual(["enough"]);
  });
});
