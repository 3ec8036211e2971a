import { readFileSync, readdirSync, readlinkSync } from "node:fs";

const TICKS_PER_SECOND = 100;

/** What the workerd below a process of ours has used so far. */
export interface ProcessFigures {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

/** The workerd processes that descend from this one. */
export function findWorkerds(): readonly number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const parent = readStat(Number(name))?.[1];
    if (parent !== undefined) parents.set(Number(name), Number(parent));
  }
  const isOurs = (pid: number): boolean => pid === process.pid || (parents.has(pid) && isOurs(parents.get(pid) ?? 0));
  return [...parents.keys()].filter((pid) => isOurs(pid) && isWorkerd(pid));
}

/** Throws when the process is gone. */
export function readFigures(pid: number): ProcessFigures {
  const stat = readStat(pid);
  if (stat === null) throw new Error(`Cannot measure process ${pid}: it is gone`);
  // Fields 14 and 15 of proc_pid_stat(5), counted from the state, which is the third.
  const ticks = Number(stat[11]) + Number(stat[12]);
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0";
  return { cpuSeconds: ticks / TICKS_PER_SECOND, residentBytes: Number(resident) * 1024 };
}

/** Fields of the stat file from the third on: what is before may hold spaces. */
function readStat(pid: number): readonly string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}

function isWorkerd(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`).endsWith("/workerd");
  } catch {
    return false;
  }
}
