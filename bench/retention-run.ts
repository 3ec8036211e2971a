/**
 * What one run of the housekeeping costs over 100,000 rows, a tenth of them past their age: CPU, memory, calls of the store. The store is one in
 * memory and the SQLite is Node's. Run: node --expose-gc bench/retention-run.ts [rows]
 */
import { newVersion } from "../src/store/keys.ts";
import { createLedgers, DAY_MS } from "../test/support/ledgers.ts";
import { createMemoryStore } from "../test/support/memory-store.ts";

const ROWS = Number(process.argv[2] ?? 100_000);
const SIZE = 1_000_000;
const collectGarbage = (globalThis as { gc?: () => void }).gc ?? (() => {});

let now = 200 * DAY_MS;
const memory = createMemoryStore(() => now);
const calls: Record<string, number> = {};
const count = (name: string) => void (calls[name] = (calls[name] ?? 0) + 1);
const keys = Array.from({ length: ROWS }, (_, row) => `fedora/${String(row).padStart(8, "0")}.rpm`);
const store = {
  ...memory,
  head: (key: string) => (count("head"), memory.head(key)),
  async list({ prefix = "", cursor = "0", limit = 1_000 }: Parameters<typeof memory.list>[0]) {
    count("list");
    const from = Number(cursor);
    const page = prefix === "fedora/" ? keys.slice(from, from + limit) : [];
    const objects = page.filter((key) => memory.heads.has(key)).map((key) => ({ key, size: SIZE, uploadedAt: 0 }));
    return page.length < limit ? { objects } : { objects, cursor: String(from + limit) };
  },
  delete: (gone: readonly string[]) => (count("delete"), memory.delete(gone)),
};
const ledgers = createLedgers({ store, now: () => now, budget: ROWS * SIZE * 1.5 });
for (const [row, key] of keys.entries()) {
  const storedAt = now - (row % 10 === 0 ? 91 : 1) * DAY_MS;
  const version = newVersion();
  memory.heads.set(key, { version, size: SIZE, contentType: "x", upstream: "u", storedAt, verified: "none" });
  ledgers.ledger("fedora").put({ key, version, size: SIZE, sliceBytes: null, class: "package", storedAt }, 0, now);
}
collectGarbage();
const before = process.memoryUsage();
let most = { ms: 0, mb: 0, calls: "" };
let runs = 0;
const began = process.cpuUsage();
for (let lastAged = 1; lastAged > 0; runs++) {
  for (const name of Object.keys(calls)) delete calls[name];
  const cpu = process.cpuUsage();
  // oxlint-disable-next-line no-await-in-loop -- run after run, as cron does
  const reports = await ledgers.book.sweep();
  const { user, system } = process.cpuUsage(cpu);
  lastAged = reports.reduce((sum, { aged }) => sum + aged, 0);
  const { heapUsed, external } = process.memoryUsage();
  const mb = (heapUsed + external - before.heapUsed - before.external) / 1e6;
  const ms = (user + system) / 1_000;
  most = { ms: Math.max(most.ms, ms), mb: Math.max(most.mb, mb), calls: ms > most.ms ? JSON.stringify(calls) : most.calls };
  now += 3_600_000;
}
const { user, system } = process.cpuUsage(began);
console.log(`${ROWS} rows: ${runs} runs until nothing was past its age; in all ${((user + system) / 1e6).toFixed(1)} s of CPU`);
console.log(`the dearest run: ${most.ms.toFixed(0)} ms of CPU, ${most.mb.toFixed(0)} MB more memory, ${most.calls}`);
console.log(`left: ${JSON.stringify(ledgers.ledger("fedora").totals())}`);
