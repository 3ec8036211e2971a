/**
 * CPU and memory of the Worker while it takes over an index as large as Fedora's and Debian's: fetch, check, digest table. Prints the table of
 * docs/generations.md. Run: node bench/index-figures.ts
 *
 * CPU is all of workerd's, with the R2 and Durable Objects that it simulates; the edge bills the Worker's own part. Memory is the isolate's (which has
 * 128 MB at the edge): its heap and the buffers that it holds, as the inspector tells.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { loadWorker } from "../src/local/server/load-worker.ts";
import type { Download } from "../test/support/download.ts";
import { download } from "../test/support/download.ts";
import { makeDeb, placeFile } from "../test/support/large-files.ts";
import type { NamedFile } from "../test/support/large-indexes.ts";
import { findDebianLists, writeDebianLists, writeLargeRpmRepository } from "../test/support/large-indexes.ts";
import { startOrigin } from "../test/support/origin.ts";
import { findWorkerds, readFigures } from "../test/support/process-figures.ts";

const FEDORA_PACKAGES = 70_000;
const SAMPLE_MS = 5;
/** No CPU used for so long: all is done. */
const QUIET_MS = 2_000;
const MIB = 1_048_576;

interface Case {
  readonly name: string;
  readonly root: string;
  write(folder: string): Promise<NamedFile & { readonly index?: string }>;
}

const CASES: readonly Case[] = [
  ...(["gz", "zst"] as const).map((form) => ({
    name: `rpm-md, ${FEDORA_PACKAGES} packages, primary.xml.${form}`,
    root: "repodata/repomd.xml",
    write: async (folder: string) => writeLargeRpmRepository(folder, FEDORA_PACKAGES, form),
  })),
  ...(findDebianLists() === null
    ? []
    : [{ name: "deb, bookworm main, Packages", root: "dists/bookworm/InRelease", write: writeDebianLists }]),
];

console.log("| index | CPU | until all is done | isolate before | at most | resident at most |\n|---|---|---|---|---|---|");
for (const one of CASES) console.log(await measure(one));

async function measure({ name, root, write }: Case): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-index-"));
  const { index, ...last } = await write(folder);
  // Of the right size and wrong in its bytes: only the index can tell.
  if (last.path.endsWith(".deb")) placeFile(folder, last.path, makeDeb("wrong", last.size));
  const origin = await startOrigin(folder);
  const miniflare = await startWorker(origin.url);
  const url = (await miniflare.ready).href;
  const get = async (path: string): Promise<Download> => download(`${url}m/${path}`);
  const inspector = await openInspector(await miniflare.getInspectorURL());
  try {
    await download(`${url}-/health`);
    const [pid = 0] = findWorkerds();
    const before = readFigures(pid);
    const isolateBefore = await inspector.usedBytes();
    const startedAt = Date.now();
    let [isolate, resident, cpuSeconds, busyAt, isAnswered] = [0, 0, before.cpuSeconds, Date.now(), false];
    const answers = [root, ...(index === undefined ? [] : [index])].reduce<Promise<unknown>>(async (previous, path) => {
      await previous;
      const { status, isWhole } = await get(path);
      if (status !== 200 || !isWhole) throw new Error(`Cannot get ${path} from the mirror: ${status}`);
    }, Promise.resolve());
    void answers.finally(() => (isAnswered = true));
    while (!isAnswered || Date.now() - busyAt < QUIET_MS) {
      const now = readFigures(pid);
      resident = Math.max(resident, now.residentBytes);
      isolate = Math.max(isolate, await inspector.usedBytes());
      // Asking costs a little too.
      if (now.cpuSeconds > cpuSeconds + 0.05) [busyAt, cpuSeconds] = [Date.now(), now.cpuSeconds];
      await sleep(SAMPLE_MS);
    }
    await answers;
    if (last.path.endsWith(".deb")) {
      const { status } = await get(last.path);
      if (status !== 502) throw new Error(`Cannot trust the table: a package with other bytes was answered with ${status}, should be 502`);
    }
    const seconds = [cpuSeconds - before.cpuSeconds, (busyAt - startedAt) / 1000].map((value) => `${value.toFixed(1)} s`);
    const sizes = [isolateBefore, isolate, resident].map((bytes) => `${Math.round(bytes / MIB)} MiB`);
    return `| ${[name, ...seconds, ...sizes].join(" | ")} |`;
  } finally {
    inspector.close();
    await miniflare.dispose();
    await origin.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startWorker(upstream: string): Promise<Miniflare> {
  const bundled = await loadWorker(join(import.meta.dirname, ".."));
  if (!bundled.ok) throw new Error(bundled.problems.join("\n"));
  const useSQLite = true;
  return new Miniflare(
    convertV4MiniflareOptions({
      cf: false,
      inspectorPort: 0,
      workers: [
        {
          name: "lazy-mirror",
          modules: [...bundled.value],
          compatibilityDate: "2026-10-01",
          compatibilityFlags: ["nodejs_compat"],
          bindings: { MIRRORS: { m: { upstreams: [upstream] } }, VERIFY: "index", LOG: "off" },
          r2Buckets: ["BUCKET"],
          durableObjects: {
            FLIGHTS: { className: "FillCoordinator", useSQLite },
            REPOSITORIES: { className: "RepositoryObject", useSQLite },
            LEDGER: { className: "LedgerObject", useSQLite },
          },
        },
      ],
    }),
  );
}

interface Inspector {
  /** Of the heap and of array buffers. */
  usedBytes(): Promise<number>;
  close(): void;
}

async function openInspector(base: URL | string): Promise<Inspector> {
  const socket = new WebSocket(new URL("/core:user:lazy-mirror", base).href);
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", () => reject(new Error(`Cannot reach the inspector at ${String(base)}`)));
  });
  const waiting = new Map<number, (result: { usedSize: number; backingStorageSize: number }) => void>();
  socket.addEventListener("message", ({ data }) => {
    const { id, result } = JSON.parse(String(data)) as { id: number; result: { usedSize: number; backingStorageSize: number } };
    waiting.get(id)?.(result);
    waiting.delete(id);
  });
  let id = 0;
  return {
    async usedBytes() {
      const { usedSize, backingStorageSize } = await new Promise<{ usedSize: number; backingStorageSize: number }>((resolve) => {
        waiting.set(++id, resolve);
        socket.send(JSON.stringify({ id, method: "Runtime.getHeapUsage" }));
      });
      return usedSize + backingStorageSize;
    },
    close: () => socket.close(),
  };
}
