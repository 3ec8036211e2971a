import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";
import type { Hold, Hole } from "../../src/watch/hold.ts";
import { repomd, sha256, signatureInForm } from "../unit/metadata/samples.ts";

const REPOMD = "os/repodata/repomd.xml";
const NOW = Math.floor(Date.now() / 1000);
const DAY_MS = 86_400_000;
const VARS = { METADATA_TTL_SECONDS: 1, DOUBT_SECONDS: 4 };

interface Root {
  readonly root: string;
  readonly behindSince: number | null;
  readonly trouble: string | null;
  readonly hold: Hold | null;
  readonly holes: readonly Hole[];
}

describe("a generation that is held back", () => {
  let folder: string;
  let origin: Origin;
  let mirror: MirrorProcess;
  let headers: Record<string, string>;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "lazy-mirror-holds-"));
    origin = await startOrigin(folder);
    mirror = await startMirror({ mirrors: { repo: { upstreams: [origin.url] } }, vars: VARS });
    headers = { authorization: `Bearer ${readFileSync(join(mirror.stateFolder, "admin-token"), "utf8").trim()}` };
  });
  afterAll(async () => {
    await mirror?.remove();
    await origin?.close();
    rmSync(folder, { recursive: true });
  });

  const page = async (path: string, accept = "*/*") => (await fetch(mirror.url + path, { headers: { ...headers, accept } })).text();
  const get = async (path: string) => (await fetch(`${mirror.url}/repo/${path}`)).text();
  async function standing(top: string): Promise<Root | undefined> {
    const { roots } = JSON.parse(await page("/-/status.json")) as { roots: readonly Root[] };
    return roots.find(({ root }) => root === `${top}/repodata`);
  }

  function write(path: string, content: string | Uint8Array): void {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }

  /** Publishes generation `n` of a repository below `top`, without the types in `absent`. */
  function publish(top: string, n: number, { absent = [] }: { readonly absent?: readonly string[] } = {}): string {
    const data = Object.fromEntries(
      ["primary", "filelists", "other"].map((type) => [type, [hrefOf(top, n, type), contentOf(top, n, type)] as const]),
    );
    for (const [type, [href, content]] of Object.entries(data)) if (!absent.includes(type)) write(`${top}/${href}`, content);
    const root = repomd({ revision: NOW - 1000 + n, data });
    write(`${top}/repodata/repomd.xml`, root);
    return root;
  }
  const contentOf = (top: string, n: number, type: string): string => `${type} ${n} of ${top}`;
  const hrefOf = (top: string, n: number, type: string): string => `repodata/${sha256(contentOf(top, n, type))}-${type}.xml.gz`;

  it("by a file that a client got says why and until when on each page, over a restart, and goes on when the file is there", async () => {
    const first = publish("os", 1);
    expect(await get(REPOMD)).toBe(first);
    expect(await get(`os/${hrefOf("os", 1, "filelists")}`)).toBe(contentOf("os", 1, "filelists"));
    const second = publish("os", 2, { absent: ["filelists", "other"] });
    await expect
      .poll(async () => (await get(REPOMD), standing("os")), { timeout: 15_000 })
      .toMatchObject({
        behindSince: expect.any(Number),
        hold: { kind: "needed", upstream: origin.url, reason: expect.stringContaining("filelists.xml.gz is named but not there") },
      });
    const { since = 0, until } = (await standing("os"))?.hold ?? {};
    expect(until).toBe(since + 7 * DAY_MS);
    expect(await get(REPOMD)).toBe(first);
    expect(await page("/-/status", "text/html")).toContain("needed file missing");
    expect(JSON.parse(await page(`/-/why.json/repo/${REPOMD}`))).toMatchObject({
      generation: { state: "stale", hold: { kind: "needed" } },
    });

    await mirror.stop();
    await mirror.start(VARS);
    expect(await get(REPOMD)).toBe(first);
    expect((await standing("os"))?.hold).toMatchObject({ kind: "needed", since, until });
    // One line for the hold, not one for each try, and none after the restart.
    expect(mirror.output().split("cannot adopt os/repodata").length - 1).toBe(1);

    write(`os/${hrefOf("os", 2, "filelists")}`, contentOf("os", 2, "filelists"));
    await expect.poll(() => get(REPOMD), { timeout: 15_000 }).toBe(second);
    // What no client ever got is a hole.
    expect(await standing("os")).toMatchObject({
      behindSince: null,
      trouble: null,
      hold: null,
      holes: [{ path: `os/${hrefOf("os", 2, "other")}` }],
    });
    write(`os/${hrefOf("os", 2, "other")}`, contentOf("os", 2, "other"));
    expect(await get(`os/${hrefOf("os", 2, "other")}`)).toBe(contentOf("os", 2, "other"));
    await expect.poll(async () => (await standing("os"))?.holes, { timeout: 5_000 }).toEqual([]);
  });

  it("by a signature of another version goes on after DOUBT_SECONDS", async () => {
    const first = publish("signed", 1);
    write("signed/repodata/repomd.xml.asc", signatureInForm(first));
    const path = "signed/repodata/repomd.xml";
    expect(await get(path)).toBe(first);
    const second = publish("signed", 2);
    await expect
      .poll(async () => (await get(path), standing("signed")), { timeout: 15_000 })
      .toMatchObject({ hold: { kind: "sync", reason: expect.stringContaining("signs another version") } });
    const { since = 0, until } = (await standing("signed"))?.hold ?? {};
    expect(until).toBe(since + VARS.DOUBT_SECONDS * 1000);
    expect(await get(path)).toBe(first);
    await expect.poll(() => get(path), { timeout: 20_000 }).toBe(second);
  });
});
