import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ClientRoot } from "../support/clients/client.ts";
import { findDamage, findWanted, LARGE, SCENARIOS } from "../support/clients/scenario.ts";
import type { ScenarioRepository } from "../support/clients/scenario.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import type { Origin } from "../support/origin.ts";
import { startOrigin } from "../support/origin.ts";
import { requireTools } from "../support/run-tool.ts";

/** How a client is given a name and password, once its root is there. */
const CASES = [
  {
    scenario: SCENARIOS.apt,
    give: ({ root }: ClientRoot, { url }: MirrorProcess) =>
      writeFileSync(join(root, "etc/apt/auth.conf"), `machine ${url}/ login alice password correct-horse\n`),
  },
  {
    scenario: SCENARIOS.dnf,
    give: ({ root }: ClientRoot) => appendFileSync(join(root, "../repos/test.repo"), "username=alice\npassword=correct-horse\n"),
  },
  {
    scenario: SCENARIOS.zypper,
    give({ root }: ClientRoot) {
      const repo = join(root, "etc/zypp/repos.d/test.repo");
      writeFileSync(repo, readFileSync(repo, "utf8").replace(/^baseurl=.*$/m, "$&?credentials=mirror"));
      mkdirSync(join(root, "etc/zypp/credentials.d"));
      writeFileSync(join(root, "etc/zypp/credentials.d/mirror"), "username=alice\npassword=correct-horse\n");
    },
  },
];

for (const { scenario, give } of CASES) {
  describe.runIf(requireTools(...scenario.tools))(`${scenario.client} and a mirror with users`, () => {
    let repository: ScenarioRepository;
    let origin: Origin;
    let mirror: MirrorProcess;

    beforeAll(async () => {
      repository = await scenario.openRepository();
      origin = await startOrigin(repository.folder);
      const closed = { upstreams: [origin.url], distro: scenario.distro, access: { users: { alice: "correct-horse" } } };
      mirror = await startMirror({ mirrors: { open: { upstreams: [origin.url] } }, vars: { MIRRORS_CLOSED: JSON.stringify({ closed }) } });
    });
    afterAll(async () => {
      await mirror?.remove();
      await origin?.close();
      if (repository !== undefined) rmSync(repository.folder, { recursive: true, force: true });
    });

    it("installs with a name and password, and gets nothing without", async () => {
      const client = repository.open(mirror.prefixUrl("closed"));
      try {
        expect((await client.refresh()).code).not.toBe(0);
        give(client, mirror);
        expect(await client.refresh()).toMatchObject({ code: 0 });
        expect(await client.install(findWanted(repository, LARGE))).toMatchObject({ code: 0 });
        expect(client.downloads().size).toBe(1);
        expect(findDamage(client, repository)).toEqual([]);
      } finally {
        client.remove();
      }
    });
  });
}
