import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { craftRpm } from "../support/crafted-rpm.ts";
import { download } from "../support/download.ts";
import type { Download } from "../support/download.ts";
import { makeNoise } from "../support/fixture.ts";
import { makeDeb, makeIso, placeFile, placeSparseIso } from "../support/large-files.ts";
import type { PlacedFile } from "../support/large-files.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";

const MIB = 1_048_576;
const SLICE = 8 * MIB;

describe("npm start", () => {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-fill-"));
  let origin: Origin;
  let mirror: MirrorProcess;

  beforeAll(async () => {
    origin = await startOrigin(folder);
    mirror = await startMirror({
      mirrors: { any: { upstreams: [origin.url] }, koji: { upstreams: [origin.url], distro: "koji" } },
      vars: { UPSTREAM_STALL_SECONDS: 4, UPSTREAM_FIRST_BYTE_SECONDS: 3 },
    });
  });
  afterAll(async () => {
    await mirror?.remove();
    await origin?.close();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    await origin.idle();
    origin.clearFaults();
    origin.bytesPerSecond = undefined;
    origin.log.length = 0;
  });

  const url = ({ path }: { readonly path: string }): string => mirror.prefixUrl("any") + path;
  const get = (file: { readonly path: string }, headers: Record<string, string> = {}): Promise<Download> =>
    download(url(file), { headers, isKept: true });
  const gets = (path: string): number => origin.requests(path).filter(({ method }) => method === "GET").length;
  const sent = (path: string): number => origin.requests(path).reduce((sum, { bytes }) => sum + bytes, 0);
  const deb = (name: string, size: number): PlacedFile => placeFile(folder, `/fill/${name}.deb`, makeDeb(name, size));
  const iso = (name: string, size: number): PlacedFile => placeFile(folder, `/fill/${name}.iso`, makeIso(name, size));
  const rpm = (name: string, size: number, seconds?: number): PlacedFile =>
    placeFile(folder, `/fill/${name}.rpm`, craftRpm({ payload: makeNoise(`${name}${seconds}`, size), format: "v4" }).bytes, seconds);

  function expectExact({ status, length, sha256, isWhole }: Download, file: PlacedFile): void {
    expect({ status, length, sha256, isWhole }).toEqual({ status: 200, length: file.size, sha256: file.sha256, isWhole: true });
  }
  function expectPart(part: Download, file: PlacedFile, first: number, last: number): void {
    expect({ status: part.status, range: part.headers["content-range"], isWhole: part.isWhole }).toEqual({
      status: 206,
      range: `bytes ${first}-${last}/${file.size}`,
      isWhole: true,
    });
    expect(part.bytes.equals(file.bytes.subarray(first, last + 1))).toBe(true);
  }
  /** With the origin gone: exact from the store, or an error. */
  async function expectNothingBadStored(file: PlacedFile): Promise<void> {
    await origin.idle();
    await origin.close();
    const one = await get(file);
    await origin.restart();
    if (one.isWhole && one.status < 400) expectExact(one, file);
    else expect([0, 200, 502, 504]).toContain(one.status);
  }

  describe("fetches each byte once", () => {
    it("when 50 clients ask for one cold package at once", async () => {
      const file = deb("fifty", 20 * MIB);
      const all = await Promise.all(Array.from({ length: 50 }, () => download(url(file))));
      for (const one of all) expectExact(one, file);
      expect(gets(file.path)).toBe(1);
    });

    it("when 20 clients ask for an image, some for parts and some by HEAD", async () => {
      const file = iso("twenty", 200 * MIB);
      const parts = [3, 8, 13, 18].map((place) => ({ first: place * 9_000_000, last: place * 9_000_000 + 999_999 }));
      const heads = Array.from({ length: 4 }, () => download(url(file), { method: "HEAD" }));
      const wholes = Array.from({ length: 12 }, () => download(url(file)));
      const ranges = parts.map(({ first, last }) => get(file, { range: `bytes=${first}-${last}` }));
      for (const one of await Promise.all(wholes)) expectExact(one, file);
      for (const [index, one] of (await Promise.all(ranges)).entries())
        expectPart(one, file, parts[index]?.first ?? 0, parts[index]?.last ?? 0);
      for (const { status, headers, length } of await Promise.all(heads)) {
        expect({ status, length, told: headers["content-length"] }).toEqual({ status: 200, length: 0, told: String(file.size) });
      }
      // What a connection brought beyond the slice at which it met another's is lost: less than a slice for each.
      expect(sent(file.path)).toBeLessThan(file.size + gets(file.path) * (SLICE / 2) + SLICE);
    });

    it("when a killed download is resumed: only what is missing", async () => {
      const file = iso("killed", 48 * MIB);
      origin.bytesPerSecond = 40 * MIB;
      const begun = await download(url(file), { stopAt: 20 * MIB, isKept: true });
      await origin.idle();
      const before = sent(file.path);
      origin.bytesPerSecond = undefined;
      const rest = await get(file, { range: `bytes=${begun.length}-`, "if-range": begun.headers["last-modified"] ?? "" });
      expectPart(rest, file, begun.length, file.size - 1);
      expect(Buffer.concat([begun.bytes, rest.bytes]).equals(file.bytes)).toBe(true);
      expect(before).toBeLessThan(file.size);
      expect(sent(file.path)).toBeLessThan(file.size + SLICE);
      expectExact(await get(file), file);
      expect(gets(file.path)).toBe(2);
    });

    it("when the client that began it leaves while others follow", async () => {
      const file = iso("left", 48 * MIB);
      origin.bytesPerSecond = 40 * MIB;
      const leader = download(url(file), { stopAt: 15 * MIB });
      await origin.waitForRequest(file.path);
      const followers = Array.from({ length: 3 }, () => get(file));
      expect((await leader).isWhole).toBe(false);
      for (const one of await Promise.all(followers)) expectExact(one, file);
      expect(sent(file.path)).toBeLessThan(file.size + SLICE);
    });

    it("when several ranges of a cold image are asked for in one request", async () => {
      const file = iso("multi", 40 * MIB);
      const one = await get(file, { range: "bytes=100-199, 20000000-20000099, -100" });
      expect(one.status).toBe(206);
      expect(one.isWhole).toBe(true);
      for (const first of [100, 20_000_000, file.size - 100])
        expect(one.bytes.includes(file.bytes.subarray(first, first + 100))).toBe(true);
      expect(sent(file.path)).toBeLessThan(file.size + SLICE);
    });

    it("when the last MiB of a cold 4 GB image is asked for: two slices at most", async () => {
      const size = 4 * 1024 * MIB;
      placeSparseIso(folder, "/fill/sparse.iso", size, [size - MIB, size - 20]);
      const one = await get({ path: "/fill/sparse.iso" }, { range: `bytes=-${MIB}` });
      expect({ status: one.status, length: one.length }).toEqual({ status: 206, length: MIB });
      expect(one.bytes.toString("latin1", 0, 10)).toBe(String(size - MIB));
      expect(one.bytes.toString("latin1", MIB - 20, MIB - 10)).toBe(String(size - 20));
      expect(sent("/fill/sparse.iso")).toBeLessThanOrEqual(2 * SLICE);
    });

    it("when the upstream ignores Range: what comes first is stored on the way", async () => {
      const file = iso("unranged", 20 * MIB);
      origin.fault(file.path, { kind: "ignore-range" });
      expectPart(await get(file, { range: "bytes=18000000-18999999" }), file, 18_000_000, 18_999_999);
      expect(gets(file.path)).toBe(1);
      expectExact(await get(file), file);
      expect(gets(file.path)).toBeLessThanOrEqual(2);
    });

    it.each([1, 1_000, 20_000, 100_000, 3_000_000])(
      "when the last %d bytes of a cold package are asked for, cold and again",
      async (count) => {
        const file = rpm(`end-${count}`, 10 * MIB);
        for (const agent of ["curl/8", "python-requests/2.28.1", "curl/8"]) {
          expectPart(await get(file, { range: `bytes=-${count}`, "user-agent": agent }), file, file.size - count, file.size - 1);
        }
        expect(gets(file.path)).toBe(1);
      },
    );

    it("for HEAD: no body at all", async () => {
      const file = deb("head", 2 * MIB);
      expect((await download(url(file), { method: "HEAD" })).status).toBe(200);
      expect(gets(file.path)).toBe(0);
    });
  });

  describe("goes on", () => {
    it("after it was killed in the middle of a fill", async () => {
      const file = rpm("killed-9", 40 * MIB);
      origin.bytesPerSecond = 30 * MIB;
      let killed: Promise<void> | undefined;
      const cut = await download(url(file), { onBytes: (length) => void (length > 18 * MIB && (killed ??= mirror.kill())) });
      expect(cut.isWhole).toBe(false);
      await killed;
      await mirror.start();
      origin.bytesPerSecond = undefined;
      const before = sent(file.path);
      expectExact(await get(file), file);
      // What was stored is not fetched again.
      expect(sent(file.path) - before).toBeLessThan(file.size - SLICE);
      await expectNothingBadStored(file);
    });

    it("for the next client when all left in the middle of the first byte", async () => {
      const file = deb("nobody", 20 * MIB);
      await download(url(file), { stopAt: 1 });
      expectExact(await get(file), file);
      expect(sent(file.path)).toBeLessThan(file.size + SLICE);
    });
  });

  describe("lets a cut be seen by clients that do not compare lengths", () => {
    it.each(["python-requests/2.28.1", "Python-urllib/3.11", "koji/1.33"])("%s gets a cold streamed body in chunks", async (agent) => {
      const file = deb(`blind-${agent.slice(0, 4)}`, 10 * MIB);
      const cold = await get(file, { "user-agent": agent });
      expectExact(cold, file);
      expect(cold.headers["content-length"]).toBeUndefined();
      expect(cold.headers["transfer-encoding"]).toBe("chunked");
      const warm = await get(file, { "user-agent": agent });
      expectExact(warm, file);
      expect(warm.headers["content-length"]).toBe(String(file.size));
    });

    it("and a broken one ends without its last chunk", async () => {
      const file = rpm("blind-flip", 10 * MIB);
      origin.fault(file.path, { kind: "flip", at: 0.9 });
      const one = await get(file, { "user-agent": "python-requests/2.28.1" });
      expect(one.headers["content-length"]).toBeUndefined();
      expect(one.isWhole).toBe(false);
    });
  });

  describe("a package that a client doubts", () => {
    it.each([
      ["no-cache", () => ({ "cache-control": "no-cache" })],
      ["a conditional request", ({ headers }: Download) => ({ "if-modified-since": headers["last-modified"] ?? "" })],
    ])("by %s is asked about once a minute at most, and served when the upstream fails", async (name, headersFor) => {
      const file = deb(`doubt-${name.slice(0, 2)}`, MIB);
      const cold = await get(file);
      const headers = headersFor(cold);
      // The fill itself was the question, a moment ago.
      await get(file, headers);
      expect(gets(file.path)).toBe(1);
      await origin.close();
      const down = await get(file, headers);
      await origin.restart();
      expect([200, 304]).toContain(down.status);
      if (down.status === 200) expectExact(down, file);
    });
  });

  describe("a file that changes", () => {
    it("gives no client a mix of two versions when it changes between two parts", async () => {
      const old = iso("mix", 20 * MIB);
      expectPart(await get(old, { range: "bytes=0-99" }), old, 0, 99);
      await origin.idle();
      const changed = placeFile(folder, old.path, makeIso("mix-2", 20 * MIB), 1_700_000_500);
      const whole = await get(old);
      // The answer had begun with the old version: cut, or all new.
      if (whole.isWhole && whole.status === 200) expectExact(whole, changed);
      expectExact(await get(old), changed);
      const rest = await get(old, { range: "bytes=100-", "if-range": whole.headers.etag ?? "none" });
      if (rest.status === 206) expectPart(rest, changed, 100, changed.size - 1);
      else expectExact(rest, changed);
    });

    it("refuses every older validator after bad bytes were streamed", async () => {
      const file = rpm("spoiled", 10 * MIB);
      origin.fault(file.path, { kind: "flip", at: 0.2 });
      const bad = await get(file);
      expect(bad.isWhole).toBe(false);
      expect(bad.length).toBeGreaterThan(0);
      origin.clearFaults();
      for (const validator of [bad.headers["last-modified"] ?? "", bad.headers.etag ?? ""]) {
        expectExact(await get(file, { range: `bytes=${bad.length}-`, "if-range": validator }), file);
      }
      const healed = await get(file, { "if-modified-since": bad.headers["last-modified"] ?? "" });
      expectExact(healed, file);
      expectExact(await get(file, { "if-none-match": bad.headers.etag ?? "" }), file);
      const begun = healed.headers.etag ?? "";
      expectPart(await get(file, { range: `bytes=${5 * MIB}-`, "if-range": begun }), file, 5 * MIB, file.size - 1);
    });

    it("is not taken for whole by who resumes onto a bad part", async () => {
      const file = rpm("bad-part", 24 * MIB);
      origin.bytesPerSecond = 16 * MIB;
      const begun = await download(url(file), { stopAt: 4 * MIB });
      await origin.idle();
      origin.bytesPerSecond = undefined;
      const flip = origin.fault(file.path, { kind: "flip", at: 0.9 });
      const rest = await get(file, { range: `bytes=${begun.length}-`, "if-range": begun.headers.etag ?? "" });
      expect(flip.hits).toBe(1);
      expect(rest.isWhole).toBe(false);
      origin.clearFaults();
      expectExact(await get(file), file);
      await expectNothingBadStored(file);
    });
  });

  describe("koji's uploads", () => {
    it("are passed on and never stored", async () => {
      const file = placeFile(folder, "/work/cli-build/1/a.rpm", craftRpm({ payload: makeNoise("work", 10 * MIB), format: "v4" }).bytes);
      const work = `${mirror.prefixUrl("koji")}${file.path}`;
      for (let times = 1; times <= 2; times++) {
        expectExact(await download(work), file);
        expect(gets(file.path)).toBe(times);
      }
      await origin.idle();
      await origin.close();
      expect((await download(work)).status).toBe(502);
      await origin.restart();
    });
  });

  describe("an upstream that tells no length", () => {
    const big = 20 * MIB;
    const kinds = {
      rpm: (size: number) => rpm(`bare-${size}`, size),
      deb: (size: number) => deb(`bare-${size}`, size),
      iso: (size: number) => iso(`bare-${size}`, size),
      unknown: (size: number) => placeFile(folder, `/fill/bare-${size}.tar.xz`, makeNoise("bare", size)),
    };
    const table = Object.entries(kinds).flatMap(([kind, place]) => [MIB, big].map((size) => ({ kind, size, place })));

    it.each(table)("in chunks: a whole $kind of $size bytes arrives", async ({ size, place }) => {
      const file = place(size);
      origin.fault(file.path, { kind: "framing", framing: "chunked" });
      expectExact(await get(file), file);
    });

    it.each(table)("and closes: a whole $kind of $size bytes arrives", async ({ size, place }) => {
      const file = place(size + 2);
      origin.fault(file.path, { kind: "framing", framing: "close" });
      expectExact(await get(file), file);
    });

    it.each(table)("and closes early: a $kind of $size bytes is stored by nobody", async ({ kind, size, place }) => {
      const file = place(size + 4);
      origin.fault(file.path, { kind: "cut", at: 0.5, framing: "close" });
      const cut = await get(file);
      // Nothing tells the length of an unknown file: what came is all that there is to know.
      if (kind !== "unknown") expect(cut.isWhole && cut.status === 200).toBe(false);
      origin.clearFaults();
      expectExact(await get(file), file);
    });
  });

  describe("metadata that comes encoded", () => {
    it("is decoded and stored so: no client gets a coding that it did not accept", async () => {
      const file = placeFile(folder, "/some/notes.txt", Buffer.from("words ".repeat(10_000)));
      origin.fault(file.path, { kind: "gzip" });
      const one = await get(file);
      expectExact(one, file);
      expect(one.headers["content-encoding"]).toBeUndefined();
      origin.clearFaults();
      expectExact(await get(file), file);
      expect(gets(file.path)).toBe(1);
    });
  });

  describe("an absent file", () => {
    it("is there as soon as the upstream has it", async () => {
      expect((await get({ path: "/fill/late.deb" })).status).toBe(404);
      const file = deb("late", MIB);
      expectExact(await get(file), file);
    });

    it("is fetched from where the upstream redirects to", async () => {
      const file = deb("target", MIB);
      origin.fault("/fill/moved.deb", { kind: "redirect", to: file.path });
      expectExact(await get({ path: "/fill/moved.deb" }), file);
    });
  });
});
