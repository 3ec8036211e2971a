import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, it, vi } from "vitest";
import type { ClientRoot, Wanted } from "../support/clients/client.ts";
import type { Scenario, ScenarioRepository } from "../support/clients/scenario.ts";
import { findDamage, findWanted, isLargeIntact, LARGE, SCENARIOS, SMALL } from "../support/clients/scenario.ts";
import { MIRROR_WAY } from "../support/mirror-way.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import type { Fault } from "../support/origin-fault.ts";
import { PACKAGE_FAULTS } from "../support/origin-fault.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";
import { requireTools } from "../support/run-tool.ts";
import type { ToolRun } from "../support/run-tool.ts";

/** Short, so that what hangs is found out while a test waits; long for a machine under load. */
const VARS = { UPSTREAM_STALL_SECONDS: 4, UPSTREAM_FIRST_BYTE_SECONDS: 3 };

/** An upstream that failed may be left alone for a while before it is trusted again. */
const RECOVERY_MS = 60_000;
const RETRY_MS = 500;

/** The clients mostly wait. `wrangler dev` needs more of the machine for each of their requests, and its upstreams must not look slow. */
vi.setConfig({ maxConcurrency: MIRROR_WAY.name === "wrangler dev" ? 6 : 10 });

const FAULTS: readonly (readonly [string, Fault])[] = [
  ...Object.entries(PACKAGE_FAULTS),
  ["a body that stalls halfway", { kind: "stall", at: 0.5 }],
  ["a black hole", { kind: "black-hole" }],
  ["garbage instead of HTTP", { kind: "garbage" }],
  ["a redirect to itself", { kind: "redirect" }],
];

/** Each test has a mirror and a faulty upstream of its own: nothing is warm, and no other test's faults are held against it. */
const SINGLE = FAULTS.map(([name, fault], index) => ({ name, fault, mirrorName: `single-${index}` }));
const DOUBLE = FAULTS.map(([name, fault], index) => ({ name, fault, mirrorName: `double-${index}` }));

for (const scenario of [SCENARIOS.apt, SCENARIOS.dnf, SCENARIOS.zypper, SCENARIOS.pacman, SCENARIOS.requests] satisfies Scenario[]) {
  describe.runIf(requireTools(...scenario.tools))(`${scenario.client} and a package whose upstream has a fault`, () => {
    const origins = new Map<string, Origin>();
    let repository: ScenarioRepository;
    let healthy: Origin;
    let mirror: MirrorProcess;

    beforeAll(async () => {
      repository = await scenario.openRepository();
      healthy = await startOrigin(repository.folder);
      for (const { mirrorName } of [...SINGLE, ...DOUBLE]) origins.set(mirrorName, await startOrigin(repository.folder));
      const distro = scenario.distro === undefined ? {} : { distro: scenario.distro };
      const tables = [...origins].map(([name, { url }]) => {
        const upstreams = name.startsWith("double") ? [url, healthy.url] : [url];
        return [name, { upstreams, hosts: [`${name}.test`], ...distro }] as const;
      });
      mirror = await startMirror({ mirrors: Object.fromEntries(tables), vars: VARS });
    });
    afterAll(async () => {
      await mirror?.remove();
      for (const origin of [healthy, ...origins.values()]) await origin?.close();
      if (repository !== undefined) rmSync(repository.folder, { recursive: true, force: true });
    });

    /** A client with fresh metadata, and the fault switched on for the package that it is to install. */
    async function prepare(mirrorName: string, packageName: string, fault: Fault): Promise<Prepared> {
      const client = repository.open(mirror.prefixUrl(mirrorName));
      const wanted = findWanted(repository, packageName);
      // On a machine with other things to do a healthy upstream too may answer later than the mirror waits.
      const refreshed = await runUntil(() => client.refresh(), Date.now() + RECOVERY_MS);
      if (refreshed.code !== 0) throw new Error(`Cannot refresh ${mirrorName}:\n${describeRun(refreshed)}`);
      const active = origins.get(mirrorName)?.fault(`/${wanted.path}`, fault);
      if (active === undefined) throw new Error(`Cannot find an origin for ${mirrorName}`);
      return { client, wanted, active };
    }

    it.concurrent.for(SINGLE)(
      "$name: no bad byte is taken for good, and all is well once it ends",
      async ({ fault, mirrorName }, { expect }) => {
        const { client, wanted, active } = await prepare(mirrorName, LARGE, fault);
        try {
          const run = await client.install(wanted);
          expect(active.hits, describeRun(run)).toBeGreaterThan(0);
          if (run.code === 0) expect(findDamage(client, repository)).toEqual([]);
          expect(isLargeIntact(client)).not.toBe(false);

          active.clear();
          const healed = await runUntil(() => client.install(wanted), Date.now() + RECOVERY_MS);
          expect(healed.code, describeRun(healed)).toBe(0);
          expect(findDamage(client, repository)).toEqual([]);
          expect(isLargeIntact(client)).not.toBe(false);
        } finally {
          active.clear();
          client.remove();
        }
      },
    );

    it.concurrent.for(DOUBLE)(
      "$name: the client notices nothing while another upstream is well",
      async ({ fault, mirrorName }, { expect }) => {
        const { client, wanted, active } = await prepare(mirrorName, SMALL, fault);
        try {
          const run = await client.install(wanted);
          expect(run.code, describeRun(run)).toBe(0);
          expect(active.hits).toBeGreaterThan(0);
          expect(findDamage(client, repository)).toEqual([]);
        } finally {
          active.clear();
          client.remove();
        }
      },
    );
  });
}

interface Prepared {
  readonly client: ClientRoot;
  readonly wanted: Wanted;
  readonly active: { readonly hits: number; clear(): void };
}

/** Runs a client until it succeeds, or the deadline has passed. */
async function runUntil(start: () => Promise<ToolRun>, deadline: number): Promise<ToolRun> {
  const run = await start();
  if (run.code === 0 || Date.now() > deadline) return run;
  await sleep(RETRY_MS);
  return runUntil(start, deadline);
}

function describeRun(run: ToolRun): string {
  return `exit code ${run.code}\n${run.stdout}${run.stderr}`;
}
