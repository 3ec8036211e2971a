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
  });

  it("knows only paths that a client could ask for", async () => {
    for (const path of ["", "nothing/x", "debian/%2e%2e/x", "debian/a%2fb"]) {
      expect((await fetch(`${mirror.url}/-/why.json/${path}`, { headers })).status).toBe(404);
    }
  });
});
