import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** A program that is started anew whenever it ends. */
export interface Kept {
  /** It has served: from now on it is started again however it ends. */
  noteReady(): void;
  /** The process that runs now; undefined while none does. */
  readonly pid: number | undefined;
  /** Asks it to end by `signal` and starts it no more; after `limitMs` it is killed. Settles when it has ended. */
  stop(signal: NodeJS.Signals, limitMs: number): Promise<void>;
}

export interface Program {
  /** In front of its lines. */
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly env?: NodeJS.ProcessEnv;
  /** Takes its lines, and ours about it. */
  readonly print: (line: string) => void;
  /** Called once where it ends by itself before it was ever ready: what is wrong then is wrong with its options. */
  readonly onRefused: () => void;
}

/** A program that ran for so long is started again at once. */
const SETTLED_MS = 10_000;
const FIRST_WAIT_MS = 250;
const MAX_WAIT_MS = 30_000;

/** Starts a program, and again when it ends: at once, then after longer and longer waits while it does not stay. */
export function keepRunning({ name, command: [file, ...args], env = process.env, print, onRefused }: Program): Kept {
  let child: ChildProcess | null = null;
  let waitMs = 0;
  let retry: NodeJS.Timeout | undefined;
  let isStopping = false;
  let wasReady = false;
  start();
  return {
    noteReady() {
      wasReady = true;
    },
    get pid() {
      return child?.pid;
    },
    async stop(signal, limitMs) {
      isStopping = true;
      clearTimeout(retry);
      const ending = child;
      if (ending === null) return;
      const ended = once(ending, "close");
      ending.kill(signal);
      const limit = setTimeout(() => ending.kill("SIGKILL"), limitMs);
      await ended;
      clearTimeout(limit);
    },
  };

  function start(): void {
    const startedAt = performance.now();
    // A group of its own: Ctrl-C, which the terminal sends to a whole group, is ours to pass on.
    const started = spawn(file, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    child = started;
    for (const stream of [started.stdout, started.stderr])
      createInterface({ input: stream }).on("line", (line) => print(`${name} | ${line}`));
    let problem: string | null = null;
    started.on("error", (error) => (problem = error.message));
    started.on("close", (code, signal) => {
      child = null;
      if (isStopping) return;
      const hasSettled = performance.now() - startedAt > SETTLED_MS;
      const why = problem ?? (signal === null ? `exit code ${code}` : signal);
      if (!wasReady && !hasSettled && signal === null) {
        print(`${name} | ended at its start (${why}).`);
        isStopping = true;
        return onRefused();
      }
      waitMs = hasSettled ? 0 : Math.min(Math.max(waitMs * 2, FIRST_WAIT_MS), MAX_WAIT_MS);
      print(`${name} | ended by itself (${why}): it is started again.`);
      retry = setTimeout(start, waitMs);
    });
  }
}
