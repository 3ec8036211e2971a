import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { SETUPS } from "../../../src/site/distro-setup.ts";
import { requireTools } from "../../support/run-tool.ts";
import { formatRefusal, formatSetupScript, quoteShell } from "../../../src/site/setup-script.ts";

const SHELLS: readonly (readonly string[])[] = [["sh"], ["bash"], ...(requireTools("busybox") ? [["busybox", "sh"]] : [])];

describe("a set-up script", () => {
  const places = { name: "name", base: "http://127.0.0.1/name", security: "http://127.0.0.1/security" };

  it.each(Object.entries(SETUPS))("for %s is a script of a POSIX shell, of at most 450 lines", (_, setup) => {
    const script = formatSetupScript(setup, places, "http://127.0.0.1");
    for (const [shell = "", ...args] of SHELLS)
      expect(spawnSync(shell, [...args, "-n"], { input: script, encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" });
    expect(script.split("\n").length).toBeLessThanOrEqual(450);
  });

  it.runIf(requireTools("shellcheck")).each(Object.entries(SETUPS))("for %s passes shellcheck", (_, setup) => {
    const script = formatSetupScript(setup, places, "http://127.0.0.1", true);
    const run = spawnSync("shellcheck", ["--shell=sh", "-"], { input: script, encoding: "utf8" });
    expect(run.stdout).toBe("");
  });

  it.each(Object.entries(SETUPS))("for %s does nothing when its download was cut", (_, setup) => {
    const script = formatSetupScript(setup, places, "http://127.0.0.1");
    // Up to its last line it only defines.
    const cut = script.slice(0, script.lastIndexOf("\nmain "));
    const run = spawnSync("sh", ["-s"], { input: `PATH=/nonexistent\n${cut}`, encoding: "utf8" });
    expect(run).toMatchObject({ status: 0, stdout: "", stderr: "" });
  });
});

describe("a refusal", () => {
  it("is a script that says why and fails", () => {
    expect(spawnSync("sh", { input: formatRefusal("it's `no` $(use)"), encoding: "utf8" })).toMatchObject({
      status: 1,
      stderr: "lazy-mirror: Cannot set this machine up: it's `no` $(use)\n",
    });
  });
});

describe("quoting for the shell", () => {
  it.each(["", "a b", "it's", "'; id; '", '$(id)`id`"\\', "a\nb", "-n", "%s"])("keeps %j one word as it is", (word) => {
    expect(spawnSync("sh", { input: `printf %s ${quoteShell(word)}`, encoding: "utf8" }).stdout).toBe(word);
  });
});
