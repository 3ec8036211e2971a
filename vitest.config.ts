import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { answerAsOrigin } from "./test/support/metered-origin.ts";

/** Real clients share ports, roots and the machine: one file at a time, with time for a slow one. */
const SLOW_MS = 300_000;

const DURABLE_OBJECTS = { FLIGHTS: "FillCoordinator", REPOSITORIES: "RepositoryObject", LEDGER: "LedgerObject" };

const disk = mkdtempSync(join(tmpdir(), "lazy-mirror-disk-"));
process.once("exit", () => rmSync(disk, { recursive: true, force: true }));

export default defineConfig({
  test: {
    reporters: ["default", "./test/support/closing-line.ts"],
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 30_000 } },
      {
        plugins: [
          cloudflareTest({
            main: "./src/worker.ts",
            miniflare: {
              compatibilityDate: "2026-10-01",
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
        test: { name: "worker", include: ["test/{worker,contract}/**/*.test.ts"], testTimeout: 60_000 },
      },
      {
        test: {
          name: "system",
          include: ["test/{conformance,field,clients,site}/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: SLOW_MS,
          hookTimeout: SLOW_MS,
        },
      },
    ],
  },
});
