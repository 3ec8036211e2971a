import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createVerifier } from "../../../src/verify/create-verifier.ts";
import { craftRpm } from "../../support/crafted-rpm.ts";
import { makeNoise } from "../../support/fixture.ts";
import { anyCuts, createNodeDigest, judge } from "../../support/verifying.ts";

const noise = (length: number): Uint8Array => new Uint8Array(makeNoise("sample", length));

const PACKAGE_NAMES = ["a.rpm", "a.drpm", "a.deb", "a.udeb", "a.iso", "A.RPM", "a.pkg.tar.zst", "a.tar.xz"];
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("under the name of a package", () => {
  test.each(PACKAGE_NAMES)("an HTML page is broken, as soon as it shows: %s", async (name) => {
    const page = bytesOf(`<!doctype html>${" ".repeat(2000)}`);
    const verifier = createVerifier(name, {});
    await verifier.feed(page.subarray(0, 1500));
    expect(verifier.broken()).toContain("HTML");
    expect((await judge(name, bytesOf("<html>404</html>"))).verdict.kind).toBe("broken");
  });

  test.each(PACKAGE_NAMES)("nothing at all is broken: %s", async (name) => {
    expect((await judge(name, new Uint8Array())).verdict.kind).toBe("broken");
  });

  test.each(PACKAGE_NAMES)("bytes that are no package are unknown, for their length to prove: %s", async (name) => {
    for (const bytes of [bytesOf("no package"), bytesOf("x"), noise(100_000), Uint8Array.of(0x1f, 0x8b, 8)]) {
      expect(await judge(name, bytes)).toMatchObject({ verdict: { kind: "unknown" } });
    }
  });

  test("the content decides, not the name", async () => {
    const { bytes } = craftRpm({ format: "v4", payload: noise(100) });
    expect((await judge("a.deb", bytes)).verdict.kind).toBe("whole");
    expect((await judge("a.deb", bytes.subarray(0, -1))).verdict.kind).toBe("broken");
  });
});

describe("under any other name", () => {
  test.each(["index.html", "a.pkg.tar.gz", "a.apk", "a.tar.xz.sig", "rpm", "dir.rpm/file", "x.constructor"])(
    "no bytes and HTML are unknown: %s",
    async (name) => {
      for (const bytes of [new Uint8Array(), bytesOf("<html>"), Uint8Array.of(0xed, 0xab), bytesOf("!<arch")]) {
        expect((await judge(name, bytes)).verdict.kind).toBe("unknown");
      }
    },
  );
});

describe("a verifier", () => {
  test("has settled the declared length after 1 MiB of anything", async () => {
    const verifier = createVerifier("a.rpm", {});
    await verifier.feed(craftRpm({ format: "v6", payload: noise(1), fillerBytes: 2 * 1024 * 1024 }).bytes.subarray(0, 1024 * 1024));
    expect(verifier.declared().kind).not.toBe("pending");
  });

  test("takes any bytes in any chunks under any name without throwing, and says the same of them", async () => {
    const magic = fc
      .constantFrom(
        "",
        "!<arch>\n",
        "!<arch>\ndebian-binary   ",
        "\u00ed\u00ab\u00ee\u00db",
        "\u0028\u00b5\u002f\u00fd",
        "\u00fd7zXZ\0\0\u0004",
        "<!doctype html>",
      )
      .map((text) => Buffer.from(text, "latin1"));
    await fc.assert(
      fc.asyncProperty(
        magic,
        fc.uint8Array({ maxLength: 3000 }),
        fc.constantFrom(...PACKAGE_NAMES, "a", ""),
        anyCuts,
        async (start, rest, name, cuts) => {
          const bytes = new Uint8Array(Buffer.concat([start, rest]));
          const asOne = await judge(name, bytes, { createDigest: createNodeDigest });
          expect(await judge(name, bytes, { createDigest: createNodeDigest, cuts })).toEqual(asOne);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("ignores what is fed after it was broken", async () => {
    const verifier = createVerifier("a.deb", { contentLength: 5 });
    await verifier.feed(craftRpm({ format: "v4", payload: noise(100) }).bytes);
    const reason = verifier.broken();
    expect(reason).not.toBeNull();
    await verifier.feed(noise(1000));
    expect(await verifier.finish()).toEqual({ kind: "broken", reason });
  });

  test("waits for digests that take their time", async () => {
    const slow: typeof createNodeDigest = (algorithm) => {
      const digest = createNodeDigest(algorithm);
      return { update: async (chunk) => digest.update(await Promise.resolve(chunk)), digest: async () => digest.digest() };
    };
    const { bytes } = craftRpm({ format: "v4", payload: noise(5000) });
    expect((await judge("a.rpm", bytes, { createDigest: slow, cuts: [0.1, 0.3, 0.6] })).verdict.kind).toBe("whole");
  });
});
