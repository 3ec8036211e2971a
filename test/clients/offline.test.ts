import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findDamage, findWanted, LARGE, SCENARIOS, SMALL, type ScenarioRepository } from "../support/clients/scenario.ts";
import { download } from "../support/download.ts";
import { type MirrorProcess, startMirror } from "../support/mirror.ts";
import { MIRROR_WAY } from "../support/mirror-way.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { requireTools } from "../support/run-tool.ts";

const VARS = { METADATA_TTL_SECONDS: 0, RETENTION_DAYS: 0.001 };

/** Over wrangler dev, which is slow to start, one client is enough. */
const CLIENTS = MIRROR_WAY.name === "npm start" ? [SCENARIOS.apt, SCENARIOS.dnf] : [SCENARIOS.apt];

describe.each(CLIENTS)("$client over a mirror that is offline", (scenario) => {
  describe.runIf(requireTools(...scenario.tools))("with its tools", () => {
    let repository: ScenarioRepository;
    let origin: Origin;
    let mirror: MirrorProcess;
    /** Of what the mirror stored while it was online, and of what it did not. */
    let stored: string;
    let missing: string;

    beforeAll(async () => {
      repository = await scenario.openRepository();
      origin = await startOrigin(repository.folder);
      const table = { upstreams: [origin.url], ...(scenario.distro === undefined ? {} : { distro: scenario.distro }) };
      mirror = await startMirror({ mirrors: { m: table }, vars: VARS });
      const wanted = [LARGE, SMALL].map((name) => findWanted(repository, name).path);
      stored = wanted[0] ?? "";
      missing = repository.paths().find((path) => !wanted.includes(path)) ?? "";
    });
    afterAll(async () => {
      await mirror?.remove();
      await origin?.close();
      if (repository !== undefined) rmSync(repository.folder, { recursive: true, force: true });
    });

    async function install(): Promise<void> {
      const client = repository.open(mirror.prefixUrl("m"));
      try {
        expect(await client.refresh()).toMatchObject({ code: 0 });
        expect(await client.install(findWanted(repository, LARGE), findWanted(repository, SMALL))).toMatchObject({ code: 0 });
        expect(findDamage(client, repository)).toEqual([]);
      } finally {
        client.remove();
      }
    }

    it("installs what is stored, and has no upstream asked, though it is there", async () => {
      await install();
      await mirror.stop();
      await mirror.start({ ...VARS, OFFLINE: "true" });
      origin.log.length = 0;
      await install();
      expect(await download(`${mirror.url}/m/${stored}`, { headers: { "Cache-Control": "no-cache" } })).toMatchObject({
        status: 200,
        isWhole: true,
      });
      expect(origin.log).toEqual([]);
    });

    it("answers 504 for what is not stored, and says why", async () => {
      const reply = await fetch(`${mirror.url}/m/${missing}`);
      expect(reply.status).toBe(504);
      expect(await reply.text()).toContain("OFFLINE");
      expect((await fetch(`${mirror.url}/m/nowhere/file.txt`)).status).toBe(504);
      expect(origin.log).toEqual([]);
    });

    it("is shown on the status page", async () => {
      const headers = { Authorization: `Bearer ${mirror.readToken()}` };
      expect(await (await fetch(`${mirror.url}/-/status`, { headers })).text()).toContain("OFFLINE");
      expect(await (await fetch(`${mirror.url}/-/status.json`, { headers })).json()).toMatchObject({ offline: true });
    });

    it("goes on where it was once it is online again", async () => {
      await mirror.stop();
      await mirror.start(VARS);
      expect((await fetch(`${mirror.url}/m/${missing}`)).status).toBe(200);
    });
  });
});
