import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { writeXzModule } from "./src/local/xz-module.ts";
import { answerAsOrigin } from "./test/support/metered-origin.ts";

// The Worker imports it.
writeXzModule();

/** Real clients share ports, roots and the machine: one file at a time, with time for a slow one. */
const SLOW_MS = 300_000;

const DURABLE_OBJECTS = { FLIGHTS: "FillCoordinator", REPOSITORIES: "RepositoryObject", LEDGER: "LedgerObject" };

const disk = mkdtempSync(join(tmpdir(), "lazy-mirror-disk-"));
process.once("exit", () => rmSync(disk, { recursive: true, force: true }));

/** Tests start commands, servers and wrangler many hundred times: each loads its modules compiled, as `npm start` does. */
const NODE_ENV = { NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules/.cache/node") };

export default defineConfig({
  test: {
    reporters: ["default", "./test/support/progress.ts", "./test/support/closing-line.ts"],
    maxWorkers: "100%",
    coverage: {
      provider: "istanbul", // the one provider that can count in workerd
      include: ["src/**/*.{ts,tsx}"],
      exclude: ["src/local/**"], // runs as processes of its own, in which no line is counted
      reporter: ["text-summary", "html"],
      // A little below what the unit and worker projects reach (91, 84, 90 and 93 %): a change that tests nothing of what it adds falls below.
      thresholds: {
        statements: 90,
        branches: 83,
        functions: 88,
        lines: 91,
        "src/{config,http,route,verify}/**": { statements: 98, lines: 98 },
      },
    },
    projects: [
      {
        // Tests of the whole Worker in Node (test/chaos) import the Durable Objects' classes.
        resolve: { alias: { "cloudflare:workers": join(import.meta.dirname, "test/support/workers-module.ts") } },
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
          // Files share a process and its modules: a third less CPU time. So no module may keep state from one test to the next.
          isolate: false,
          env: NODE_ENV,
          testTimeout: 30_000,
        },
      },
      {
        plugins: [
          cloudflareTest({
            main: "./src/worker.ts",
            miniflare: {
              compatibilityDate: "2026-10-01",
              // As wrangler has it by itself.
              modulesRules: [{ type: "CompiledWasm", include: ["**/*.wasm"] }],
              r2Buckets: ["BUCKET"],
              serviceBindings: { DISK: { disk: { path: disk, writable: true } } },
              durableObjects: Object.fromEntries(
                Object.entries(DURABLE_OBJECTS).map(([name, className]) => [name, { className, useSQLite: true }]),
              ),
              // Tests in workerd reach no network: whatever host they ask for, this answers.
              outboundService: answerAsOrigin,
            },
          }),
        ],
        test: {
          name: "worker",
          include: ["test/{worker,contract}/**/*.test.ts"],
          setupFiles: ["./test/support/equal-bytes.ts"],
          // One file at a time: they share one upstream, and count the requests that reach it.
          fileParallelism: false,
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: "system",
          include: ["test/{conformance,field,clients,site}/**/*.test.ts"],
          env: { ...NODE_ENV, MIRROR: "npm start" },
          fileParallelism: false,
          testTimeout: SLOW_MS,
          hookTimeout: SLOW_MS,
        },
      },
      {
        test: {
          name: "wrangler dev",
          // The clients' tests again, over the other way in which users start a mirror (test/support/mirror-way.ts).
          include: ["test/clients/**/*.test.ts"],
          exclude: ["test/clients/origin.test.ts"], // starts none
          env: { ...NODE_ENV, MIRROR: "wrangler dev" },
          fileParallelism: false,
          testTimeout: SLOW_MS,
          hookTimeout: SLOW_MS,
        },
      },
    ],
  },
});
