import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeNoise } from "../support/fixture.ts";
import { startMirror, type MirrorProcess } from "../support/mirror.ts";
import { startOrigin, type Origin } from "../support/origin.ts";

const MB = 1_000_000;

describe("under a budget of 20 MB", () => {
  let folder: string;
  let origin: Origin;
  let mirror: MirrorProcess;
  let headers: Record<string, string>;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "lazy-mirror-large-"));
    for (const [name, megabytes] of [
      ["fits", 12],
      ["giant", 19],
      ["other", 12],
    ] as const)
      writeFileSync(join(folder, `${name}.tar.gz`), makeNoise(name, megabytes * MB));
    origin = await startOrigin(folder);
    mirror = await startMirror({ mirrors: { files: { upstreams: [origin.url] } }, vars: { BUDGET_GB: 0.02 } });
    headers = { authorization: `Bearer ${mirror.readToken()}` };
  });
  afterAll(async () => {
    await mirror?.remove();
    await origin?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function load(name: string): Promise<string> {
    const response = await fetch(`${mirror.prefixUrl("files")}/${name}.tar.gz`);
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(bytes.equals(makeNoise(name, bytes.length))).toBe(true);
    return response.headers.get("cache-status") ?? "";
  }

  async function why(name: string) {
    const response = await fetch(`${mirror.url}/-/why.json/files/${name}.tar.gz`, { headers });
    return response.json<{ stored: object | null; unstored: { reason: string } | null }>();
  }

  it("a file over half of it is stored where there is room", async () => {
    await load("fits");
    expect(await load("fits")).toMatch(/; hit/);
    expect((await why("fits")).unstored).toBeNull();
  });

  it("a file that can never fit is passed on whole, and log, status and why say the reason and the limit", async () => {
    await load("giant");
    const { stored, unstored } = await why("giant");
    expect(stored).toBeNull();
    expect(unstored?.reason).toContain("19.0 MB are more than the largest file that is stored, 18.0 MB");
    await expect.poll(() => mirror.output()).toContain("Passed files/giant.tar.gz on unstored: its 19.0 MB are more than");
    const status = await (await fetch(`${mirror.url}/-/status.json`, { headers })).json<{ troubles: unknown; storage: unknown }>();
    expect(status.troubles).toContainEqual(
      expect.objectContaining({ kind: "unstored", where: "files/giant.tar.gz", cause: unstored?.reason, count: 1 }),
    );
    expect(status.storage).toMatchObject({ budget: 20 * MB, largest: 18 * MB });
  });

  it("one download of a large file does not push out what is stored", async () => {
    await load("other");
    expect((await why("other")).unstored?.reason).toContain("it is stored when a client asks for it again");
    expect(await load("fits")).toMatch(/; hit/);
  });

  it("the start says how large a file may be", () => {
    expect(mirror.output()).toContain("stores files of up to 18.0 MB");
  });
});
