import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ask } from "../../src/local/doctor/ask.ts";
import { diagnose, type Finding } from "../../src/local/doctor/doctor.ts";
import { makeNoise } from "../support/fixture.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import type { Fault } from "../support/origin-fault.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";
import { runTool } from "../support/run-tool.ts";

const ROOT = join(import.meta.dirname, "../..");
const NAME = "a_1.0.tar.gz";

let folder: string;
let origin: Origin;
let mirror: MirrorProcess;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-doctor-"));
  writeFileSync(join(folder, NAME), makeNoise("doctor", 50_000));
  origin = await startOrigin(folder);
  mirror = await startMirror({
    mirrors: { debian: { upstreams: [origin.url], distro: "debian" } },
    vars: { MIRRORS_CLOSED: JSON.stringify({ closed: { upstreams: [origin.url], access: { users: { alice: "correct horse" } } } }) },
  });
});
afterEach(() => origin.clearFaults());
afterAll(async () => {
  await mirror?.remove();
  await origin?.close();
  rmSync(folder, { recursive: true });
});

async function examine(url: string, now = Date.now): Promise<Map<string, Finding>> {
  const findings = new Map<string, Finding>();
  for await (const finding of diagnose(new URL(url), { ask, resolve: async (host) => [host], now })) findings.set(finding.check, finding);
  return findings;
}

function doctor(...args: readonly string[]): ReturnType<typeof runTool> {
  return runTool(join(ROOT, "node_modules/.bin/node"), [join(ROOT, "src/local/doctor/doctor-main.ts"), ...args], { cwd: ROOT });
}

describe("the doctor", () => {
  it("finds nothing wrong with a mirror, whether the file was there or not", async () => {
    for (const _ of ["cold", "warm"]) {
      const findings = await examine(`${mirror.prefixUrl("debian")}/${NAME}`);
      expect([...findings.values()].filter(({ verdict }) => verdict !== "good")).toEqual([]);
      expect(findings.size).toBe(17);
    }
  });

  it("ends with 0 when all is well, and gives a user's password where one is asked for", async () => {
    const url = `${mirror.prefixUrl("closed")}/${NAME}`;
    const without = await doctor(url);
    expect(without).toMatchObject({ code: 1 });
    expect(without.stdout).toContain("Give --user name:password.");
    const run = await doctor("--user", "alice:correct horse", url);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(run.stdout).toContain("Clients will be well served.");
  });

  // A server that is no mirror stands for one behind a proxy that meddles.
  it.each<readonly [string, Fault, string, RegExp]>([
    ["compresses", { kind: "gzip" }, "no transformation", /Content-Encoding is gzip/],
    ["cuts bodies", { kind: "cut", at: 0.5, framing: "length" }, "length", /of 50000 bytes came/],
    ["loses the length", { kind: "framing", framing: "chunked" }, "length", /no Content-Length/],
    ["ignores Range", { kind: "ignore-range" }, "Range", /200 instead of 206/],
    ["answers other ranges", { kind: "wrong-range", how: "total" }, "Range", /Content-Range is/],
    ["drops validators", { kind: "no-validators" }, "headers", /missing: etag, last-modified/],
    [
      "asks whether one is human",
      { kind: "status", status: 403, headers: { "content-type": "text/html", "cf-mitigated": "challenge" } },
      "bot checks",
      /a page for people/,
    ],
  ])("sees that something in between %s", async (_, fault, check, detail) => {
    origin.fault(`/${NAME}`, fault);
    const finding = (await examine(`${origin.url}/${NAME}`)).get(check);
    expect(finding).toMatchObject({ verdict: "bad", detail: expect.stringMatching(detail), remedy: expect.stringMatching(/\w/) });
  });

  it("sees a clock that is wrong", async () => {
    const findings = await examine(`${mirror.prefixUrl("debian")}/${NAME}`, () => Date.now() + 3_600_000);
    expect(findings.get("clock")).toMatchObject({ verdict: "bad", detail: expect.stringMatching(/-3(599|600|601) s/) });
  });

  it("sees a redirect to https, another server, and no server at all", async () => {
    origin.fault("/-/health", { kind: "redirect" });
    expect((await examine(`${origin.url}/${NAME}`)).get("http health")?.detail).toMatch(/^redirected to/);
    origin.clearFaults();
    expect((await examine(`${origin.url}/${NAME}`)).get("http health")?.detail).toMatch(/^404/);
    await origin.close();
    expect((await examine(`${origin.url}/${NAME}`)).get("GET")?.detail).toMatch(/ECONNREFUSED/);
    await origin.restart();
  });

  it("sees a name that does not resolve", async () => {
    const run = await doctor("http://nothing.invalid/x");
    expect(run).toMatchObject({ code: 1 });
    expect(run.stdout).toMatch(/BAD +DNS +nothing\.invalid does not resolve/);
  });

  it("refuses what is no URL", async () => {
    expect((await doctor("nothing")).stderr).toContain("It must be an http or https URL.");
  });
});
