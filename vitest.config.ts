import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

/** Real clients share ports, roots and the machine: one file at a time, with time for a slow one. */
const SLOW_MS = 300_000;

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
            miniflare: {
              compatibilityDate: "2026-10-01",
              r2Buckets: ["BUCKET"],
              serviceBindings: { DISK: { disk: { path: disk, writable: true } } },
            },
          }),
        ],
        test: { name: "worker", include: ["test/{worker,contract}/**/*.test.ts"], testTimeout: 60_000 },
      },
      {
        test: {
          name: "system",
          include: ["test/{conformance,clients}/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: SLOW_MS,
          hookTimeout: SLOW_MS,
        },
      },
    ],
  },
});
