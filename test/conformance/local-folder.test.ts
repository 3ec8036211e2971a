import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findDamage, findWanted, isLargeIntact, LARGE, SCENARIOS, SMALL, type ScenarioRepository } from "../support/clients/scenario.ts";
import { download } from "../support/download.ts";
import { type MirrorProcess, startMirror } from "../support/mirror.ts";
import { mustRun, requireTools } from "../support/run-tool.ts";

describe.each([SCENARIOS.apt, SCENARIOS.dnf])("$client over a mirror of a local folder", (scenario) => {
  describe.runIf(requireTools(...scenario.tools))("with its tools", () => {
    let repository: ScenarioRepository;
    let mirror: MirrorProcess;

    beforeAll(async () => {
      repository = await scenario.openRepository();
      const upstreams = [pathToFileURL(repository.folder).href];
      mirror = await startMirror({ mirrors: { m: { upstreams, ...(scenario.distro === undefined ? {} : { distro: scenario.distro }) } } });
    });
    afterAll(async () => {
      await mirror?.remove();
      if (repository !== undefined) rmSync(repository.folder, { recursive: true, force: true });
    });

    it("installs what a direct client has", async () => {
      const client = repository.open(mirror.prefixUrl("m"));
      try {
        expect(await client.refresh()).toMatchObject({ code: 0 });
        expect(await client.install(findWanted(repository, LARGE), findWanted(repository, SMALL))).toMatchObject({ code: 0 });
        expect(findDamage(client, repository)).toEqual([]);
        expect(isLargeIntact(client)).not.toBe(false);
      } finally {
        client.remove();
      }
    });
  });
});

describe("a local folder as upstream", () => {
  const home = mkdtempSync(join(tmpdir(), "lazy-mirror-folder-"));
  const tree = join(home, "the tree");
  let mirror: MirrorProcess;
  const get = (path: string, headers: Record<string, string> = {}) => download(`${mirror.url}/m/${path}`, { headers });

  beforeAll(async () => {
    mkdirSync(join(tree, "sub"), { recursive: true });
    writeFileSync(join(tree, "sub/a+b c.txt"), "hello\n");
    utimesSync(join(tree, "sub/a+b c.txt"), 1_700_000_000, 1_700_000_000);
    writeFileSync(join(tree, "big.iso"), Buffer.alloc(20_000_000, "0123456789abcdef"));
    writeFileSync(join(home, "secret"), "secret");
    symlinkSync("sub/a+b c.txt", join(tree, "inside"));
    symlinkSync("../secret", join(tree, "outside"));
    symlinkSync("/etc", join(tree, "etc"));
    symlinkSync("loop", join(tree, "loop"));
    await mustRun("mkfifo", [join(tree, "pipe")]);
    mirror = await startMirror({ mirrors: { m: { upstreams: [pathToFileURL(tree).href] } }, vars: { METADATA_TTL_SECONDS: 0 } });
  });
  afterAll(async () => {
    await mirror?.remove();
    rmSync(home, { recursive: true, force: true });
  });

  it("gives files with their dates, whole and in part", async () => {
    const reply = await get("sub/a+b%20c.txt");
    expect(reply).toMatchObject({ status: 200, length: 6 });
    expect(reply.headers["last-modified"]).toBe("Tue, 14 Nov 2023 22:13:20 GMT");
    expect(await get("inside")).toMatchObject({ status: 200, length: 6 });
    expect(await get("big.iso", { Range: "bytes=19999990-" })).toMatchObject({ status: 206, length: 10 });
    expect(await get("big.iso")).toMatchObject({ status: 200, length: 20_000_000 });
  });

  it("leads to a folder, and lists it", async () => {
    expect((await get("sub")).status).toBe(301);
    expect((await get("sub/")).status).toBe(200);
  });

  it.each(["missing", "outside", "etc/passwd", "loop", "pipe", "sub/a+b%20c.txt/x", "..%2fsecret", "%2e%2e/secret"])(
    "has no way out of the tree, and no such file as %s",
    async (path) => {
      const reply = await get(path);
      expect([400, 404]).toContain(reply.status);
    },
  );

  it("does not take an image that is not mounted for the loss of its files", async () => {
    renameSync(tree, `${tree}.away`);
    try {
      const reply = await fetch(`${mirror.url}/m/never-asked.deb`);
      expect(reply.status).toBe(502);
      expect(await reply.text()).toContain("is it mounted?");
      expect(await get("sub/a+b%20c.txt")).toMatchObject({ status: 200, length: 6 });
    } finally {
      renameSync(`${tree}.away`, tree);
    }
  });
});
