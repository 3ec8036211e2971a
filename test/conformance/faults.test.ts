import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, it } from "vitest";
import type { ExpectStatic } from "vitest";
import { craftRpm } from "../support/crafted-rpm.ts";
import { download } from "../support/download.ts";
import type { Download } from "../support/download.ts";
import { makeNoise } from "../support/fixture.ts";
import { placeFile } from "../support/large-files.ts";
import type { PlacedFile } from "../support/large-files.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import type { Fault } from "../support/origin-fault.ts";
import { PACKAGE_FAULTS } from "../support/origin-fault.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";

const HTML = "<!DOCTYPE html><html><body>Please log in.</body></html>\n";

const FAULTS: Readonly<Record<string, Fault>> = {
  ...PACKAGE_FAULTS,
  "a body that stalls": { kind: "stall", at: 0.5 },
  "a black hole": { kind: "black-hole" },
  "garbage instead of HTTP": { kind: "garbage" },
  "a redirect to itself": { kind: "redirect" },
  "a Content-Length before the body's end": { kind: "lying-length", by: -1000 },
  "an HTML page that says it is a package": { kind: "status", status: 200, body: HTML, headers: { "content-type": "application/x-rpm" } },
  "a whole body in chunks": { kind: "framing", framing: "chunked" },
  "a whole body that ends with the connection": { kind: "framing", framing: "close" },
  "Range ignored": { kind: "ignore-range" },
  "a part that starts a byte late": { kind: "wrong-range", how: "start" },
  "a part without Content-Range": { kind: "wrong-range", how: "no-content-range" },
  "a part of another total": { kind: "wrong-range", how: "total" },
  "no validators": { kind: "no-validators" },
  "256 KiB of headers": { kind: "huge-headers" },
};

const SIZES = { "a small file, held until whole": 300_000, "a large file, streamed": 3_000_000 };

/** No request needs longer than this to come to an answer, the slowest upstream included. */
const LIMIT_MS = 60_000;

describe("a fault of the only upstream", () => {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-faults-"));
  const origins = new Map<string, Origin>();
  let mirror: MirrorProcess;

  beforeAll(async () => {
    // One origin a case: what one does wrong is not held against the others.
    for (const [index] of cases().entries()) origins.set(`m${index}`, await startOrigin(folder));
    mirror = await startMirror({
      mirrors: Object.fromEntries([...origins].map(([name, { url }]) => [name, { upstreams: [url], hosts: [`${name}.test`] }])),
      vars: { SLICE_MIB: 1, HOLD_MIB: 0.5, UPSTREAM_STALL_SECONDS: 2, UPSTREAM_FIRST_BYTE_SECONDS: 2 },
    });
  });
  afterAll(async () => {
    await mirror?.remove();
    for (const origin of origins.values()) await origin.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it.concurrent.for(cases())(
    "$name: no wrong body ends cleanly or is stored, and all is well once it ends",
    async ({ fault, size, index }, { expect }) => {
      const origin = origins.get(`m${index}`) as Origin;
      const place = (name: string): PlacedFile =>
        placeFile(folder, `/${index}/${name}.rpm`, craftRpm({ payload: makeNoise(`${index}-${name}`, size), format: "v4" }).bytes);
      const url = (file: PlacedFile): string => mirror.prefixUrl(`m${index}`) + file.path;
      const [cold, joined, resumed] = [place("cold"), place("joined"), place("resumed")] as const;

      // Slow, so that the mirror has not got the rest when its client leaves.
      origin.bytesPerSecond = size;
      const begun = await download(url(resumed), { stopAt: size * 0.4, isKept: true });
      expect(begun.status).toBe(200);
      await origin.idle();
      origin.bytesPerSecond = undefined;
      const active = origin.fault(/./, fault);

      const started = Date.now();
      const [alone, first, second, rest] = await Promise.all([
        download(url(cold)),
        download(url(joined)),
        origin.waitForRequest(joined.path).then(() => download(url(joined))),
        download(url(resumed), { headers: { range: `bytes=${begun.length}-`, "if-range": begun.headers.etag ?? "" }, isKept: true }),
      ]);
      expect(Date.now() - started).toBeLessThan(LIMIT_MS);
      expect(active.hits).toBeGreaterThan(1);
      for (const one of [alone, first, second, rest]) expectNoRefusalWithoutBody(one, expect);
      expectExactIfWhole(alone, cold, expect);
      expectExactIfWhole(first, joined, expect);
      expectExactIfWhole(second, joined, expect);
      expectResumed(begun, rest, resumed, expect);

      await origin.idle();
      await origin.close();
      for (const file of [cold, joined, resumed]) expectExactIfWhole(await download(url(file)), file, expect);
      await origin.restart();
      active.clear();
      for (const file of [cold, joined, resumed]) expectExact(await downloadPatiently(url(file)), file, expect);
      expectResumed(begun, await download(url(resumed), { headers: resumeOf(begun), isKept: true }), resumed, expect);
    },
  );
});

function cases(): { name: string; fault: Fault; size: number; index: number }[] {
  const all = Object.entries(FAULTS).flatMap(([fault, value]) =>
    Object.entries(SIZES).map(([kind, size]) => ({ name: `${fault}, ${kind}`, fault: value, size })),
  );
  return all.map((one, index) => ({ ...one, index }));
}

/** As apt resumes: by date. */
function resumeOf(begun: Download): Record<string, string> {
  return { range: `bytes=${begun.length}-`, "if-range": begun.headers["last-modified"] ?? "" };
}

function expectNoRefusalWithoutBody({ status, length }: Download, expect: ExpectStatic): void {
  expect([200, 206, 404, 502, 503, 504]).toContain(status);
  // apt does not retry a 502 without a body.
  if (status >= 400) expect(length).toBeGreaterThan(0);
}

function expectExactIfWhole(one: Download, file: PlacedFile, expect: ExpectStatic): void {
  if (one.isWhole && one.status < 400) expectExact(one, file, expect);
}

function expectExact({ status, length, sha256, isWhole }: Download, file: PlacedFile, expect: ExpectStatic): void {
  expect({ status, length, sha256, isWhole }).toEqual({ status: 200, length: file.size, sha256: file.sha256, isWhole: true });
}

/** What the client has after it appended, or started over. */
function expectResumed(begun: Download, rest: Download, file: PlacedFile, expect: ExpectStatic): void {
  if (!rest.isWhole || rest.status >= 400) return;
  const bytes = rest.status === 206 ? Buffer.concat([begun.bytes, rest.bytes]) : rest.bytes;
  expect({ status: rest.status, isExact: bytes.equals(file.bytes) }).toEqual({ status: rest.status, isExact: true });
}

/** A mirror whose upstream asked it to wait asks its client the same. */
async function downloadPatiently(url: string, deadline = Date.now() + LIMIT_MS): Promise<Download> {
  const one = await download(url);
  const wait = Number(one.headers["retry-after"] ?? Number.NaN);
  if (one.status !== 503 || !(wait > 0) || Date.now() > deadline) return one;
  await sleep(wait * 1000);
  return downloadPatiently(url, deadline);
}
