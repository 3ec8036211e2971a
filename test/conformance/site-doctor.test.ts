import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { adminTokenPath } from "../../src/local/admin-token.ts";
import { askNetwork } from "../../src/local/doctor/ask.ts";
import { diagnose, type GroupedFinding } from "../../src/local/doctor/doctor.ts";
import { inspectTls } from "../../src/local/doctor/inspect-tls.ts";
import { makeNoise } from "../support/fixture.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import type { Fault } from "../support/origin-fault.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";
import { mustRun, requireTools, runTool } from "../support/run-tool.ts";

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

async function examine(url: string, now = Date.now): Promise<Map<string, GroupedFinding>> {
  const findings = new Map<string, GroupedFinding>();
  const ports = { ask: askNetwork, askAsStranger: askNetwork, isOver: () => false, inspectTls, sleep, now };
  const resolve = (host: string): Promise<string[]> => Promise.resolve([host]);
  for await (const finding of diagnose(new URL(url), { ...ports, resolve })) findings.set(finding.check, finding);
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
      expect(findings.size).toBeGreaterThan(25);
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
    ["drops validators", { kind: "no-validators" }, "headers", /missing: etag/],
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

  it("says what to give where a server or folder has nothing that it can find", async () => {
    const nothing = (await examine(`${mirror.url}/nothing/`)).get("mirrors");
    expect(nothing).toMatchObject({ verdict: "bad", detail: expect.stringMatching(/404/), remedy: expect.stringMatching(/URL of a file/) });
  });

  it("says that it could look at no mirror", async () => {
    origin.fault(/./, { kind: "status", status: 404 });
    const findings = [...(await examine(`${mirror.url}/`)).values()];
    expect(findings.find(({ verdict }) => verdict === "bad")).toMatchObject({
      detail: expect.stringMatching(/^the doctor found no file of any mirror/),
      remedy: expect.stringMatching(/URL of a file/),
    });
  });

  it("finds a file of a folder's listing", async () => {
    for (const url of [`${mirror.prefixUrl("debian")}/`, mirror.prefixUrl("debian")]) {
      const findings = await examine(url);
      expect(findings.get("/debian")?.detail).toBe(`/debian/${NAME}`);
      expect([...findings.values()].filter(({ verdict }) => verdict !== "good")).toEqual([]);
    }
  });

  it("downloads a large file twice, and compares", async () => {
    const url = `${mirror.prefixUrl("debian")}/${NAME}`;
    const run = await doctor(url, "--large", url);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(run.stdout).toMatch(/Large file\n(?:good .*50000 bytes .*\n){2}good +both downloads +equal/);
    origin.fault(`/${NAME}`, { kind: "cut", at: 0.5 });
    const cut = await doctor(url, "--large", `${origin.url}/${NAME}`, "--json");
    expect(cut.code).toBe(1);
    const findings = cut.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as GroupedFinding);
    expect(findings.at(-1)).toMatchObject({ group: "Large file", verdict: "bad", detail: "25000 of 50000 bytes came" });
  });

  it("asks the status page with the operator's token", async () => {
    const token = readFileSync(adminTokenPath(mirror.stateFolder), "utf8").trim();
    const run = await doctor(mirror.url, "--token", token);
    for (const check of ["ledger", "cron", "upstreams", "repositories", "troubles"])
      expect(run.stdout).toMatch(new RegExp(`^(?:good|\\?   ) +${check} `, "m"));
    const wrong = await doctor(mirror.url, "--token", "not-the-token");
    expect(wrong).toMatchObject({ code: 1 });
    expect(wrong.stdout).toMatch(/BAD +status +401/);
  });

  it("refuses what is no URL", async () => {
    expect((await doctor("ftp://mirror.lan/")).stderr).toContain("It must be an http or https URL.");
  });

  it.runIf(requireTools("openssl"))("sees whether clients trust a certificate, and for how long", async () => {
    const [key, certificate] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const make = [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:prime256v1",
      "-nodes",
      "-days",
      "10",
      "-subj",
      "/CN=localhost",
    ];
    await mustRun("openssl", [...make, "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate]);
    const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (_, response) => response.end("ok\n"));
    await once(server.listen(0, "localhost"), "listening");
    const url = `https://localhost:${(server.address() as AddressInfo).port}/x`;
    expect((await doctor(url)).stdout).toMatch(/BAD +certificate +clients will not trust it: DEPTH_ZERO_SELF_SIGNED_CERT/);
    const main = join(ROOT, "src/local/doctor/doctor-main.ts");
    const trusting = await runTool(join(ROOT, "node_modules/.bin/node"), [main, url], {
      cwd: ROOT,
      env: { NODE_EXTRA_CA_CERTS: certificate },
    });
    expect(trusting.stdout).toMatch(/BAD +certificate +it ends in 9 days/);
    expect(trusting.stdout).toMatch(/good +https health +ok/);
    server.close();
    server.closeAllConnections();
  });
});
