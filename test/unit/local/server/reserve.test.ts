import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { keepReserve } from "../../../../src/local/server/reserve.ts";

const MODULE = join(import.meta.dirname, "../../../../src/local/server/reserve.ts");
const canMount = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "none", tmpdir()]).status === 0;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-reserve-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("the reserve is made once, and again where it was cut", () => {
  keepReserve(folder);
  const made = statSync(join(folder, "reserve"));
  keepReserve(folder);
  expect(statSync(join(folder, "reserve")).mtimeMs).toBe(made.mtimeMs);
  writeFileSync(join(folder, "reserve"), "");
  keepReserve(folder);
  expect(statSync(join(folder, "reserve")).size).toBe(made.size);
});

test.runIf(canMount)("a disk that became read-only, and is full, ends nothing", () => {
  const script = `mount -t tmpfs -o size=6m none ${folder} && cd ${folder} && echo >reserve && head -c 4m /dev/zero >filler && mount -o remount,ro ${folder}
    "${process.execPath}" -e 'import(${JSON.stringify(MODULE)}).then(({ keepReserve }) => keepReserve(${JSON.stringify(folder)}))' && ls`;
  const { stdout, stderr, status } = spawnSync("unshare", ["-rm", "sh", "-c", script], { encoding: "utf8" });
  expect([stderr, stdout, status]).toEqual([expect.not.stringContaining("Error"), "filler\nreserve\n", 0]);
});

test.runIf(canMount)("the reserve gives its room back where the disk is full, and is not made where there is little", () => {
  const keep = `"${process.execPath}" -e 'import(${JSON.stringify(MODULE)}).then(({ keepReserve }) => keepReserve(${JSON.stringify(folder)}))'`;
  const left = `ls reserve 2>/dev/null; df -k --output=avail . | tail -n 1`;
  const script = `mount -t tmpfs -o size=18m none ${folder} && cd ${folder} && ${keep} && ls reserve && dd if=/dev/zero of=filler bs=64k 2>/dev/null
    ${keep} && ${left}; ${keep} && ${left}`;
  const { stdout, stderr } = spawnSync("unshare", ["-rm", "sh", "-c", script], { encoding: "utf8" });
  expect([stderr, stdout.split("\n").map((line) => line.trim())]).toEqual([expect.anything(), ["reserve", "4096", "4096", ""]]);
});
