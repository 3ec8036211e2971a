import { spawn, type ChildProcess } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const GONE_MS = 10_000;
const POLL_MS = 20;

/** Waits for the end of the process that holds its standard input open, and then ends the group. */
const GUARD = 'cat >/dev/null; kill -s KILL -- "-$1" 2>/dev/null';

/**
 * Ends the group of `leader` (a process that was spawned `detached`) should this process be killed.
 * Gives what calls the guard off, once the group has ended.
 */
export function guardGroup(leader: number): () => void {
  const guard = spawn("sh", ["-c", GUARD, "sh", String(leader)], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  guard.unref();
  (guard.stdin as unknown as { unref(): void }).unref();
  return () => void guard.kill("SIGKILL");
}

/** Kills what is left of the group of `leader`, and waits until all of it is gone. Throws where it does not go. */
export async function endGroup(leader: number): Promise<void> {
  for (const deadline = Date.now() + GONE_MS; listGroup(leader).length > 0; await sleep(POLL_MS)) {
    if (Date.now() > deadline) throw new Error(`Cannot end process group ${leader}: ${listGroup(leader).join(", ")} should be gone`);
    try {
      process.kill(-leader, "SIGKILL");
    } catch {
      // It ended while we looked.
    }
  }
}

/** Process ids of the group that have not ended. */
export function listGroup(leader: number): readonly number[] {
  return readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) && isMember(name, leader) ? [Number(name)] : []));
}

/** `/proc/<pid>/stat` is `pid (name) state parent group …` (proc_pid_stat(5)). */
function isMember(pid: string, leader: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const [state = "Z", , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(group) === leader && state !== "Z" && state !== "X";
  } catch {
    return false;
  }
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
