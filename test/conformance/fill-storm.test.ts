import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { craftRpm } from "../support/crafted-rpm.ts";
import { download } from "../support/download.ts";
import type { Download, DownloadOptions } from "../support/download.ts";
import { makeNoise } from "../support/fixture.ts";
import { placeFile } from "../support/large-files.ts";
import type { PlacedFile } from "../support/large-files.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import type { Fault } from "../support/origin-fault.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";

const ROUNDS = 40;
/** The same storm each time. */
const SEED = 6;
const MAX_WAITS = 40;

const FAULTS: readonly Fault[] = [
  { kind: "cut", at: 0.3 },
  { kind: "cut", at: 0.9 },
  { kind: "cut", at: 0.5, framing: "close" },
  { kind: "cut", at: 0.5, framing: "chunked" },
  { kind: "reset", at: 0.5 },
  { kind: "short", at: 0.5 },
  { kind: "flip", at: 0.7 },
  { kind: "flip", at: 0.99 },
  { kind: "lying-length", by: 100 },
  { kind: "framing", framing: "chunked" },
  { kind: "framing", framing: "close" },
  { kind: "status", status: 500 },
  { kind: "status", status: 404 },
  { kind: "status", status: 503 },
  { kind: "html" },
  { kind: "gzip" },
  { kind: "stall", at: 0.4 },
  { kind: "black-hole" },
  { kind: "ignore-range" },
  { kind: "wrong-range", how: "start" },
  { kind: "no-validators" },
  { kind: "garbage" },
  { kind: "not-modified" },
];

const place = fc.double({ min: 0, max: 0.999, noNaN: true });
const delayMs = fc.integer({ min: 0, max: 300 });
const fault = fc.record({ fault: fc.constantFrom(...FAULTS), isFirst: fc.boolean(), times: fc.integer({ min: 1, max: 4 }), delayMs });
const client = fc.record({
  kind: fc.constantFrom("whole", "blind", "leaving", "to-end", "middle", "suffix", "head"),
  from: place,
  share: place,
  delayMs,
});
const storm = fc.record({
  // Below a slice, a slice exactly, and above; held and streamed.
  size: fc.constantFrom(100_000, 400_000, 524_288 - 465, 1_500_000, 3_000_000),
  mirror: fc.constantFrom("one", "two"),
  faults: fc.array(fault, { maxLength: 3 }),
  clients: fc.array(client, { minLength: 1, maxLength: 6 }),
});
type Client = typeof client extends fc.Arbitrary<infer T> ? T : never;

describe("a storm of faults and clients", () => {
  const folders = [mkdtempSync(join(tmpdir(), "lazy-mirror-storm-")), mkdtempSync(join(tmpdir(), "lazy-mirror-storm-"))] as const;
  let origins: readonly [Origin, Origin];
  let mirror: MirrorProcess;
  let round = 0;

  beforeAll(async () => {
    origins = [await startOrigin(folders[0]), await startOrigin(folders[1])];
    mirror = await startMirror({
      mirrors: { one: { upstreams: [origins[0].url] }, two: { upstreams: origins.map(({ url }) => url) } },
      vars: { SLICE_MIB: 0.5, HOLD_MIB: 0.25, UPSTREAM_STALL_SECONDS: 2, UPSTREAM_FIRST_BYTE_SECONDS: 1 },
    });
  });
  afterAll(async () => {
    await mirror?.remove();
    for (const origin of origins ?? []) await origin.close();
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });

  it("lets no client end cleanly with wrong bytes, and is over when the faults are", async () => {
    await fc.assert(
      fc.asyncProperty(storm, async ({ size, mirror: name, faults, clients }) => {
        const path = `/storm/${++round}.rpm`;
        const { bytes } = craftRpm({ payload: makeNoise(path, size), format: "v4" });
        const [file] = folders.map((folder) => placeFile(folder, path, bytes)) as [PlacedFile, PlacedFile];
        const url = mirror.prefixUrl(name) + path;
        const isFlipped = faults.some((one) => one.fault.kind === "flip");
        await Promise.all([
          ...faults.map(async (one) => {
            await sleep(one.delayMs);
            origins[one.isFirst ? 0 : 1].fault(path, one.fault, { times: one.times });
          }),
          ...clients.map(async (one) => {
            await sleep(one.delayMs);
            const [got, wanted] = await ask(url, one, file);
            expect([0, 200, 206, 404, 502, 503, 504]).toContain(got.status);
            // No digest covers a part in the middle.
            if (wanted === null || !got.isWhole || got.status >= 400 || (isFlipped && got.status === 206)) return;
            expect(got.bytes.equals(got.status === 200 ? file.bytes : wanted)).toBe(true);
          }),
        ]);
        for (const origin of origins) origin.clearFaults();
        // The first to read a flipped part whole is the one to find out.
        if (isFlipped) await patiently(url);
        const healed = await patiently(url);
        expect({ status: healed.status, isWhole: healed.isWhole, sha256: healed.sha256 }).toEqual({
          status: 200,
          isWhole: true,
          sha256: file.sha256,
        });
      }),
      { numRuns: ROUNDS, seed: SEED, endOnFailure: true },
    );
  });
});

/** One client's request, and the bytes that a part should have; null where the client does not look. */
async function ask(url: string, { kind, from, share }: Client, { bytes }: PlacedFile): Promise<[Download, Buffer | null]> {
  const first = Math.floor(from * bytes.length);
  const last = Math.min(bytes.length - 1, first + Math.floor(share * 800_000));
  const get = (options: DownloadOptions): Promise<Download> => download(url, { isKept: true, ...options });
  const part = (range: string): Promise<Download> => get({ headers: { range } });
  switch (kind) {
    case "whole":
      return [await get({}), bytes];
    case "blind":
      return [await get({ headers: { "user-agent": "python-requests/2.28.1" } }), bytes];
    case "leaving":
      return [await get({ stopAt: first + 1 }), null];
    case "head":
      return [await get({ method: "HEAD" }), null];
    case "to-end":
      return [await part(`bytes=${first}-`), bytes.subarray(first)];
    case "middle":
      return [await part(`bytes=${first}-${last}`), bytes.subarray(first, last + 1)];
    case "suffix":
      return [await part(`bytes=-${bytes.length - first}`), bytes.subarray(first)];
  }
}

/** A mirror whose upstream asked it to wait asks its client the same. */
async function patiently(url: string, waits = 0): Promise<Download> {
  const got = await download(url);
  if (got.status !== 503 || waits === MAX_WAITS) return got;
  await sleep(500);
  return patiently(url, waits + 1);
}
