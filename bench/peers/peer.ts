import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** A cache in front of the origin, in processes of its own. */
export interface Peer {
  readonly name: string;
  /** Base URL through which it gives the files of the origin at `port`. */
  url(port: number): string;
  /** Its first process: what it costs is counted over all below it. */
  readonly pid: number;
  /** From its start to its first answer. */
  readonly readyMs: number;
  stop(): Promise<void>;
}

/** Starts a peer with an empty cache in `folder`, in front of the origins at `ports` of this machine. */
export type StartPeer = (folder: string, ports: readonly number[]) => Promise<Peer>;

const READY_MS = 10_000;
const POLL_MS = 10;
const END_MS = 10_000;
const FIRST_PORT = 20_000;
const PORTS = 10_000;

/** What was started and has not been stopped. */
const running = new Set<() => Promise<void>>();

/** Stops all processes that are started here: for a run that a signal ends. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((stop) => stop()));
}

/** Starts `command` and waits until `port` takes connections (or `isReady`). What it prints is shown only if it does not come up. */
export async function startProcess(
  command: string,
  args: readonly string[],
  isReady: () => Promise<boolean>,
): Promise<{ readonly pid: number; readonly readyMs: number; stop(): Promise<void> }> {
  const started = performance.now();
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const failed = once(child, "error");
  const stop = async (): Promise<void> => {
    running.delete(stop);
    if (child.pid === undefined || hasEnded(child)) return;
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), END_MS);
    await ended;
    clearTimeout(timer);
  };
  running.add(stop);
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output = `${output}${text}`.slice(-4000)));
  while (!(await isReady())) {
    if (child.pid === undefined) throw new Error(`Cannot run ${command}: ${String((await failed)[0])}; install it`);
    if (hasEnded(child) || performance.now() - started > READY_MS) {
      child.kill("SIGKILL");
      throw new Error(`Cannot start ${command}: it should answer within ${READY_MS} ms\n${output}`);
    }
    await sleep(POLL_MS);
  }
  return { pid: child.pid ?? 0, readyMs: performance.now() - started, stop };
}

export function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

/** Below 32,768: apt-cacher-ng takes what is above, such as systems choose, for a negative number. */
export async function findFreePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    if (!ports.includes(port) && !(await takesConnections(port))) ports.push(port);
  }
  return ports;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
