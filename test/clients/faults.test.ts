import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it } from "vitest";
import type { Scenario, ScenarioRepository } from "../support/clients/scenario.ts";
import { findDamage, findWanted, isLargeIntact, LARGE, SCENARIOS, SMALL } from "../support/clients/scenario.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Fault } from "../support/origin-fault.ts";
import { PACKAGE_FAULTS } from "../support/origin-fault.ts";
import type { Origin } from "../support/origin.ts";
import { requireTools } from "../support/run-tool.ts";

/** Short, so that what hangs is found out while a test waits; long for a machine under load. */
const VARS = { UPSTREAM_STALL_SECONDS: 4, UPSTREAM_FIRST_BYTE_SECONDS: 3 };

const FAULTS: readonly (readonly [string, Fault])[] = [
  ...Object.entries(PACKAGE_FAULTS),
  ["a body that stalls halfway", { kind: "stall", at: 0.5 }],
  ["a black hole", { kind: "black-hole" }],
  ["garbage instead of HTTP", { kind: "garbage" }],
  ["a redirect to itself", { kind: "redirect" }],
];

/** Each test needs a package that the mirror does not hold yet: one repository is served under a folder for each. */
const SINGLE = FAULTS.map(([name, fault], index) => ({ name, fault, folder: `single-${index}` }));
const DOUBLE = FAULTS.map(([name, fault], index) => ({ name, fault, folder: `double-${index}` }));

for (const scenario of [SCENARIOS.apt, SCENARIOS.dnf, SCENARIOS.zypper, SCENARIOS.pacman, SCENARIOS.requests] satisfies Scenario[]) {
  describe.runIf(requireTools(...scenario.tools))(`${scenario.client} and a package whose upstream has a fault`, () => {
    let repository: ScenarioRepository;
    let served: string;
    let origin: Origin;
    let healthy: Origin;
    let mirror: MirrorProcess;

    beforeAll(async () => {
      repository = await scenario.openRepository();
      served = mkdtempSync(join(tmpdir(), "lazy-mirror-cases-"));
      for (const { folder } of [...SINGLE, ...DOUBLE]) symlinkSync(repository.folder, join(served, folder));
      origin = await startOrigin(served);
      healthy = await startOrigin(served);
      const distro = scenario.distro === undefined ? {} : { distro: scenario.distro };
      mirror = await startMirror({
        mirrors: { single: { upstreams: [origin.url], ...distro }, double: { upstreams: [origin.url, healthy.url], ...distro } },
        vars: VARS,
      });
    });
    afterAll(async () => {
      await mirror?.remove();
      await origin?.close();
      await healthy?.close();
      for (const folder of [served, repository?.folder]) if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    });

    it.concurrent.for(SINGLE)(
      "$name: no bad byte is taken for good, and all is well once it ends",
      async ({ fault, folder }, { expect }) => {
        const client = repository.open(`${mirror.prefixUrl("single")}/${folder}`);
        const wanted = findWanted(repository, LARGE);
        try {
          expect(await client.refresh()).toMatchObject({ code: 0 });
          const active = origin.fault(`/${folder}/${wanted.path}`, fault);
          const run = await client.install(wanted);
          expect(active.hits).toBeGreaterThan(0);
          if (run.code === 0) expect(findDamage(client, repository)).toEqual([]);
          expect(isLargeIntact(client)).not.toBe(false);
          active.clear();
          expect(await client.install(wanted)).toMatchObject({ code: 0 });
          expect(findDamage(client, repository)).toEqual([]);
          expect(isLargeIntact(client)).not.toBe(false);
        } finally {
          client.remove();
        }
      },
    );

    it.concurrent.for(DOUBLE)("$name: the client notices nothing while another upstream is well", async ({ fault, folder }, { expect }) => {
      const client = repository.open(`${mirror.prefixUrl("double")}/${folder}`);
      const wanted = findWanted(repository, SMALL);
      try {
        expect(await client.refresh()).toMatchObject({ code: 0 });
        const active = origin.fault(`/${folder}/${wanted.path}`, fault);
        expect(await client.install(wanted)).toMatchObject({ code: 0 });
        active.clear();
        expect(findDamage(client, repository)).toEqual([]);
      } finally {
        client.remove();
      }
    });
  });
}
