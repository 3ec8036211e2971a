import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { findFreePort } from "../support/mirror.ts";
import { mustRun, requireTools, runTool } from "../support/run-tool.ts";

const ROOT = join(import.meta.dirname, "../..");
const UNIT = join(ROOT, "docs/systemd/lazy-mirror.service");
const BODY = "a page that passes the filter of system calls";

/**
 * Runs the command in its arguments with the system calls alone that are named on its input, as systemd does by SystemCallFilter= with SystemCallErrorNumber=EPERM:
 * any other call fails, for all programs that the command starts.
 */
const CONFINE = `
import os, seccomp, sys
rules = seccomp.SyscallFilter(defaction=seccomp.ERRNO(1))
for name in sys.stdin.read().split():
    try:
        rules.add_rule(seccomp.ALLOW, name)
    except (OSError, RuntimeError):
        pass # of another architecture, or newer than the library
rules.load()
os.execvp(sys.argv[1], sys.argv[1:])
`;

/** The system calls of systemd's sets by name (systemd.exec(5)); a set may name others. */
async function readSets(): Promise<(set: string) => ReadonlySet<string>> {
  const sets = new Map<string, string[]>();
  let calls: string[] = [];
  for (const line of (await mustRun("systemd-analyze", ["--no-pager", "syscall-filter"])).split("\n")) {
    if (/^@[\w-]+$/.test(line)) sets.set(line, (calls = []));
    else if (/^ +[@\w]/.test(line)) calls.push(line.trim());
    else if (line.startsWith("#")) calls = [];
  }
  const expand = (set: string): ReadonlySet<string> =>
    new Set((sets.get(set) ?? []).flatMap((name) => (name.startsWith("@") ? [...expand(name)] : [name])));
  return expand;
}

/** The system calls that the unit allows. systemd allows @default whatever else is named. */
async function readAllowed(): Promise<readonly string[]> {
  const expand = await readSets();
  const allowed = new Set(expand("@default"));
  for (const [, not, sets = ""] of readFileSync(UNIT, "utf8").matchAll(/^SystemCallFilter=(~?)(.*)$/gm)) {
    for (const call of sets.split(" ").flatMap((set) => [...expand(set)])) {
      if (not === "~") allowed.delete(call);
      else allowed.add(call);
    }
  }
  return [...allowed];
}

describe.runIf(requireTools("systemd-analyze"))("the systemd unit", () => {
  test("exposes little of the machine: at most 2.5 of 10", async () => {
    const { stdout } = await runTool("systemd-analyze", ["--no-pager", "security", "--offline=true", UNIT]);
    const [, exposure = ""] = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout) ?? [];
    expect(exposure).not.toBe("");
    expect(Number(exposure)).toBeLessThanOrEqual(2.5);
  });
});

describe.runIf(requireTools("systemd-analyze", "python3"))("under the system calls that the unit allows", () => {
  let folder: string;
  let origin: Server;
  let server: ChildProcess;
  let url: string;
  let printed = "";

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "lazy-mirror-unit-"));
    origin = createServer((_request, response) => response.end(BODY)).listen(0, "127.0.0.1");
    await once(origin, "listening");
    const upstream = `http://127.0.0.1:${(origin.address() as AddressInfo).port}`;
    writeFileSync(join(folder, "wrangler.toml"), `[vars.MIRRORS.plain]\nupstreams = ["${upstream}"]\n`);
    const port = await findFreePort();
    url = `http://127.0.0.1:${port}`;
    const start = [join(ROOT, "node_modules/.bin/node"), "--max-semi-space-size=1", "src/local/server/main.ts"];
    const options = ["--config", join(folder, "wrangler.toml"), "--state", join(folder, "state"), "--port", String(port)];
    server = spawn("/usr/bin/python3", ["-c", CONFINE, ...start, ...options], { cwd: ROOT });
    server.stdin?.end((await readAllowed()).join("\n"));
    for (const stream of [server.stdout, server.stderr]) stream?.on("data", (text: Buffer) => (printed += text.toString()));
    const isReady = async (): Promise<boolean> => (await fetch(`${url}/-/health`)).ok;
    const deadline = Date.now() + 60_000;
    while (!(await isReady().catch(() => false))) {
      if (server.exitCode !== null || Date.now() > deadline) throw new Error(`Cannot start the server under the filter: ${printed}`);
      await wait(200);
    }
  });
  afterAll(async () => {
    server?.kill("SIGKILL");
    origin?.closeAllConnections();
    origin?.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  test("a call that is allowed is among those read from the unit, and one that is not is not", async () => {
    const allowed = await readAllowed();
    expect([allowed.includes("openat"), allowed.includes("setuid")]).toEqual([true, false]);
  });

  test("the server runs confined, fetches, stores, answers and ends in peace", async () => {
    expect(readFileSync(`/proc/${server.pid}/status`, "utf8")).toContain("Seccomp:\t2");
    const ask = async () => {
      const answer = await fetch(`${url}/plain/notes-1.0.tar.gz`);
      return [answer.status, answer.headers.get("cache-status")?.replace(/^lazy-mirror; (\w+).*/, "$1"), await answer.text()];
    };
    expect(await ask()).toEqual([200, "fwd", BODY]);
    await vi.waitFor(async () => expect(await ask()).toEqual([200, "hit", BODY]), { timeout: 10_000 });
    server.kill("SIGTERM");
    const [code] = (await once(server, "exit")) as [number];
    expect({ code, refused: printed.includes("EPERM") }).toEqual({ code: 0, refused: false });
  });
});
