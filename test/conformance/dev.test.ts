import { spawn } from "node:child_process";
import { appendFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { download } from "../support/download.ts";
import { findFreePort } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";
import { endGroup, listGroup } from "../support/process-group.ts";

const ROOT = join(import.meta.dirname, "../..");
/** What `npm run dev` needs of a clone; the decoder of xz is no part of one, the first start takes it out of its package. */
const CLONE = ["package.json", "tsconfig.json", "wrangler.toml", "src"];
const XZ_MODULE = "src/metadata/xz.wasm";
const READY_MS = 60_000;
/** From ^C until the last process is gone. */
const END_MS = 20_000;

let folder: string;
let origin: Origin;
let leader: number | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-clone-"));
  mkdirSync(join(folder, "www"));
  origin = await startOrigin(join(folder, "www"));
});
afterEach(async () => {
  if (leader !== undefined) await endGroup(leader);
  leader = undefined;
  await origin.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
});

it("npm run dev in a clean clone serves a mirror of any origin, and ^C ends all of it", async () => {
  const clone = join(folder, "clone");
  for (const name of CLONE) cpSync(join(ROOT, name), join(clone, name), { recursive: true });
  rmSync(join(clone, XZ_MODULE), { force: true });
  symlinkSync(join(ROOT, "node_modules"), join(clone, "node_modules"));
  appendFileSync(join(clone, "wrangler.toml"), `\n[vars.MIRRORS.loopback]\nupstreams = ["${origin.url}"]\n`);
  writeFileSync(join(folder, "www/notes.txt"), "The same bytes, from near by.\n");

  const port = await findFreePort();
  const dev = startDev(clone, ["--port", String(port), "--inspector-port", "0"]);
  const url = `http://localhost:${port}`;
  const health = async (): Promise<number> => (await fetch(`${url}/-/health`).catch(() => null))?.status ?? 0;
  await vi.waitFor(async () => expect(await health(), `health, after ${dev.output()}`).toBe(200), { timeout: READY_MS, interval: 100 });
  expect(existsSync(join(clone, XZ_MODULE))).toBe(true);

  const cold = await download(`${url}/loopback/notes.txt`, { isKept: true });
  expect(cold).toMatchObject({ status: 200, isWhole: true });
  expect(cold.bytes.toString()).toBe("The same bytes, from near by.\n");
  await origin.close();
  const warm = await download(`${url}/loopback/notes.txt`, { isKept: true });
  expect(warm).toMatchObject({ status: 200, bytes: cold.bytes });
  const page = await download(url, { isKept: true });
  expect(page.bytes.toString()).toContain("loopback");

  expect(listGroup(dev.pid).length).toBeGreaterThan(2);
  // A terminal sends it to each process of the group.
  process.kill(-dev.pid, "SIGINT");
  await vi.waitFor(() => expect(listGroup(dev.pid)).toEqual([]), { timeout: END_MS, interval: 50 });
});

function startDev(cwd: string, args: readonly string[]) {
  const offline = { WRANGLER_SEND_METRICS: "false", WRANGLER_HIDE_BANNER: "true", CLOUDFLARE_CF_FETCH_ENABLED: "false" };
  const npm = spawn("npm", ["run", "dev", "--", ...args], {
    cwd,
    env: { ...process.env, ...offline, HOME: folder, XDG_CONFIG_HOME: folder, npm_config_update_notifier: "false" },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  if (npm.pid === undefined) throw new Error("Cannot run npm: it should be installed");
  leader = npm.pid;
  let output = "";
  for (const stream of [npm.stdout, npm.stderr]) stream.setEncoding("utf8").on("data", (text: string) => void (output += text));
  return { pid: npm.pid, output: () => output };
}
