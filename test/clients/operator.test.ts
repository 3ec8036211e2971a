import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AptRepository, openAptRepository } from "../support/apt-repository.ts";
import { openApt } from "../support/clients/apt.ts";
import type { ClientRoot } from "../support/clients/client.ts";
import { type MirrorProcess, startMirror } from "../support/mirror.ts";
import { MIRROR_WAY } from "../support/mirror-way.ts";
import { type Origin, startOrigin } from "../support/origin.ts";

const COMMAND = join(import.meta.dirname, "../../src/local/operator/mirror-command.ts");
const SMALL = { name: "mirror-test-small++", path: "" };

interface Row {
  readonly key: string;
  readonly paths?: readonly string[];
}

describe("npm run mirror, over an archive that apt uses", () => {
  let repository: AptRepository;
  let origin: Origin;
  let mirror: MirrorProcess;
  let folder: string;
  const clients: ClientRoot[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "lazy-mirror-operator-"));
    repository = await openAptRepository();
    origin = await startOrigin(repository.folder);
    mirror = await startMirror({ mirrors: { debian: { upstreams: [origin.url], distro: "debian" } }, vars: { METADATA_TTL_SECONDS: 60 } });
  });
  afterAll(async () => {
    for (const client of clients) client.remove();
    await mirror?.remove();
    await origin?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function apt(from: MirrorProcess = mirror): ClientRoot {
    const client = openApt(from.prefixUrl("debian"), repository.key);
    clients.push(client);
    return client;
  }

  async function install(client: ClientRoot): Promise<void> {
    expect(await client.refresh()).toMatchObject({ code: 0 });
    expect(await client.install(SMALL)).toMatchObject({ code: 0 });
  }

  /** Runs a verb. Throws unless it ends with `code`. */
  function run(args: readonly string[], { code = 0, input = "" } = {}): Promise<{ readonly stdout: string; readonly stderr: string }> {
    const env = { ...process.env, ADMIN_TOKEN: mirror.readToken() };
    return new Promise((resolve, reject) => {
      const child = execFile(
        process.execPath,
        [COMMAND, "--server", `127.0.0.1:${mirror.port}`, ...args],
        { env },
        (error, stdout, stderr) => {
          if (Number(error?.code ?? 0) === code) resolve({ stdout, stderr });
          else reject(new Error(`mirror ${args.join(" ")}: ${String(error?.code)}\n${stdout}${stderr}`));
        },
      );
      child.stdin?.end(input);
    });
  }
  const rows = async (...args: readonly string[]): Promise<readonly Row[]> =>
    (await run(["--json", ...args])).stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Row]));
  const pathsOf = (found: readonly Row[]) => found.flatMap(({ paths, key }) => paths ?? [key]).toSorted();

  it("lists what lies by its content by the paths that name it", async () => {
    await install(apt());
    const release = pathsOf(await rows("ls", "debian/dists/stable/*Release*"));
    expect(release).toContain("debian/dists/stable/InRelease");
    const indexes = await rows("ls", "debian/dists/stable/main/binary-amd64/*");
    expect(indexes.length).toBeGreaterThan(0);
    for (const { key } of indexes) expect(key).toMatch(/^-\/sha(?:256|512)\//);
    const { stdout } = await run(["ls", "debian/dists/stable/main/binary-amd64/Packages*"]);
    expect(stdout).toMatch(/ debian\/dists\/stable\/main\/binary-amd64\/Packages\.\w+  \(\d+ uses, .*; -\/sha\d+\//);
    // A package has no other path than its own.
    expect(pathsOf(await rows("ls", "debian/pool/*small*"))).toHaveLength(1);
    expect(await rows("ls", "debian/dists/other/*")).toEqual([]);
  });

  it("says in status which repositories it holds, and how they stand", async () => {
    const { stdout } = await run(["status"]);
    expect(stdout).toMatch(/^repository debian\/ {2}\d+ stored files of its metadata, \d+/m);
    expect(stdout).toMatch(/^ {2}debian\/dists\/stable {2}published 20\d\d-.*, confirmed 20\d\d-/m);
  });

  it("pins metadata by its path: what is pinned is not among what goes next", async () => {
    const before = (await rows("evict", "--dry-run", "--limit", "200")).map(({ key }) => key);
    const [index] = await rows("ls", "debian/dists/stable/main/binary-amd64/Packages*");
    expect(before).toContain(index?.key);
    await run(["pin", "debian/dists/stable/*"]);
    expect((await run(["status"])).stdout).toContain("pinned: debian/dists/stable/*");
    expect((await rows("evict", "--dry-run", "--limit", "200")).map(({ key }) => key)).not.toContain(index?.key);
    await run(["unpin", "debian/dists/stable/*"]);
    expect((await rows("evict", "--dry-run", "--limit", "200")).map(({ key }) => key)).toContain(index?.key);
  });

  it("purges a repository by its path: the next client gets a new root with the members that belong to it", async () => {
    const planned = pathsOf(await rows("purge", "debian/dists/stable/*", "--dry-run"));
    expect(pathsOf(await rows("ls", "debian/dists/stable/*"))).toEqual(planned);
    // Published upstream meanwhile; the held generation would go on for a minute.
    await repository.add({ name: "mirror-test-new", version: "1-1", bytes: 1_000 });
    await repository.publish();
    rmSync(join(repository.folder, "dists/stable/main/binary-amd64/by-hash"), { recursive: true });
    expect(pathsOf(await rows("purge", "debian/dists/stable/*"))).toEqual(planned);
    expect(await rows("ls", "debian/dists/stable/*")).toEqual([]);
    const client = apt();
    expect(await client.refresh()).toMatchObject({ code: 0 });
    expect(await client.install({ name: "mirror-test-new", path: "" })).toMatchObject({ code: 0 });
    expect(pathsOf(await rows("ls", "debian/dists/stable/InRelease"))).toEqual(["debian/dists/stable/InRelease"]);
  });

  it("purges an index by its path, and leaves no client without it", async () => {
    expect(await rows("purge", "debian/dists/stable/main/binary-amd64/*")).not.toEqual([]);
    await install(apt());
  });

  it("warms packages by name, by pattern, and from lists, and says which lines it skips", async () => {
    const named = await rows("warm", "debian", "mirror-test-new", "mirror-test-large");
    expect(named.map((row) => (row as unknown as { path: string; status: number }).path.replace(/.*\//, "")).toSorted()).toEqual([
      expect.stringMatching(/^mirror-test-large_/),
      expect.stringMatching(/^mirror-test-new_/),
    ]);
    const { stderr } = await run(["warm", "debian/pool/*node-v*.deb"]);
    expect(stderr).toMatch(/^\d+ of \d+ files, \d+/);
    const node = (await rows("ls", "debian/pool/*node-v*.deb")).map(({ key }) => key);
    expect(node).toEqual(
      repository
        .paths()
        .flatMap((path) => (/\/node-v/.test(path) ? [`debian/${path}`] : []))
        .toSorted(),
    );
    const [first = ""] = node;
    const list = join(folder, "list");
    writeFileSync(list, `${first}\n# a comment\nword\n`);
    expect((await run(["warm", list])).stderr).toContain(`Skipped line 3 of ${list}, "word": it names no file of a mirror`);
    expect((await run(["warm", "-"], { input: "debian/pool/\n" })).stderr).toContain(
      'Skipped line 1 of the input, "debian/pool/": it is a folder',
    );
    expect((await run(["warm", first])).stderr).toMatch(/^1 of 1 files/);
    expect((await run(["warm", "debian", "no-such-package"], { code: 1 })).stderr).toMatch(
      /Cannot find the package no-such-package in debian\/dists\/stable/,
    );
    expect((await run(["warm", "hello"], { code: 1 })).stderr).toMatch(/Cannot tell what "hello" is: .*a mirror \(debian\)/);
  });

  // wrangler dev has no state folder of ours.
  if (MIRROR_WAY.name !== "npm start") return;
  it("a copy of the state folder serves elsewhere, without any upstream", async () => {
    await install(apt());
    await mirror.stop();
    const copy = await startMirror({ mirrors: { debian: { upstreams: ["http://127.0.0.1:9/"], distro: "debian" } }, vars: {} });
    try {
      await copy.stop();
      rmSync(copy.stateFolder, { recursive: true });
      cpSync(mirror.stateFolder, copy.stateFolder, { recursive: true, preserveTimestamps: true });
      await copy.start();
      await install(apt(copy));
    } finally {
      await copy.remove();
      await mirror.start();
    }
  });
});
