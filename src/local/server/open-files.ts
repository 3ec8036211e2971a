import { readFileSync } from "node:fs";

/** With fewer, a busy hour may reach the limit: each download takes two descriptors, and workerd ends when it cannot accept a connection. */
const ENOUGH = 4_096;

/** A warning if the hard limit on open files is too low; null if it is high enough. `limits`: the text of `/proc/<pid>/limits` (proc_pid_limits(5)). */
export function describeFewFiles(limits: string): string | null {
  const [, hard = "unlimited"] = /^Max open files +\S+ +(\S+)/m.exec(limits) ?? [];
  const files = hard === "unlimited" ? Infinity : Number(hard);
  if (files >= ENOUGH) return null;
  return `Only ${files} files may be open at once, enough for about ${Math.floor(files / 3)} clients, and more end the server: raise the hard limit (ulimit -Hn, or LimitNOFILE= in a systemd unit).`;
}

/** The limits of this process, which workerd inherits. */
export function readOwnLimits(): string {
  return readFileSync("/proc/self/limits", "utf8");
}
