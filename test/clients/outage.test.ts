import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LARGE_DEB, openAptRepository, SMALL_DEB } from "../support/apt-repository.ts";
import type { AptRepository } from "../support/apt-repository.ts";
import { APT_TOOLS, openApt } from "../support/clients/apt.ts";
import type { ClientRoot } from "../support/clients/client.ts";
import type { ScenarioRepository } from "../support/clients/scenario.ts";
import { findDamage, findWanted, LARGE, SCENARIOS, SMALL } from "../support/clients/scenario.ts";
import { download } from "../support/download.ts";
import { downloadWhileFlapping } from "../support/flapping.ts";
import { makeDeb, placeFile } from "../support/large-files.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";
import { requireTools } from "../support/run-tool.ts";

const FIRST_BYTE_SECONDS = 2;
const VARS = { UPSTREAM_STALL_SECONDS: 4, UPSTREAM_FIRST_BYTE_SECONDS: FIRST_BYTE_SECONDS, METADATA_TTL_SECONDS: 0 };
/** On a machine with other things to do. */
const NOISE_MS = 15_000;

for (const scenario of [SCENARIOS.apt, SCENARIOS.dnf, SCENARIOS.zypper, SCENARIOS.pacman]) {
  describe.runIf(requireTools(...scenario.tools))(`${scenario.client} while all upstreams are dead`, () => {
    let repository: ScenarioRepository;
    let origins: readonly Origin[];
    let mirror: MirrorProcess;

    beforeAll(async () => {
      repository = await scenario.openRepository();
      origins = [await startOrigin(repository.folder), await startOrigin(repository.folder)];
      mirror = await startMirror({
        mirrors: { m: { distro: scenario.distro, upstreams: origins.map(({ url }) => url) } },
        vars: VARS,
      });
    });
    afterAll(async () => {
      await mirror?.remove();
      for (const origin of origins ?? []) await origin.close();
      if (repository !== undefined) rmSync(repository.folder, { recursive: true, force: true });
    });

    /** Installs with a client that was never here before. */
    async function installAnew(name: string): Promise<{ readonly code: number; readonly client: ClientRoot }> {
      const client = repository.open(mirror.prefixUrl("m"));
      const refreshed = await client.refresh();
      expect(refreshed, "the last metadata").toMatchObject({ code: 0 });
      const { code } = await client.install(findWanted(repository, name));
      return { code, client };
    }

    it("installs what is warm, refuses what is cold within the limit, and goes on at once when one is back", async () => {
      const before = await installAnew(LARGE);
      expect(before.code).toBe(0);
      before.client.remove();
      for (const origin of origins) await origin.close();

      const warm = await installAnew(LARGE);
      expect(warm.code).toBe(0);
      expect(findDamage(warm.client, repository)).toEqual([]);
      warm.client.remove();

      const cold = `${mirror.prefixUrl("m")}/${findWanted(repository, SMALL).path}`;
      const startedAt = Date.now();
      const refusal = await download(cold);
      expect([502, 504]).toContain(refusal.status);
      expect(refusal.length, "apt tries again only what has a body").toBeGreaterThan(0);
      expect(Date.now() - startedAt).toBeLessThan(origins.length * FIRST_BYTE_SECONDS * 1000 + NOISE_MS);

      await origins[1]?.restart();
      const healed = await installAnew(SMALL);
      expect(healed.code).toBe(0);
      expect(findDamage(healed.client, repository)).toEqual([]);
      healed.client.remove();
    });
  });
}

describe.runIf(requireTools(...APT_TOOLS))("apt while the first of two upstreams", () => {
  const DEATHS = ["refuses connections", "swallows requests", "is silent on a TCP level", "has no TLS though it should"] as const;
  let repository: AptRepository;
  let otherFolder: string;
  let first: Record<(typeof DEATHS)[number], Origin>;
  let second: Origin;
  let half: Origin;
  let impostor: Origin;
  let mute: Awaited<ReturnType<typeof startMute>>;
  let mirror: MirrorProcess;

  beforeAll(async () => {
    repository = await openAptRepository();
    second = await startOrigin(repository.folder);
    half = await startOrigin(repository.folder);
    const origins = await Promise.all(DEATHS.map(() => startOrigin(repository.folder)));
    first = Object.fromEntries(DEATHS.map((death, index) => [death, origins[index]])) as typeof first;
    mute = await startMute();
    otherFolder = mkdtempSync(join(tmpdir(), "lazy-mirror-other-"));
    cpSync(repository.folder, otherFolder, { recursive: true, preserveTimestamps: true });
    impostor = await startOrigin(otherFolder);
    const urls = {
      "refuses connections": first["refuses connections"].url,
      "swallows requests": first["swallows requests"].url,
      "is silent on a TCP level": mute.url,
      "has no TLS though it should": first["has no TLS though it should"].url.replace("http:", "https:"),
    };
    const tables = DEATHS.map((death) => [nameOf(death), { distro: "debian", upstreams: [urls[death], second.url] }] as const);
    mirror = await startMirror({
      mirrors: { ...Object.fromEntries(tables), mixed: { distro: "debian", upstreams: [half.url, impostor.url] } },
      vars: VARS,
    });
    await first["refuses connections"].close();
    first["swallows requests"].fault(/./, { kind: "black-hole" });
  });
  afterAll(async () => {
    await mirror?.remove();
    for (const origin of [second, half, impostor, ...Object.values(first ?? {})]) await origin?.close();
    mute?.close();
    for (const folder of [repository?.folder, otherFolder]) if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });
  function nameOf(death: (typeof DEATHS)[number]): string {
    return death.replaceAll(" ", "-").toLowerCase();
  }

  it.each(DEATHS)("%s: installs in time from the second, later without waiting, and from the first once it is well", async (death) => {
    const client = openApt(mirror.prefixUrl(nameOf(death)), repository.key);
    try {
      const startedAt = Date.now();
      expect(await client.refresh()).toMatchObject({ code: 0 });
      // Three failures open the breaker.
      expect(Date.now() - startedAt).toBeLessThan(3 * FIRST_BYTE_SECONDS * 1000 + NOISE_MS);
      for (let n = 0; n < 3; n++) await client.refresh();
      const origin = first[death];
      const asked = origin.requests(/\.deb$/).length;
      expect(await client.install({ name: SMALL_DEB.name, path: "" })).toMatchObject({ code: 0 });
      expect(client.downloads().size).toBe(2);
      // Two packages, and at most one of them was the probe.
      expect(origin.requests(/\.deb$/).length - asked).toBeLessThanOrEqual(1);

      if (death === "refuses connections") await origin.restart();
      else if (death === "swallows requests") origin.clearFaults();
      else return;
      origin.log.length = 0;
      await expect
        .poll(
          async () => {
            await client.refresh();
            return origin.log.length;
          },
          { timeout: 60_000, interval: 500 },
        )
        .toBeGreaterThan(0);
      second.log.length = 0;
      expect(await client.refresh()).toMatchObject({ code: 0 });
      expect(second.requests("/dists/stable/InRelease")).toEqual([]);
    } finally {
      client.remove();
    }
  });

  it("breaks off, and the second has another file of the same name and size: the two are never mixed", async () => {
    const path = repository.paths().find((one) => one.includes(`${LARGE_DEB.name}_`)) ?? "";
    placeFile(otherFolder, path, makeDeb("another", 6_021_312));
    const client = openApt(mirror.prefixUrl("mixed"), repository.key);
    try {
      expect(await client.refresh()).toMatchObject({ code: 0 });
      half.fault(`/${path}`, { kind: "cut", at: 0.5 });
      await client.install({ name: LARGE_DEB.name, path: "" });
      const repositoryLike = { folder: repository.folder, paths: repository.paths, open: () => client };
      expect(findDamage(client, repositoryLike)).toEqual([]);
      half.clearFaults();
      await expect
        .poll(async () => (await client.install({ name: LARGE_DEB.name, path: "" })).code, { timeout: 60_000, interval: 500 })
        .toBe(0);
      expect(findDamage(client, repositoryLike)).toEqual([]);
    } finally {
      client.remove();
    }
  });
});

describe("50 clients while one of two upstreams comes and goes", () => {
  const CLIENTS = 50;
  const FLAPS = 12;
  const FLAP_MS = 500;
  let folder: string;
  let steady: Origin;
  let flapping: Origin;
  let mirror: MirrorProcess;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "lazy-mirror-flapping-"));
    steady = await startOrigin(folder);
    flapping = await startOrigin(folder);
    mirror = await startMirror({ mirrors: { m: { upstreams: [flapping.url, steady.url] } }, vars: VARS });
  });
  afterAll(async () => {
    await mirror?.remove();
    await steady?.close();
    await flapping?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });

  it("see no failure; the log and the metrics tell of the breaker", async () => {
    const { downloads, failures } = await downloadWhileFlapping({
      url: mirror.prefixUrl("m"),
      flapping,
      clients: CLIENTS,
      flaps: FLAPS,
      flapMs: FLAP_MS,
    });
    expect(failures).toEqual([]);
    expect(downloads).toBeGreaterThan(CLIENTS);
    expect(mirror.output()).toContain('"kind":"breaker"');
    expect(mirror.output()).toContain('"state":"closed"');
    const metrics = await (await fetch(`${mirror.url}/-/metrics`, { headers: { authorization: `Bearer ${mirror.readToken()}` } })).text();
    expect(metrics).toMatch(/^lazy_mirror_upstream_events_total\{.*breaker.*\} [1-9]/m);
  });
});

/** Takes connections and says nothing. */
async function startMute(): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((socket) => socket.on("error", () => {})).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}
