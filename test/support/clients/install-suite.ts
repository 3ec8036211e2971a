import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startMirror } from "../mirror.ts";
import type { MirrorProcess } from "../mirror.ts";
import { startOrigin } from "../origin.ts";
import type { Origin } from "../origin.ts";
import { requireTools } from "../run-tool.ts";
import type { Scenario, ScenarioRepository } from "./scenario.ts";
import { findDamage, findWanted, isLargeIntact, LARGE, SMALL } from "./scenario.ts";

const PACKAGE = /\.(deb|rpm|pkg\.tar\.zst)$/;

/** What every client may expect of a mirror, in both ways of naming one. */
export function describeInstall(scenario: Scenario): void {
  describe.runIf(requireTools(...scenario.tools))(`${scenario.client} over a mirror`, () => {
    let repository: ScenarioRepository;
    let origin: Origin;
    let mirror: MirrorProcess;

    beforeAll(async () => {
      repository = await scenario.openRepository();
      origin = await startOrigin(repository.folder);
      const table = { upstreams: [origin.url], ...(scenario.distro === undefined ? {} : { distro: scenario.distro }) };
      // One mirror a mode, so that each is cold once; no metadata is taken for fresh.
      mirror = await startMirror({ mirrors: { host: table, prefix: table }, vars: { METADATA_TTL_SECONDS: 0 } });
    });
    afterAll(async () => {
      await mirror?.remove();
      await origin?.close();
      if (repository !== undefined) rmSync(repository.folder, { recursive: true, force: true });
    });

    async function install(url: string): Promise<void> {
      const client = repository.open(url);
      try {
        expect(await client.refresh()).toMatchObject({ code: 0 });
        expect(await client.install(findWanted(repository, LARGE), findWanted(repository, SMALL))).toMatchObject({ code: 0 });
        expect(client.downloads().size).toBe(2);
        expect(findDamage(client, repository)).toEqual([]);
        expect(isLargeIntact(client)).not.toBe(false);
      } finally {
        client.remove();
      }
    }
    /** Package paths that the upstream was asked for, in the order of the alphabet. */
    function listFetches(): string[] {
      return origin
        .requests(PACKAGE)
        .flatMap((one) => (one.method === "GET" ? [one.path] : []))
        .toSorted();
    }

    describe.each(["host", "prefix"] as const)("%s mode", (mode) => {
      const url = (): string => (mode === "host" ? mirror.hostUrl(mode) : mirror.prefixUrl(mode));

      it("installs from a cold mirror, which fetches each package once", async () => {
        origin.log.length = 0;
        await install(url());
        expect(listFetches()).toEqual([LARGE, SMALL].map((name) => `/${findWanted(repository, name).path}`).toSorted());
      });

      it("installs from a warm mirror, which asks its upstream for no package", async () => {
        origin.log.length = 0;
        await install(url());
        expect(listFetches()).toEqual([]);
      });

      it("installs from what a restarted mirror kept", async () => {
        await mirror.stop();
        await mirror.start();
        origin.log.length = 0;
        await install(url());
        expect(listFetches()).toEqual([]);
      });

      it("installs while the upstream is gone", async () => {
        await origin.close();
        try {
          await install(url());
        } finally {
          await origin.restart();
        }
      });
    });
  });
}
