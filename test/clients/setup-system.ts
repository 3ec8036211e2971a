import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ToolRun } from "../support/run-tool.ts";
import { runTool } from "../support/run-tool.ts";

const UNSHARE = "/usr/bin/unshare";

/** This machine's own files below a layer that takes every change and is thrown away; /dev and /proc are real. */
const ENTER = `set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/merged"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/merged"
mount --rbind /dev "$1/merged/dev"
mount --bind /proc "$1/merged/proc"
exec chroot "$1/merged" sh -euc "$2"`;

/** Runs shell commands as root on what looks like this machine: real package managers, real paths, and nothing of it stays. */
export async function runInSystem(commands: string): Promise<ToolRun> {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-system-"));
  try {
    return await runTool(UNSHARE, ["--mount", "sh", "-c", ENTER, "sh", folder, commands]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Whether this process may make such a system. Under CI, having to skip is a failure. */
export function canRunSystems(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-system-"));
  const { status, stderr } = spawnSync(UNSHARE, ["--mount", "sh", "-c", ENTER, "sh", folder, "true"], { encoding: "utf8" });
  rmSync(folder, { recursive: true });
  if (status === 0) return true;
  const detail = `Cannot test scripts that change a system: it needs root and overlayfs: ${stderr}`;
  if (process.env["CI"] === "true") throw new Error(detail);
  console.warn(`${detail}; skipped`);
  return false;
}
