import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createVerifier } from "../../../src/verify/create-verifier.ts";
import { buildDeb, downloadDeb, type SamplePackage } from "../../support/packages.ts";
import { makeNoise } from "../../support/fixture.ts";
import { requireTools } from "../../support/run-tool.ts";
import { allOffsets, anyCuts, judge, mutationsOf } from "../../support/verifying.ts";

const noise = (length: number): Uint8Array => new Uint8Array(makeNoise("sample", length));

/** What an archive holds, by ar(5): members of odd size are padded by a newline. */
function craftAr(...members: readonly (readonly [name: string, content: Uint8Array | string])[]): Uint8Array {
  const parts = members.flatMap(([name, content]) => {
    const bytes = Buffer.from(content);
    const header = `${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}${String(bytes.length).padEnd(10)}\`\n`;
    return [Buffer.from(header), bytes, Buffer.from(bytes.length % 2 === 1 ? "\n" : "")];
  });
  return new Uint8Array(Buffer.concat([Buffer.from("!<arch>\n"), ...parts]));
}

const VERSION = ["debian-binary", "2.0\n"] as const;
const CONTROL = ["control.tar.xz", noise(101)] as const;
const DATA = ["data.tar.xz", noise(203)] as const;
const ODD = craftAr(VERSION, CONTROL, DATA);

/** Downloads are null where apt reaches no mirror; what dpkg-deb builds is always there. */
async function realDebs(): Promise<readonly SamplePackage[]> {
  const built = await Promise.all((["gzip", "xz", "zstd", "none"] as const).map(buildDeb));
  const downloaded = await Promise.all(["hostname", "bsdutils"].map(downloadDeb));
  return [...built, ...downloaded.filter((deb) => deb !== null)];
}

describe.runIf(requireTools("dpkg-deb", "apt-get"))("a real deb (dpkg-deb, apt-get)", () => {
  test("is whole, and its length exact, when Content-Length is that length", async () => {
    for (const { name, bytes } of await realDebs()) {
      expect(await judge(name, bytes, { contentLength: bytes.length })).toEqual({
        verdict: { kind: "whole" },
        declared: { kind: "exact", bytes: bytes.length },
      });
    }
  });

  test("is whole without Content-Length, though only its least length is known then", async () => {
    for (const { name, bytes } of await realDebs()) {
      expect(await judge(name, bytes)).toEqual({
        verdict: { kind: "whole" },
        declared: { kind: "at-least", bytes: bytes.length, isUsual: true },
      });
    }
  });

  test("is broken when cut at any offset, though the length that upstream states fits the cut", async () => {
    for (const { name, bytes } of await realDebs()) {
      for (const length of allOffsets(bytes.length)) {
        const { verdict } = await judge(name, bytes.subarray(0, length), { contentLength: length });
        if (verdict.kind !== "broken") expect.fail(`${name} cut to ${length} is ${verdict.kind}`);
      }
    }
  });

  test("is broken when anything follows", async () => {
    for (const { name, bytes } of await realDebs()) {
      for (const tail of [noise(1), noise(59), noise(60), noise(4000), new Uint8Array(512)]) {
        const longer = new Uint8Array(Buffer.concat([bytes, tail]));
        expect((await judge(name, longer)).verdict.kind).toBe("broken");
        expect((await judge(name, longer, { contentLength: bytes.length })).verdict.kind).toBe("broken");
      }
    }
  });

  test("that is mutated or cut into chunks is judged the same, and never throws", async () => {
    const { name, bytes } = await buildDeb("xz");
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.constant(bytes), mutationsOf(bytes)), anyCuts, async (file, cuts) => {
        const asOne = await judge(name, file);
        expect(await judge(name, file, { cuts })).toEqual(asOne);
      }),
      { numRuns: 500 },
    );
  });
});

describe("a deb", () => {
  test("of odd members counts the padding, the last one's too", async () => {
    expect((await judge("a.udeb", ODD)).verdict.kind).toBe("whole");
    expect((await judge("a.udeb", ODD.subarray(0, -1))).verdict.kind).toBe("broken");
  });

  test("that upstream cut is known by the header of data.tar, before its bytes have come", async () => {
    const dataAt = ODD.length - 204;
    const verifier = createVerifier("a.deb", { contentLength: ODD.length - 50 });
    await verifier.feed(ODD.subarray(0, dataAt));
    expect(verifier.broken()).toContain(`${ODD.length} bytes`);
  });

  test("may end in a signature behind its data, whose end is then the file's", async () => {
    const signed = craftAr(VERSION, CONTROL, DATA, ["_gpgorigin", noise(77)]);
    expect(await judge("a.deb", signed, { contentLength: signed.length })).toEqual({
      verdict: { kind: "whole" },
      declared: { kind: "exact", bytes: signed.length },
    });
    expect((await judge("a.deb", signed.subarray(0, -3))).verdict.kind).toBe("broken");
  });

  test("is known by its content when its name says nothing, and cut ones too", async () => {
    expect((await judge("download/7", ODD)).verdict.kind).toBe("whole");
    expect((await judge("download/7", ODD.subarray(0, 300))).verdict.kind).toBe("broken");
  });

  test.each([
    ["no data.tar", craftAr(VERSION, CONTROL)],
    ["a size that is no number", new Uint8Array(Buffer.from(Buffer.from(ODD).toString("latin1").replace("101  ", "1x1  "), "latin1"))],
    [
      "a member header without its magic",
      new Uint8Array(Buffer.from(Buffer.from(ODD).toString("latin1").replace("203       `\n", "203       ``"), "latin1")),
    ],
  ])("with %s is broken", async (_, bytes) => {
    expect((await judge("a.deb", bytes)).verdict.kind).toBe("broken");
  });

  test.each([
    ["an ar archive of objects", craftAr(["a.o/", noise(100)])],
    ["an ar archive with nothing in it, not under the name of a deb", craftAr()],
    ["a deb of format 3", craftAr(["debian-binary", "3.0\n"], CONTROL, DATA)],
  ])("is not what %s is", async (_, bytes) => {
    expect((await judge("libsample.a", bytes)).verdict.kind).toBe("unknown");
  });
});
