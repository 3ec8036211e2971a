import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeNoise } from "../support/fixture.ts";
import { type MirrorProcess, startMirror } from "../support/mirror.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { requireTools, runTool } from "../support/run-tool.ts";
import { repomd, sha256 } from "../unit/metadata/samples.ts";

const FILES = join(import.meta.dirname, "../../docs/monitoring");
const read = (name: string) => readFileSync(join(FILES, name), "utf8");

/** Printed only once it has happened, or could be measured, which a test of seconds does not bring about for certain. */
const RARE = ["lazy_mirror_rotten_objects_total", "lazy_mirror_upstream_bytes_per_second"];

describe("docs/monitoring", () => {
  let folder: string;
  let origin: Origin;
  let mirror: MirrorProcess;
  let token: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "lazy-mirror-monitoring-"));
    const primary = "a primary";
    const href = `repodata/${sha256(primary)}-primary.xml.gz`;
    for (const path of ["os/repodata", "pool"]) mkdirSync(join(folder, path), { recursive: true });
    writeFileSync(join(folder, "os", href), primary);
    writeFileSync(
      join(folder, "os/repodata/repomd.xml"),
      repomd({ revision: Math.floor(Date.now() / 1000), data: { primary: [href, primary] } }),
    );
    writeFileSync(join(folder, "pool/small.tar.gz"), makeNoise("small", 50_000));
    writeFileSync(join(folder, "pool/large.tar.gz"), makeNoise("large", 20_000_000));
    origin = await startOrigin(folder);
    mirror = await startMirror({ mirrors: { files: { upstreams: ["http://127.0.0.1:9/", origin.url] } }, vars: { HOT_MIB: 16 } });
    token = readFileSync(join(mirror.stateFolder, "read-token"), "utf8").trim();
    const paths = ["os/repodata/repomd.xml", `os/${href}`, "pool/large.tar.gz", ...Array.from({ length: 5 }, () => "pool/small.tar.gz")];
    for (const path of [...paths, "pool/none.deb"]) await (await fetch(`${mirror.prefixUrl("files")}/${path}`)).arrayBuffer();
  });
  afterAll(async () => {
    await mirror?.remove();
    await origin?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const ask = (path: string) => fetch(mirror.url + path, { headers: { authorization: `Bearer ${token}` } });

  it("gives the read token what changes nothing, in a file that only the server's user reads", async () => {
    expect(statSync(join(mirror.stateFolder, "read-token")).mode & 0o777).toBe(0o600);
    for (const path of ["/-/status", "/-/status.json", "/-/metrics", "/-/why/files/pool/small.tar.gz"])
      expect((await ask(path)).status).toBe(200);
    for (const path of ["/-/ledger", "/-/ledger/objects", "/-/ledger/repositories"]) expect((await ask(path)).status).toBe(401);
  });

  it("names in dashboard and alerts only metrics that the mirror prints, those of the memory tier among them", async () => {
    const printed = new Set([...(await (await ask("/-/metrics")).text()).matchAll(/^(lazy_mirror_\w+)/gm)].map(([, name]) => name));
    for (const name of ["memory_bytes", "memory_bodies", "memory_limit_bytes", "memory_reads_total"])
      expect(printed).toContain(`lazy_mirror_${name}`);
    for (const file of ["grafana-dashboard.json", "alerts.yml"]) {
      const named = new Set([...read(file).matchAll(/\blazy_mirror_\w+/g)].map(([name]) => name));
      expect(named.size).toBeGreaterThan(5);
      const missing = [...named].filter((name) => !printed.has(name) && !RARE.includes(name));
      expect(missing).toEqual([]);
    }
    for (const name of RARE)
      expect(readFileSync(join(FILES, "../../src/site/metrics.ts"), "utf8")).toContain(`"${name.slice("lazy_mirror_".length)}"`);
  });

  it("has a dashboard whose panels do not overlap, each with a query and a place of its own", () => {
    const { panels } = JSON.parse(read("grafana-dashboard.json")) as {
      readonly panels: readonly {
        readonly id: number;
        readonly gridPos: Record<"x" | "y" | "w" | "h", number>;
        readonly targets: readonly { readonly expr: string }[];
      }[];
    };
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const { gridPos, targets } of panels) {
      expect(targets.every(({ expr }) => expr.includes("lazy_mirror_"))).toBe(true);
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.has(`${x} ${y}`)).toBe(false);
          taken.add(`${x} ${y}`);
        }
      }
    }
  });

  it.runIf(requireTools("promtool"))("is taken by Prometheus: metrics, rules, their tests, and the configuration", async () => {
    const metrics = await (await ask("/-/metrics")).text();
    expect(await runTool("promtool", ["check", "metrics"], { input: metrics })).toMatchObject({ code: 0 });
    expect(await runTool("promtool", ["check", "rules", join(FILES, "alerts.yml")])).toMatchObject({ code: 0 });
    expect(await runTool("promtool", ["test", "rules", "alerts.test.yml"], { cwd: FILES })).toMatchObject({ code: 0 });
    const copy = join(folder, "prometheus");
    cpSync(FILES, copy, { recursive: true });
    const file = join(copy, "prometheus.yml");
    const written = read("prometheus.yml").replace(/credentials_file: \S+/, `credentials_file: ${join(mirror.stateFolder, "read-token")}`);
    writeFileSync(file, written);
    expect(await runTool("promtool", ["check", "config", file])).toMatchObject({ code: 0 });
  });

  it("names each upstream that was asked, and what it did, in the body of a failure", async () => {
    const absent = await fetch(`${mirror.prefixUrl("files")}/pool/none.tar.gz`);
    const body = await absent.text();
    expect([404, 502]).toContain(absent.status);
    expect(body).toContain(`${origin.url} answered 404`);
    expect(body).toMatch(/http:\/\/127\.0\.0\.1:9\/? (?:could not be reached|was not asked)/);
  });
});
