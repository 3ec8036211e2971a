import { spawn } from "node:child_process";
import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The end of a program that ran. */
export interface ToolRun {
  /** Exit code; 124 when the time was up. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ToolOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly timeoutMs?: number;
}

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const TIMEOUT_MS = 120_000;
const TIMED_OUT = 124;

/**
 * Runs `command` to its end, in an environment without proxies, locale or the user's own settings.
 * Never throws for an exit code; an absent program is code 127.
 */
export function runTool(command: string, args: readonly string[], options: ToolOptions = {}): Promise<ToolRun> {
  return new Promise((resolve) => {
    // A group of its own: what it leaves behind (download methods, agents) ends with it.
    const child = spawn(command, args, {
      cwd: options.cwd ?? "/",
      env: { PATH, LC_ALL: "C.UTF-8", HOME: options.cwd ?? "/nonexistent", ...options.env },
      detached: true,
    });
    let stdout = "";
    let stderr = "";
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    }, options.timeoutMs ?? TIMEOUT_MS);
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.on("error", (error) => {
      clearTimeout(timer);
      resolve({ code: 127, stdout, stderr: `${stderr}${error.message}` });
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve({ code: timedOut ? TIMED_OUT : (code ?? 128), stdout, stderr });
    });
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
  });
}

/** Runs `command` and gives its stdout. Throws, with all it said, when it fails. */
export async function mustRun(command: string, args: readonly string[], options: ToolOptions = {}): Promise<string> {
  const run = await runTool(command, args, options);
  if (run.code !== 0) {
    throw new Error(`Cannot run ${command} ${args.join(" ")}: exit code ${run.code}, should be 0\n${run.stdout}${run.stderr}`);
  }
  return run.stdout;
}

/**
 * Whether all of `tools` are installed, for `describe.runIf`. Under CI an absent one throws: a suite that
 * silently skips its clients proves nothing.
 */
export function requireTools(...tools: readonly string[]): boolean {
  const absent = tools.filter((tool) => !isInstalled(tool));
  if (absent.length === 0) return true;
  const detail = `Cannot test with ${absent.join(", ")}: not found in ${PATH}`;
  if (process.env["CI"] === "true") throw new Error(detail);
  console.warn(`${detail}; skipped`);
  return false;
}

function isInstalled(tool: string): boolean {
  return PATH.split(":").some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Ends the daemons that a tool left behind (gpg's agents leave its process group), known by `folder` in their command line. */
export function endDaemons(folder: string): void {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const [program = "", ...args] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      if (program.endsWith("gpg-agent") && args.some((arg) => arg.startsWith(`${folder}/`))) process.kill(Number(pid));
    } catch {
      // It ended while we looked.
    }
  }
}
