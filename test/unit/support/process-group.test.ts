import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { endGroup, listGroup } from "../../support/process-group.ts";

const MODULE = join(import.meta.dirname, "../../support/process-group.ts");
/** A program with a child of its own that ignores requests to end. */
const STUBBORN = "trap '' TERM INT; sleep 600 & echo $!; wait; wait";

/** Runs the stubborn program, guarded, from a process of its own, and prints the number of the group. */
const TEST_PROCESS = `
  import { spawn } from "node:child_process";
  import { guardGroup } from ${JSON.stringify(MODULE)};
  const program = spawn("sh", ["-c", ${JSON.stringify(STUBBORN)}], { detached: true, stdio: ["ignore", "pipe", "ignore"] });
  guardGroup(program.pid);
  program.stdout.once("data", () => console.log(program.pid));
`;

it("ends a program and what it started", async () => {
  const program = spawn("sh", ["-c", STUBBORN], { detached: true, stdio: ["ignore", "pipe", "ignore"] });
  await once(program.stdout, "data");
  const leader = program.pid ?? 0;
  expect(listGroup(leader)).toHaveLength(2);
  await endGroup(leader);
  expect(listGroup(leader)).toEqual([]);
});

it("ends them when the process that tests with them is killed", async () => {
  const tester = spawn(process.execPath, ["--input-type=module", "-e", TEST_PROCESS], { stdio: ["ignore", "pipe", "inherit"] });
  const [printed] = (await once(tester.stdout, "data")) as [Buffer];
  const leader = Number(printed.toString());
  onTestFinished(() => endGroup(leader));
  expect(listGroup(leader)).toHaveLength(2);
  tester.kill("SIGKILL");
  await vi.waitFor(() => expect(listGroup(leader)).toEqual([]), { timeout: 20_000, interval: 20 });
});
