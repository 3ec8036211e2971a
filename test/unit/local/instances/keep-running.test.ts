import { describe, expect, it } from "vitest";
import { keepRunning } from "../../../../src/local/instances/keep-running.ts";

/** Runs `sh -c script`; `lines`: all that was printed, `refused`: settles once it counts as refused. */
function keep(script: string) {
  const lines: string[] = [];
  const refused = Promise.withResolvers<void>();
  const waiting = new Map<string, () => void>();
  const kept = keepRunning({
    name: "1",
    command: ["sh", "-c", script],
    print: (line) => {
      lines.push(line);
      for (const [part, go] of waiting) if (line.includes(part)) go();
    },
    onRefused: refused.resolve,
  });
  const printed = (part: string) =>
    new Promise<void>((go) => void (lines.some((line) => line.includes(part)) ? go() : waiting.set(part, go)));
  return { kept, lines, printed, refused: refused.promise };
}

describe("a program that is kept running", () => {
  it("is refused where it ends before it was ready", async () => {
    const { lines, refused } = keep("exit 1");
    await refused;
    expect(lines).toEqual(["1 | ended at its start (exit code 1)."]);
  });

  it("is started again once it was ready, however soon it ends", async () => {
    const { kept, printed } = keep("sleep 0.2; exit 1");
    kept.noteReady();
    await printed("ended by itself (exit code 1): it is started again.");
    await expect.poll(() => kept.pid).toBeDefined();
    await kept.stop("SIGKILL", 1000);
  });

  it("has a process group of its own, so that Ctrl-C in a terminal does not reach it past us", async () => {
    const { kept, lines, printed } = keep("ps -o pgid= -p $$; exec sleep 60");
    await printed("1 | ");
    expect(lines[0]).toMatch(new RegExp(`\\b${kept.pid}$`));
    await kept.stop("SIGKILL", 1000);
  });
});
