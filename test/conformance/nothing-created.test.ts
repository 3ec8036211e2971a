import { mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";
import { findWorkerds } from "../support/process-figures.ts";
import { repomd, sha256 } from "../unit/metadata/samples.ts";

const COUNT = 10_000;
const AT_ONCE = 50;
/** Descriptors that connections take meanwhile, idle ones to the upstream included. A Durable Object would take three for 10 s. */
const CONNECTIONS = 500;
const HEX = sha256("a file of a repository that does not exist");

/** Paths in repositories that exist nowhere, of every kind and role. */
const SHAPES: readonly ((n: number) => string)[] = [
  (n) => `no${n}/os/repodata/repomd.xml`,
  (n) => `no${n}/dists/trixie/InRelease`,
  (n) => `no${n}/dists/trixie/Release.gpg`,
  (n) => `no${n}/core.db`,
  (n) => `no${n}/x86_64/APKINDEX.tar.gz`,
  (n) => `no${n}/os/repodata/${HEX}-primary.xml.gz`,
  (n) => `no${n}/dists/sid/main/binary-amd64/by-hash/SHA256/${HEX}`,
  (n) => `no${n}/dists/sid/main/binary-amd64/Packages.xz`,
  (n) => `no${n}/SHA256SUMS.gpg`,
  (n) => `no${n}/os/repodata/primary.xml.gz`,
  (n) => `no%20${n}/%C3%BC${"/deep".repeat(20)}/repodata/repomd.xml`,
  (n) => `${"long".repeat(50)}${n}/Packages.gz`,
];

let folder: string;
let origin: Origin;
let mirror: MirrorProcess;
const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-nothing-"));
  origin = await startOrigin(folder);
  const index = "the primary of a repository among ten thousand that do not exist";
  const href = `repodata/${sha256(index)}-primary.xml.gz`;
  place("real/repodata/repomd.xml", repomd({ revision: 1_700_000_001, data: { primary: [href, index] } }));
  place(`real/${href}`, index);
  mirror = await startMirror({
    mirrors: { m: { upstreams: [origin.url] } },
    launcher: ["sh", "-c", 'ulimit -n 4096; exec "$@"', "sh"],
  });
});
afterAll(async () => {
  agent.destroy();
  await mirror?.remove();
  await origin.close();
  rmSync(folder, { recursive: true });
});

test("ten thousand repositories that do not exist leave nothing behind, and take nothing from one that does", async () => {
  expect(await ask("real/repodata/repomd.xml")).toBe(200);
  for (const [n, shape] of SHAPES.entries()) expect([shape(n), await ask(shape(n))]).toEqual([shape(n), 404]);
  const [files, open] = [filesOfState(), openFiles()];
  const next = Array.from({ length: COUNT }, (_, n) => n + SHAPES.length).values();
  const wrong: string[] = [];
  let most = 0;
  const client = async (): Promise<void> => {
    for (const n of next) {
      const path = SHAPES[n % SHAPES.length]?.(n) ?? "";
      const status = await ask(path);
      if (status !== 404) wrong.push(`${status} ${path}`);
      if (n % 500 === 0) most = Math.max(most, openFiles());
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, client));
  expect(wrong).toEqual([]);
  expect(filesOfState()).toEqual(files);
  expect(most).toBeLessThan(open + CONNECTIONS);
  expect(await ask("real/repodata/repomd.xml")).toBe(200);
  expect(mirror.output()).not.toMatch(/Too many open files|ended by itself/);
  await mirror.stop();
  await mirror.start();
  expect(await ask("real/repodata/repomd.xml")).toBe(200);
  expect(filesOfState()).toEqual(files);
});

test("an upstream that is away shows nothing: its failure is passed on, and nothing is created", async () => {
  const files = filesOfState();
  origin.fault(/away/, { kind: "status", status: 500 });
  for (const shape of ["away1/repodata/repomd.xml", "away2/dists/a/InRelease", "away3/x.db", "away4/Packages.gz"]) {
    expect([shape, await ask(shape)]).toEqual([shape, 502]);
  }
  expect(filesOfState()).toEqual(files);
});

function place(path: string, content: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), content);
}

function ask(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get(`${mirror.prefixUrl("m")}/${path}`, { agent }, (response) => {
      response.resume().on("end", () => resolve(response.statusCode ?? 0));
    }).on("error", reject);
  });
}

/** SQLite's own journals come and go. */
function filesOfState(): readonly string[] {
  const names = readdirSync(mirror.stateFolder, { recursive: true, encoding: "utf8" });
  return names.filter((name) => !/-(?:wal|shm|journal)$/.test(name)).toSorted();
}

function openFiles(): number {
  return Math.max(
    ...findWorkerds().map((pid) => {
      const links = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
        try {
          return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
        } catch {
          return [];
        }
      });
      return links.length;
    }),
  );
}
