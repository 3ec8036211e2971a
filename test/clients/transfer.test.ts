import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ClientRoot } from "../support/clients/client.ts";
import { findDamage, findWanted, LARGE, SCENARIOS, type ScenarioRepository, SMALL } from "../support/clients/scenario.ts";
import { type MirrorProcess, startMirror } from "../support/mirror.ts";
import { MIRROR_WAY } from "../support/mirror-way.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { requireTools, runTool, type ToolRun } from "../support/run-tool.ts";

const ROOT = join(import.meta.dirname, "../..");
const PACKAGE = /\.(deb|rpm|pkg\.tar\.zst)$/;

/** Runs one of the operator's commands against a mirror. */
function operate(mirror: MirrorProcess, command: string, options: { readonly input?: string } = {}): Promise<ToolRun> {
  const node = join(ROOT, "node_modules/.bin/node");
  const script = `exec "${node}" src/local/operator/mirror-command.ts --server "${mirror.url}" ${command}`;
  return runTool("sh", ["-c", script], { cwd: ROOT, env: { ADMIN_TOKEN: mirror.readToken() }, ...options });
}

/** The commands are the same with all of them, and so is the server but for what runs it. */
const FAMILIES = MIRROR_WAY.name === "npm start" ? (["apt", "dnf", "pacman"] as const) : (["apt", "dnf"] as const);

describe.each(FAMILIES)("what %s has fetched", (name) => {
  const scenario = SCENARIOS[name];

  describe.runIf(requireTools(...scenario.tools))("moves to another server", () => {
    let repository: ScenarioRepository;
    let origin: Origin;
    let first: MirrorProcess;
    let second: MirrorProcess;
    let client: ClientRoot;
    const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-transfer-"));

    beforeAll(async () => {
      repository = await scenario.openRepository();
      origin = await startOrigin(repository.folder);
      const setup = { mirrors: { one: { upstreams: [origin.url], distro: scenario.distro } }, vars: { METADATA_TTL_SECONDS: 0 } };
      [first, second] = await Promise.all([startMirror(setup), startMirror(setup)]);
      client = repository.open(first.prefixUrl("one"));
      await client.refresh();
      await client.install(findWanted(repository, LARGE), findWanted(repository, SMALL));
    });
    afterAll(async () => {
      client?.remove();
      await Promise.all([first?.remove(), second?.remove()]);
      await origin?.close();
      for (const one of [folder, repository?.folder ?? folder]) rmSync(one, { recursive: true, force: true });
    });

    async function install(mirror: MirrorProcess): Promise<void> {
      const fresh = repository.open(mirror.prefixUrl("one"));
      try {
        expect(await fresh.refresh()).toMatchObject({ code: 0 });
        expect(await fresh.install(findWanted(repository, LARGE), findWanted(repository, SMALL))).toMatchObject({ code: 0 });
        expect(findDamage(fresh, repository)).toEqual([]);
      } finally {
        fresh.remove();
      }
    }

    it("in a bundle, which installs there while the origin is dead", async () => {
      const bundle = join(folder, "one.tar");
      const exported = await operate(first, `export 'one/*' > ${bundle}`);
      expect(exported).toMatchObject({ code: 0 });
      const listed = await runTool("tar", ["tf", bundle]);
      expect(listed.stdout.split("\n")).toEqual(expect.arrayContaining(["manifest.json", `one/${findWanted(repository, LARGE).path}`]));
      await origin.close();
      try {
        const imported = await operate(second, `import ${bundle}`);
        expect(imported).toMatchObject({ code: 0, stderr: "" });
        await install(second);
        expect(await operate(second, `import ${bundle}`)).toMatchObject({ code: 0 });
      } finally {
        await origin.restart();
      }
    });

    it("but for a file of the bundle that was changed, which is named", async () => {
      const bytes = readFileSync(join(folder, "one.tar"));
      const { path } = findWanted(repository, SMALL);
      const good = readFileSync(join(repository.folder, path));
      const at = bytes.indexOf(good);
      expect(at).toBeGreaterThan(0);
      bytes[at + good.length - 100] = (bytes[at + good.length - 100] ?? 0) ^ 1;
      writeFileSync(join(folder, "bad.tar"), bytes);
      expect(await operate(second, `purge 'one/${path}'`)).toMatchObject({ code: 0 });
      const imported = await operate(second, `import ${join(folder, "bad.tar")}`);
      expect(imported.code).toBe(1);
      expect(imported.stderr).toContain(`one/${path}: its bytes are not those that the manifest names`);
      expect((await operate(second, `ls 'one/${path}'`)).stdout).toBe("");
    });

    it("from the client's own cache", async () => {
      const cache = join(folder, "cache");
      mkdirSync(cache);
      for (const [file, bytes] of client.downloads()) writeFileSync(join(cache, file), bytes);
      writeFileSync(join(cache, "notes.txt"), "mine");
      expect(await operate(second, "purge 'one/*'")).toMatchObject({ code: 0 });
      const fresh = repository.open(second.prefixUrl("one"));
      expect(await fresh.refresh()).toMatchObject({ code: 0 });
      fresh.remove();
      const imported = await operate(second, `import ${cache}`);
      expect(imported.stderr).toMatch(/notes\.txt: no index of this server names it/);
      expect(imported).toMatchObject({ code: 1, stdout: expect.stringContaining("2 of 3 files are stored") });
      origin.log.length = 0;
      await install(second);
      expect(origin.requests(PACKAGE)).toEqual([]);
    });
  });
});
