import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createCheck, type CheckOptions } from "../../../../src/fill/pump/check.ts";
import type { CreateDigest } from "../../../../src/verify/digest-ranges.ts";
import type { Known } from "../../../../src/verify/expectation.ts";
import { HTML_SNIFF_BYTES } from "../../../../src/verify/html.ts";
import { makeApk } from "../../../support/apk-package.ts";
import { craftRpm } from "../../../support/crafted-rpm.ts";
import { makeNoise } from "../../../support/fixture.ts";
import { makeDeb } from "../../../support/large-files.ts";

const createDigest: CreateDigest = (algorithm) => {
  const hash = createHash(algorithm.replace("-", "").toLowerCase());
  return { update: (chunk) => void hash.update(chunk), digest: async () => new Uint8Array(hash.digest()) };
};

const OPTIONS: CheckOptions = {
  target: { path: "pool/a.rpm", class: "package" },
  contentType: "application/octet-stream",
  contentLength: undefined,
  expected: { kind: "none" },
  deep: true,
  isKept: true,
  createDigest,
};
const RPM = craftRpm({ payload: makeNoise("check", 20_000), format: "v4" }).bytes;
const sha256Of = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const PAGE = Buffer.from(`<!-- ${"x".repeat(300)} -->\n<!DOCTYPE html><html><body>${"Please log in. ".repeat(500)}</body></html>\n`);

async function feed(check: ReturnType<typeof createCheck>, bytes: Uint8Array, cuts: readonly number[]): Promise<void> {
  let from = 0;
  for (const cut of [...cuts.map((at) => at % bytes.length).toSorted((a, b) => a - b), bytes.length]) {
    if (cut > from) await check.feed(bytes.subarray(from, cut));
    from = Math.max(from, cut);
  }
}
const cuts = fc.array(fc.nat({ max: 30_000 }), { maxLength: 12 });

describe("the check of a body", () => {
  it("knows a page of HTML in place of a package, however it was cut into chunks", async () => {
    await fc.assert(
      fc.asyncProperty(cuts, fc.constantFrom("pool/a.rpm", "pool/a.tar.xz", "pool/a.apk"), async (at, path) => {
        const check = createCheck({ ...OPTIONS, target: { path, class: "package" } });
        await feed(check, PAGE, at);
        expect(check.broken()).toContain("HTML");
        expect(await check.finish()).toMatchObject({ ok: false });
      }),
    );
  });

  it("knows a page that is shorter than what it takes to tell", async () => {
    const check = createCheck({ ...OPTIONS, target: { path: "pool/a.apk", class: "package" } });
    await feed(check, Buffer.from("<html></html>"), [1, 2, 3]);
    expect(await check.finish()).toMatchObject({ ok: false });
  });

  it("promises nothing before it has seen enough to tell a page by", async () => {
    const check = createCheck({ ...OPTIONS, target: { path: "pool/a.tar.xz", class: "package" } });
    await check.feed(makeNoise("tar", HTML_SNIFF_BYTES - 1));
    expect(check.declared().kind).toBe("pending");
    await check.feed(makeNoise("tar", 200_000));
    expect(check.declared().kind).toBe("unknown");
  });

  it("compares an apk with what the index says of its control segment, and refuses one with a flipped byte", async () => {
    const { bytes, control } = await makeApk("content");
    const expectations = [{ algorithm: "apk-control-sha1", digest: control, size: bytes.length, source: "index" }] as const;
    const options: CheckOptions = {
      ...OPTIONS,
      target: { path: "x86_64/a-1-r0.apk", class: "package" },
      expected: { kind: "known", expectations },
    };
    const good = createCheck(options);
    await feed(good, bytes, [100, 300]);
    expect(await good.finish()).toMatchObject({ ok: true, verified: "digest", sha256: sha256Of(bytes) });
    const bad = createCheck(options);
    await feed(
      bad,
      bytes.map((byte, at) => (at === bytes.length - 20 ? byte ^ 1 : byte)),
      [100, 300],
    );
    expect(await bad.finish()).toMatchObject({ ok: false });
  });

  it("takes a page for what it is where pages are expected", async () => {
    const check = createCheck({ ...OPTIONS, target: { path: "dists/", class: "volatile" } });
    await feed(check, PAGE, [3]);
    expect(await check.finish()).toEqual({ ok: true, verified: "length", sha256: sha256Of(PAGE) });
  });

  it("finds whole packages whole, and cut ones broken, however they were cut into chunks", async () => {
    await fc.assert(
      fc.asyncProperty(cuts, fc.nat(), async (at, end) => {
        const whole = createCheck(OPTIONS);
        await feed(whole, RPM, at);
        expect(await whole.finish()).toEqual({ ok: true, verified: "structure", sha256: sha256Of(RPM) });
        const cut = createCheck(OPTIONS);
        await feed(cut, RPM.subarray(0, end % RPM.length), at);
        expect(await cut.finish()).toMatchObject({ ok: false });
      }),
      { numRuns: 60 },
    );
  });

  it("finds a flipped byte of an rpm's payload only where it may look that deep", async () => {
    const bad = RPM.slice();
    bad[bad.length - 5] = (bad.at(-5) ?? 0) ^ 1;
    for (const [deep, ok] of [
      [true, false],
      [false, true],
    ] as const) {
      const check = createCheck({ ...OPTIONS, deep });
      await feed(check, bad, [100, 5000]);
      expect((await check.finish()).ok).toBe(ok);
    }
  });

  it("computes no digest of what is not kept, unless an index may name it", async () => {
    for (const [isKept, kind, isComputed] of [
      [true, "none", true],
      [false, "none", false],
      [false, "building", true],
    ] as const) {
      const check = createCheck({ ...OPTIONS, isKept, expected: { kind } });
      await feed(check, RPM, []);
      expect(await check.finish()).toMatchObject({ ok: true, verified: "structure" });
      expect(check.measured().digests.has("sha256")).toBe(isComputed);
    }
  });

  it("refuses a file that declares another length than the upstream stated", async () => {
    const check = createCheck({ ...OPTIONS, contentLength: RPM.length + 1 });
    await check.feed(RPM.subarray(0, 5000));
    expect(check.broken()).toContain("Content-Length");
  });

  it("accepts the digest that the content should have, and nothing else", async () => {
    const bytes = makeDeb("digest", 4_000);
    const digest = createHash("sha256").update(bytes).digest("hex");
    const expectation = { algorithm: "sha256", digest, size: bytes.length, source: "index" } as const;
    const verdict = async (of: Uint8Array, named = expectation): Promise<unknown> => {
      const target = { path: "pool/a.deb", class: "package" } as const;
      const check = createCheck({ ...OPTIONS, target, expected: { kind: "known", expectations: [named] } });
      await feed(check, of, [10]);
      return check.finish();
    };
    expect(await verdict(bytes)).toEqual({ ok: true, verified: "digest", sha256: digest });
    const flipped = bytes.map((byte, index) => (index === 3_000 ? byte ^ 1 : byte));
    expect(await verdict(flipped)).toMatchObject({ ok: false });
    expect(await verdict(bytes, { ...expectation, size: bytes.length + 1 })).toMatchObject({ ok: false });
  });

  it("lets the digest decide over what the bytes look like: a page, or a structure that seems broken", async () => {
    for (const bytes of [PAGE, RPM.subarray(0, 10_000)]) {
      const expectations = [{ algorithm: "sha256", digest: sha256Of(bytes), size: bytes.length, source: "index" }] as const;
      const check = createCheck({
        ...OPTIONS,
        contentLength: bytes.length,
        contentType: "text/html",
        expected: { kind: "known", expectations },
      });
      await feed(check, bytes, [700]);
      expect(check.broken()).toBeNull();
      expect(await check.finish()).toMatchObject({ ok: true, verified: "digest" });
    }
  });

  it("refuses early what has the length of neither the index nor its own header; what only the index contradicts, at its end", async () => {
    const expectations = [{ algorithm: "sha256", digest: sha256Of(RPM), size: RPM.length, source: "index" }] as const;
    const cut = createCheck({ ...OPTIONS, contentLength: RPM.length - 1, expected: { kind: "known", expectations } });
    await cut.feed(RPM.subarray(0, 5_000));
    expect(cut.broken()).toContain("Content-Length");
    // The index may have changed meanwhile: it is asked anew before a mismatch counts.
    const other = craftRpm({ payload: makeNoise("other", 30_000), format: "v4" }).bytes;
    const rebuilt = createCheck({ ...OPTIONS, contentLength: other.length, expected: { kind: "known", expectations } });
    await feed(rebuilt, other, [5_000]);
    expect(rebuilt.broken()).toBeNull();
    expect(await rebuilt.finish()).toMatchObject({ ok: false, isMismatch: true });
  });

  it("accepts any of several files that indexes name, each by its own algorithm, size and digest together", async () => {
    const [one, other] = [makeDeb("one", 4_000), makeDeb("other", 5_000)];
    const nameBy = (algorithm: "sha256" | "sha512" | "md5", bytes: Uint8Array, size = bytes.length) =>
      ({ algorithm, digest: createHash(algorithm).update(bytes).digest("hex"), size, source: "index" }) as const;
    const verdict = async (of: Uint8Array, ...expectations: Known["expectations"]): Promise<unknown> => {
      const check = createCheck({
        ...OPTIONS,
        target: { path: "pool/a.deb", class: "package" },
        expected: { kind: "known", expectations },
      });
      await feed(check, of, [10]);
      return check.finish();
    };
    for (const bytes of [one, other]) {
      expect(await verdict(bytes, nameBy("sha512", one), nameBy("sha256", other))).toMatchObject({ ok: true, verified: "digest" });
      expect(await verdict(bytes, nameBy("md5", other), nameBy("md5", one))).toMatchObject({ ok: true, verified: "digest" });
    }
    expect(await verdict(one, nameBy("sha256", one, other.length), nameBy("sha256", other, one.length))).toMatchObject({ ok: false });
    expect(await verdict(makeDeb("third", 4_000), nameBy("sha256", one), nameBy("sha256", other))).toMatchObject({ ok: false });
  });

  it("tells the SHA-256 of each file, except where that is too dear, and there too if an index is about to name it", async () => {
    const verdict = async (options: Partial<CheckOptions>): Promise<unknown> => {
      const check = createCheck({ ...OPTIONS, ...options });
      await check.feed(RPM);
      return check.finish();
    };
    const proven = { ok: true, verified: "structure" };
    expect(await verdict({})).toEqual({ ...proven, sha256: sha256Of(RPM) });
    expect(await verdict({ deep: false })).toEqual(proven);
    expect(await verdict({ deep: false, expected: { kind: "building" } })).toEqual({ ...proven, sha256: sha256Of(RPM) });
  });
});
