import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeNoise } from "../support/fixture.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";
import { requireTools, runTool } from "../support/run-tool.ts";

const BYTES = 200_000;
let folder: string;
let origin: Origin;
let mirror: MirrorProcess;
let headers: Record<string, string>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-pages-"));
  mkdirSync(join(folder, "pool"));
  writeFileSync(join(folder, "pool/a+b_1.0.tar.gz"), makeNoise("pages", BYTES));
  origin = await startOrigin(folder);
  mirror = await startMirror({ mirrors: { debian: { upstreams: [origin.url], distro: "debian" } } });
  headers = { authorization: `Bearer ${readFileSync(join(mirror.stateFolder, "admin-token"), "utf8").trim()}` };
});
afterAll(async () => {
  await mirror?.remove();
  await origin?.close();
  rmSync(folder, { recursive: true });
});

async function get(path: string, more: Record<string, string> = {}): Promise<Response> {
  const response = await fetch(mirror.url + path, { headers: { ...headers, ...more } });
  expect(response.status).toBe(200);
  return response;
}

describe("the counts", () => {
  it("tell hits from misses, in requests and in bytes", async () => {
    for (let times = 0; times < 4; times++) await (await fetch(`${mirror.url}/debian/pool/a+b_1.0.tar.gz`)).arrayBuffer();
    // The line of a request is written once its body has gone out.
    await expect
      .poll(async () => (await get("/-/status.json")).json<unknown>())
      .toMatchObject({
        mirrors: [
          { name: "debian", requests: 4, served: 4 * BYTES, saved: 3 * BYTES, stored: BYTES, byteHitRatio: 0.75, refused: 0, cut: 0 },
        ],
        top: [{ mirror: "debian", path: "pool/a+b_1.0.tar.gz", requests: 4, bytes: 4 * BYTES }],
        upstreams: [{ upstream: origin.url, state: "ready", failures: 0 }],
        storage: { budget: 9_000_000_000 },
      });
  });

  it.runIf(requireTools("promtool"))("are metrics as Prometheus would have them", async () => {
    const response = await get("/-/metrics");
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const text = await response.text();
    expect(text).toContain('lazy_mirror_requests_total{mirror="debian",result="hit"} 3\n');
    expect(text).toContain(`lazy_mirror_response_bytes_total{mirror="debian",result="miss"} ${BYTES}\n`);
    expect(await runTool("promtool", ["check", "metrics"], { input: text })).toEqual({ code: 0, stdout: "", stderr: "" });
  });

  it("are kept by the day, over a restart", async () => {
    const days = async () => (await (await get("/-/status.json")).json<{ days: unknown }>()).days;
    const day = { mirror: "debian", requests: 4, served: 4 * BYTES, saved: 3 * BYTES, fetched: BYTES, byteHitRatio: 0.75 };
    expect(await days()).toEqual([expect.objectContaining(day)]);
    await mirror.stop();
    await mirror.start();
    expect(await days()).toEqual([expect.objectContaining(day)]);
  });

  it("tell of an upstream that is gone, and why", async () => {
    await origin.close();
    expect((await fetch(`${mirror.url}/debian/pool/c_1.0.tar.gz`)).status).toBe(502);
    await origin.restart();
    const { troubles } = await (await get("/-/status.json")).json<{ troubles: { kind: string; where: string; cause: string }[] }>();
    expect(troubles).toContainEqual(
      expect.objectContaining({ kind: "fault", where: origin.url, cause: expect.stringContaining("pool/c_1.0.tar.gz") }),
    );
    expect(troubles).toContainEqual(expect.objectContaining({ kind: "answer", where: "debian/pool/c_1.0.tar.gz" }));
  });
});

describe("a repository", () => {
  const release = (packages: string, date: string) => {
    const digest = createHash("sha256").update(packages).digest("hex");
    return `Suite: stable\nDate: ${date}\nSHA256:\n ${digest} ${packages.length} main/binary-amd64/Packages\n`;
  };
  const RELEASE = "dists/stable/Release";
  const roots = async () => (await (await get("/-/status.json")).json<{ roots: unknown }>()).roots;

  it("is said to be behind from when its upstream shows a root that cannot be taken over, and why", async () => {
    mkdirSync(join(folder, "dists/stable/main/binary-amd64"), { recursive: true });
    writeFileSync(join(folder, "dists/stable/main/binary-amd64/Packages"), "Package: a\n");
    writeFileSync(join(folder, RELEASE), release("Package: a\n", "Sun, 22 Nov 2026 10:00:00 UTC"));
    await mirror.stop();
    await mirror.start({ METADATA_TTL_SECONDS: 1 });
    const ask = async () => (await fetch(`${mirror.url}/debian/${RELEASE}`)).text();
    await ask();
    await (await fetch(`${mirror.url}/debian/dists/stable/main/binary-amd64/Packages`)).text();
    await expect
      .poll(roots)
      .toEqual([expect.objectContaining({ mirror: "debian", root: "dists/stable", behindSince: null, trouble: null })]);
    writeFileSync(join(folder, RELEASE), release("Package: b\n", "Sun, 22 Nov 2026 11:00:00 UTC"));
    await expect
      .poll(async () => (await ask(), roots()), { timeout: 15_000 })
      .toEqual([expect.objectContaining({ behindSince: expect.any(Number), trouble: expect.stringContaining("Packages") })]);
    writeFileSync(join(folder, "dists/stable/main/binary-amd64/Packages"), "Package: b\n");
    await expect
      .poll(async () => (await ask(), roots()), { timeout: 15_000 })
      .toEqual([expect.objectContaining({ behindSince: null, trouble: null })]);
  });
});

describe("why", () => {
  it("tells the class, the rule, where the bytes are from and how far they were proven", async () => {
    expect(await (await get("/-/why/debian/pool/a%2bb_1.0.tar.gz")).json()).toMatchObject({
      mirror: "debian",
      path: "pool/a+b_1.0.tar.gz",
      key: "debian/pool/a+b_1.0.tar.gz",
      class: "package",
      rule: "package",
      stored: { size: BYTES, upstream: origin.url, verified: "length" },
      next: expect.stringMatching(/^It is answered from the store/),
    });
  });

  it("asks no upstream about what is not stored", async () => {
    origin.log.length = 0;
    expect(await (await get("/-/why.json/debian/pool/none_1.0_all.deb")).json()).toMatchObject({
      stored: null,
      next: expect.stringMatching(/^It is fetched once/),
    });
    expect(origin.requests(/./)).toEqual([]);
  });

  it("is a page for people, in which a path is only text", async () => {
    const html = await (
      await get("/-/why/debian/%3Cscript%3Ealert(1)%3C%2Fscript%3E.deb".replace("%2F", "x"), { accept: "text/html" })
    ).text();
    expect(html).toContain("&lt;script&gt;");
    expect(html).not.toContain("<script>alert");
    // A balancer may have another path for it.
    expect(html).toContain('<a href="../../status">');
  });

  it("knows only paths that a client could ask for", async () => {
    for (const path of ["", "nothing/x", "debian/%2e%2e/x", "debian/a%2fb"]) {
      expect((await fetch(`${mirror.url}/-/why.json/${path}`, { headers })).status).toBe(404);
    }
  });
});
