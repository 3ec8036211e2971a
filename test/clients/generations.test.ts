import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { AptRepository } from "../support/apt-repository.ts";
import { LARGE_DEB, openAptRepository } from "../support/apt-repository.ts";
import { APT_TOOLS, openApt } from "../support/clients/apt.ts";
import type { ClientRoot } from "../support/clients/client.ts";
import { DNF_TOOLS, openDnf } from "../support/clients/dnf.ts";
import { openZypper, ZYPPER_TOOLS } from "../support/clients/zypper.ts";
import { download } from "../support/download.ts";
import { sha256 } from "../support/fixture.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { startMirror } from "../support/mirror.ts";
import type { Origin } from "../support/origin.ts";
import { startOrigin } from "../support/origin.ts";
import { startRelay } from "../support/relay.ts";
import type { RelayHooks } from "../support/relay.ts";
import type { RpmRepository } from "../support/rpm-repository.ts";
import { openRpmRepository } from "../support/rpm-repository.ts";
import { requireTools } from "../support/run-tool.ts";

/** Each scenario has a mirror and an upstream of its own: what one holds back or breaks is nobody else's. */
const APT_MIRRORS = ["ahead", "replaced", "flipped", "torn", "aged", "halfway", "crowd"] as const;
const RPM_MIRRORS = ["held", "half-signed", "signed", "resigned", "metalink", "mirrorlist"] as const;

const NEW_DEB = { name: "mirror-test-new", version: "1.0-1", bytes: 4000 };
const NEW_RPM = { name: "mirror-test-new", version: "1.0", bytes: 4000 };

interface Place<Repository> {
  readonly repository: Repository;
  readonly origin: Origin;
}

/** A client that ends with its test. */
function during(client: ClientRoot): ClientRoot {
  onTestFinished(() => client.remove());
  return client;
}

function wanted(spec: { readonly name: string }): { name: string; path: string } {
  return { name: spec.name, path: "" };
}

async function openPlaces<Name extends string, Repository extends { readonly folder: string }>(
  names: readonly Name[],
  open: () => Promise<Repository>,
): Promise<Record<Name, Place<Repository>>> {
  const places = new Map<string, Place<Repository>>();
  for (const name of names) {
    const repository = await open();
    places.set(name, { repository, origin: await startOrigin(repository.folder) });
  }
  return Object.fromEntries(places) as Record<Name, Place<Repository>>;
}

async function closePlaces(places: Record<string, Place<{ readonly folder: string }>>): Promise<void> {
  for (const { origin, repository } of Object.values(places)) {
    await origin.close();
    rmSync(repository.folder, { recursive: true, force: true });
  }
}

describe.runIf(requireTools(...APT_TOOLS))("apt, whatever its upstream is in the middle of", () => {
  let places: Record<(typeof APT_MIRRORS)[number], Place<AptRepository>>;
  let older: Origin;
  let whole: Origin;
  let mirror: MirrorProcess;

  beforeAll(async () => {
    places = await openPlaces(APT_MIRRORS, openAptRepository);
    const copy = mkdtempSync(join(tmpdir(), "lazy-mirror-older-"));
    cpSync(places.aged.repository.folder, copy, { recursive: true, preserveTimestamps: true });
    older = await startOrigin(copy);
    whole = await startOrigin(places.halfway.repository.folder);
    const tables = Object.fromEntries(
      APT_MIRRORS.map((name) => [
        name,
        {
          distro: "debian",
          upstreams: [places[name].origin.url, ...(name === "aged" ? [older.url] : name === "halfway" ? [whole.url] : [])],
        },
      ]),
    );
    mirror = await startMirror({ mirrors: tables, vars: { METADATA_TTL_SECONDS: 0 } });
  });
  afterAll(async () => {
    await mirror?.remove();
    if (places !== undefined) await closePlaces(places);
    await older?.close();
    await whole?.close();
    if (older !== undefined) rmSync(older.folder, { recursive: true, force: true });
  });
  const open = (name: (typeof APT_MIRRORS)[number]): ClientRoot => during(openApt(mirror.prefixUrl(name), places[name].repository.key));

  it("updates on the old generation while InRelease is ahead of its by-hash files, and on the new one once they are there", async () => {
    const { repository, origin } = places.ahead;
    const client = open("ahead");
    expect(await client.refresh()).toMatchObject({ code: 0 });

    await repository.add(NEW_DEB);
    await repository.publish();
    const missing = origin.fault(/^\/dists\/stable\/main\//, { kind: "status", status: 404 });
    expect(await client.refresh()).toMatchObject({ code: 0 });
    expect(missing.hits).toBeGreaterThan(0);
    expect(await client.install(wanted(NEW_DEB))).not.toMatchObject({ code: 0 });
    const late = open("ahead");
    expect(await late.refresh(), "a client that comes in the middle").toMatchObject({ code: 0 });

    missing.clear();
    await expect
      .poll(async () => (await client.refresh()).code === 0 && (await client.install(wanted(NEW_DEB))).code, {
        timeout: 30_000,
        interval: 500,
      })
      .toBe(0);
  });

  it("gets the new bytes of a .deb that was replaced under its name", async () => {
    const { repository } = places.replaced;
    const first = open("replaced");
    expect(await first.refresh()).toMatchObject({ code: 0 });
    expect(await first.install(wanted(LARGE_DEB))).toMatchObject({ code: 0 });

    const path = await repository.add({ ...LARGE_DEB, seed: "other bytes, equal size" });
    await repository.publish();
    const second = open("replaced");
    expect(await second.refresh()).toMatchObject({ code: 0 });
    expect(await second.install(wanted(LARGE_DEB))).toMatchObject({ code: 0 });
    expect([...second.downloads().values()].map(sha256)).toEqual([sha256(join(repository.folder, path))]);
  });

  it.each([
    ["a small one, answered with an error", { name: "mirror-test-flat", version: "1.0-1", bytes: 20_000 }],
    ["a large one, cut off", { name: "mirror-test-long", version: "1.0-1", bytes: 6_000_000 }],
  ])("never has a .deb whole that is not the one of Packages: %s", async (_how, spec) => {
    const { repository, origin } = places.flipped;
    const path = await repository.add(spec);
    await repository.publish();
    const client = open("flipped");
    expect(await client.refresh()).toMatchObject({ code: 0 });
    // Deep in the payload: its structure tells nothing.
    const flip = origin.fault(`/${path}`, { kind: "flip", at: 0.9 });
    expect(await client.install(wanted(spec))).not.toMatchObject({ code: 0 });
    expect(flip.hits).toBeGreaterThan(0);
    expect(client.downloads().size).toBe(0);
    const url = `${mirror.prefixUrl("flipped")}/${path}`;
    expect(await readWhole(url)).toBeNull();

    flip.clear();
    await expect
      .poll(() => readWhole(url).then((body) => body && sha256(body)), { timeout: 30_000, interval: 500 })
      .toBe(sha256(join(repository.folder, path)));
    expect(await client.install(wanted(spec))).toMatchObject({ code: 0 });
  });

  it("never sees an InRelease of two generations, though its upstream breaks off and has another one by then", async () => {
    const { repository, origin } = places.torn;
    const client = open("torn");
    expect(await client.refresh()).toMatchObject({ code: 0 });
    // Nothing for If-Range: whoever asks for the rest gets that of the file as it is by then.
    origin.etag = "none";
    for (let n = 0; n < 3; n++) {
      await repository.add({ ...NEW_DEB, version: `1.${n}-1` });
      await repository.publish();
      origin.log.length = 0;
      const rest = origin.fault("/dists/stable/InRelease", { kind: "black-hole" }, { times: 1 });
      origin.fault("/dists/stable/InRelease", { kind: "cut", at: 0.5 }, { times: 1 });
      const refreshing = client.refresh();
      await origin.waitForRequest("/dists/stable/InRelease", { count: 2 });
      await repository.publish();
      rest.clear();
      expect(await refreshing).toMatchObject({ code: 0 });
    }
    expect(await client.refresh()).toMatchObject({ code: 0 });
    expect(await client.install(wanted(NEW_DEB))).toMatchObject({ code: 0 });
  });

  it("is told new metadata by a cache on its way, which may not guess how long the old is good", async () => {
    const url = `${mirror.prefixUrl("ahead")}/dists/stable`;
    for (const path of ["InRelease", "Release", "Release.gpg", "main/binary-amd64/Packages.gz", "main/binary-amd64/"]) {
      const { status, headers } = await download(`${url}/${path}`);
      expect([path, status, headers["cache-control"]]).toEqual([path, 200, "no-cache, no-transform"]);
    }
    const refused = await download(`${url}/main/binary-none/Packages.gz`);
    expect([refused.status, refused.headers["cache-control"]]).toEqual([404, "no-store, no-transform"]);
  });

  it("gets the new generation at once from the upstream that has all of it, while the first is half-way", async () => {
    const { repository, origin } = places.halfway;
    const client = open("halfway");
    expect(await client.refresh()).toMatchObject({ code: 0 });
    await repository.add(NEW_DEB);
    await repository.publish();
    origin.fault(/^\/dists\/stable\/main\//, { kind: "status", status: 404 });
    expect(await client.refresh()).toMatchObject({ code: 0 });
    expect(await client.install(wanted(NEW_DEB))).toMatchObject({ code: 0 });
  });

  it("does not go back to the older of two upstreams", async () => {
    const { repository, origin } = places.aged;
    await repository.add(NEW_DEB);
    await repository.publish();
    const client = open("aged");
    expect(await client.refresh()).toMatchObject({ code: 0 });
    await origin.close();
    try {
      for (let n = 0; n < 3; n++) expect(await client.refresh()).toMatchObject({ code: 0 });
      const late = open("aged");
      expect(await late.refresh()).toMatchObject({ code: 0 });
      expect(await late.install(wanted(LARGE_DEB)), "a package that both have").toMatchObject({ code: 0 });
      expect(await late.install(wanted(NEW_DEB)), "one that nobody can give now").not.toMatchObject({ code: 0 });
      expect(late.installed(NEW_DEB.name)).toBeUndefined();
    } finally {
      await origin.restart();
    }
    await expect.poll(async () => (await client.install(wanted(NEW_DEB))).code, { timeout: 60_000, interval: 500 }).toBe(0);
  });

  it("updates in a crowd, across many swaps, without one failure", async () => {
    const { repository } = places.crowd;
    let isOver = false;
    const runs: (number | string)[] = [];
    const crowd = Array.from({ length: 8 }, async () => {
      const client = open("crowd");
      while (!isOver) {
        const { code, stderr } = await client.refresh();
        runs.push(code === 0 ? 0 : stderr);
      }
    });
    for (let n = 0; n < 6; n++) {
      await repository.add({ ...NEW_DEB, version: `2.${n}-1` });
      await repository.publish();
    }
    isOver = true;
    await Promise.all(crowd);
    expect(runs.length).toBeGreaterThan(8);
    expect(runs.filter((run) => run !== 0)).toEqual([]);
  });
});

describe.runIf(requireTools(...DNF_TOOLS, ...ZYPPER_TOOLS))("dnf and zypper, whatever their upstream is in the middle of", () => {
  let places: Record<(typeof RPM_MIRRORS)[number], Place<RpmRepository>>;
  /** One that asks its upstream each time, and one as it is in use. */
  let eager: MirrorProcess;
  let usual: MirrorProcess;

  beforeAll(async () => {
    places = await openPlaces(RPM_MIRRORS, openRpmRepository);
    const mirrors = Object.fromEntries(
      RPM_MIRRORS.map((name) => [name, { distro: name.includes("signed") ? "opensuse" : "fedora", upstreams: [places[name].origin.url] }]),
    );
    eager = await startMirror({ mirrors, vars: { METADATA_TTL_SECONDS: 0 } });
    usual = await startMirror({ mirrors });
  });
  afterAll(async () => {
    await eager?.remove();
    await usual?.remove();
    if (places !== undefined) await closePlaces(places);
  });

  async function relay(mirror: MirrorProcess, hooks: RelayHooks): Promise<string> {
    const started = await startRelay(mirror.port, hooks);
    onTestFinished(() => started.close());
    return started.url;
  }

  it("dnf gets all that its repomd.xml names, though a new one is published and the upstream has deleted the old files", async () => {
    const { repository } = places.held;
    const other = during(openDnf(eager.prefixUrl("held")));
    let swaps = 0;
    const url = await relay(eager, {
      async before(path) {
        if (swaps > 0 || !/-(primary|filelists)\.xml/.test(path)) return;
        swaps++;
        await repository.add(NEW_RPM);
        await repository.publish();
        expect(await other.refresh()).toMatchObject({ code: 0 });
        expect(await other.install(wanted(NEW_RPM))).toMatchObject({ code: 0 });
      },
    });
    const client = during(openDnf(`${url}/held`));
    expect(await client.refresh()).toMatchObject({ code: 0 });
    expect(swaps).toBe(1);
    expect(await client.install(wanted(NEW_RPM)), "of the generation that it does not hold").not.toMatchObject({ code: 0 });
    expect(await client.install({ name: "mirror-test-a", path: "" })).toMatchObject({ code: 0 });
  });

  it.each(["repomd.xml", "repomd.xml.asc"])("zypper refreshes while the upstream has only its new %s", async (early) => {
    const { repository } = places["half-signed"];
    const client = during(openZypper(eager.prefixUrl("half-signed")));
    expect(await client.refresh()).toMatchObject({ code: 0 });

    const file = join(repository.folder, "repodata", early === "repomd.xml" ? "repomd.xml.asc" : "repomd.xml");
    const before = readFileSync(file);
    const spec = { ...NEW_RPM, version: early === "repomd.xml" ? "1.0" : "2.0" };
    const path = await repository.add(spec);
    await repository.publish();
    renameSync(file, `${file}.whole`);
    writeFileSync(file, before);
    expect(await client.refresh()).toMatchObject({ code: 0 });

    renameSync(`${file}.whole`, file);
    await expect
      .poll(
        async () => {
          await client.refresh();
          await client.install(wanted(spec));
          return [...client.downloads().keys()];
        },
        { timeout: 30_000, interval: 500 },
      )
      .toContain(basename(path));
  });

  it("zypper gets the signature and the repomd.xml of one generation, though the upstream's changes between the two", async () => {
    const { repository } = places.signed;
    let swaps = 0;
    const url = await relay(usual, {
      async before(path) {
        if (!path.endsWith("repomd.xml.asc") || swaps++ > 0) return;
        await repository.add(NEW_RPM);
        await repository.publish();
      },
    });
    const client = during(openZypper(`${url}/signed`));
    expect(await client.refresh()).toMatchObject({ code: 0 });
    expect(swaps).toBeGreaterThan(0);
    expect(await client.install({ name: "mirror-test-a", path: "" })).toMatchObject({ code: 0 });
  });

  it("dnf gets a package that was signed again, of equal size and date, in one run", async () => {
    const { repository } = places.resigned;
    const first = during(openDnf(eager.prefixUrl("resigned")));
    const small = { name: "mirror-test-b", path: "" };
    const large = { name: "mirror-test-large", path: "" };
    expect(await first.refresh()).toMatchObject({ code: 0 });
    expect(await first.install(small, large)).toMatchObject({ code: 0 });
    const paths = repository.paths().filter((path) => path.includes(small.name) || path.includes(large.name));
    const old = paths.map((path) => sha256(join(repository.folder, path)));
    for (const path of paths) await repository.resign(path);
    await repository.publish();
    const now = paths.map((path) => sha256(join(repository.folder, path)));
    expect(now).not.toEqual(old);

    const second = during(openDnf(eager.prefixUrl("resigned")));
    expect(await second.install(small, large)).toMatchObject({ code: 0 });
    expect([...second.downloads().values()].map(sha256).toSorted()).toEqual(now.toSorted());
  });

  it.each(["metalink", "mirrorlist"] as const)("dnf installs by %s=, and a broken repomd.xml is not taken", async (kind) => {
    let isBroken = true;
    const url = await relay(usual, {
      // Still well-formed: a digit of the revision is another one. Only a digest or a signature tells.
      change: (path, body) =>
        isBroken && path.endsWith("repomd.xml")
          ? Buffer.from(body.toString().replace(/\d(?=<\/revision>)/, (digit) => String((Number(digit) + 1) % 10)))
          : body,
    });
    const source = kind === "metalink" ? { metalink: `${url}/-/metalink/${kind}` } : { mirrorlist: `${url}/-/mirrorlist/${kind}/` };
    const client = during(openDnf(`${url}/${kind}`, source));
    const broken = await client.refresh();
    expect(broken.code).not.toBe(0);
    if (kind === "metalink") expect(broken.stderr + broken.stdout).toMatch(/checksum/i);
    isBroken = false;
    expect(await client.refresh()).toMatchObject({ code: 0 });
    expect(await client.install({ name: "mirror-test-a", path: "" })).toMatchObject({ code: 0 });
  });
});

/** The body, or null where it did not come whole with status 200. */
async function readWhole(url: string): Promise<Buffer | null> {
  try {
    const response = await fetch(url);
    const body = Buffer.from(await response.arrayBuffer());
    return response.status === 200 ? body : null;
  } catch {
    return null;
  }
}
