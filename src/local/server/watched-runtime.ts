import type { Endpoint } from "./command-line.ts";
import { resolveEndpoint } from "./free-port.ts";
import { type Runtime, type RuntimeOptions, startRuntime } from "./runtime.ts";
import { openSetAside, parseReading, type FileBeingRead } from "./set-aside.ts";
import { waitUntilStill } from "./watchdog.ts";
import { done, refused, type Step } from "../step.ts";

/** A runtime that can be started anew. */
export interface WatchedRuntime extends Runtime {
  /** Ends workerd as `stop` does, and starts it anew on the same addresses and state. */
  restart(graceMs: number): Promise<void>;
}

/** What is watched beside the runtime's own options. */
export interface WatchedOptions extends RuntimeOptions {
  /** Where the list of what is set aside is kept. */
  readonly stateFolder: string;
  /** Where the parent asks for `/-/health`. */
  readonly probe: Endpoint;
  /** Bindings that differ at a later start. Called while no workerd runs on the state; throws where the state cannot be read. */
  readonly rebind: () => Readonly<Record<string, unknown>>;
  /** Takes lines for the operator. */
  readonly print: (line: string) => void;
}

/**
 * Runs the Worker in workerd, as `startRuntime` does, and starts workerd anew where it stands still while it computes (watchdog.ts): on the same addresses
 * and state. What it was reading then is set aside. `ended` settles when workerd ended otherwise, or could not be started again.
 */
export async function startWatchedRuntime(options: WatchedOptions): Promise<Step<WatchedRuntime>> {
  const { stateFolder, probe, print, onLog } = options;
  const aside = openSetAside(stateFolder);
  let reading: FileBeingRead | null = null;
  let signs = 0;
  let isStopping = false;
  let isRestarting = false;

  const start = (changed: Readonly<Record<string, unknown>> = {}): Promise<Step<Runtime>> => {
    reading = null;
    return startRuntime({
      ...options,
      bindings: { ...options.bindings, ...changed, SET_ASIDE: aside.list(Date.now()) },
      onLog(message) {
        signs++;
        const said = parseReading(message);
        if (said === undefined) onLog(message);
        else reading = said;
      },
    });
  };

  const first = await start();
  if (!first.ok) return first;
  let current = first.value;
  return done({
    ended: watch(),
    get pid() {
      return current.pid;
    },
    runScheduled: () => current.runScheduled(),
    async restart(graceMs) {
      if (isStopping || isRestarting) return;
      isRestarting = true;
      await current.stop(graceMs);
    },
    async stop(graceMs) {
      isStopping = true;
      await current.stop(graceMs);
      await this.ended;
    },
  });

  async function watch(): Promise<string | null> {
    for (;;) {
      const watching = new AbortController();
      const { signal } = watching;
      const still = waitUntilStill({ endpoint: probe, pid: current.pid, signs: () => signs, signal }).then(() => "still" as const);
      still.catch(() => {});
      const ended = await Promise.race([current.ended.then((crash) => ({ crash })), still]);
      watching.abort();
      if (ended !== "still" && (ended.crash !== null || !isRestarting)) return ended.crash;
      if (isStopping) return current.ended;
      isRestarting = false;
      if (ended === "still") {
        print(setAsideReading());
        await current.stop(0);
      }
      // The kernel may free the ports only a moment later. Where another program took one, the start says so.
      await Promise.all(options.endpoints.map(resolveEndpoint));
      if (isStopping) return null;
      const next = await startAgain();
      if (!next.ok) return next.problems.join(" ");
      current = next.value;
      print("workerd runs again.");
      if (isStopping) await current.stop(0);
      // What the killed workerd left behind is found by the first run; a later run tries again.
      else current.runScheduled().catch(() => {});
    }
  }

  async function startAgain(): Promise<Step<Runtime>> {
    try {
      return await start(options.rebind());
    } catch (error) {
      return refused(`Cannot start workerd again: ${String(error)}`);
    }
  }

  /** Sets aside what was being read. Returns the sentence for the operator. */
  function setAsideReading(): string {
    const what = "workerd answered nothing for 10 s and used the processor all the while: it is ended and started anew.";
    if (reading === null) return `${what} It was reading no repository.`;
    const until = new Date(aside.add(reading, Date.now())).toISOString();
    const { mirror, file, part } = reading;
    const without = part === "root" ? "its repository is served as it was, or as the upstream has it" : "packages are not compared with it";
    return `${what} It was reading ${mirror}/${file}, which is not read again before ${until}: until then ${without}.`;
  }
}
