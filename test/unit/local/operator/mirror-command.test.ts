import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../../../..");
const COMMANDS = join(import.meta.dirname, "../../../../src/local");
const MIRROR = join(COMMANDS, "operator/mirror-command.ts");

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean();
});

/** A server that answers everything as `listener` does. Returns `127.0.0.1:<port>`. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const run = (program: string, ...args: readonly string[]): Promise<Ended> => runCommand(process.execPath, program, ...args);

function runCommand(command: string, ...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    // The tests may run by npm themselves, with its settings in the environment.
    const { npm_lifecycle_event: _event, npm_config_loglevel: _level, ...rest } = process.env;
    const env = { ...rest, ADMIN_TOKEN: "a-token" };
    execFile(command, [...args], { env, timeout: 60_000, cwd: ROOT }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

const json =
  (status: number, body: object): RequestListener =>
  (_request, response) =>
    void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));

describe("what goes wrong is one sentence that says what helps", () => {
  it("no server", async () => {
    const address = await serve(() => {});
    await cleanups.pop()?.();
    const { code, stderr } = await run(MIRROR, "--server", address, "status");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Cannot reach http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED.*; start the mirror, or name it with --server\n$/);
  });

  it.each([
    ["a page", 200, "text/html", "<html>router</html>", /it answered 200 with text\/html, which is no Lazy Mirror's answer; .*--server\n$/],
    ["another server's error", 404, "text/html", "<html>not found</html>", /it answered 404 with text\/html, .*--server\n$/],
    ["JSON that is none", 200, "application/json", "{", /which is no Lazy Mirror's answer/],
    ["a login page", 401, "text/html", "<html>", /no Lazy Mirror's answer/],
    ["another service's 404", 404, "text/plain", "404 page not found\n", /it answered 404 \(404 page not found\); name the mirror itself/],
  ])("%s where the mirror should be", async (_what, status, type, body, wanted) => {
    const address = await serve((_request, response) => void response.writeHead(status, { "content-type": type }).end(body));
    const { code, stderr } = await run(MIRROR, "--server", address, "ls");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Cannot use http:\/\//);
    expect(stderr).toMatch(wanted);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });

  it("another token", async () => {
    const address = await serve(json(401, { error: "Cannot let you in: send the admin token" }));
    const { code, stderr } = await run(MIRROR, "--server", `http://${address}/`, "status");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Cannot log in at .*it has another token; name its state folder with --state, or its admin token with --token/);
  });

  it("a token that cannot be read", async () => {
    const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-no-token-"));
    cleanups.push(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "admin-token"), "");
    const answer = new Promise<Ended>((resolve) => {
      const env = { ...process.env, ADMIN_TOKEN: "" };
      execFile(process.execPath, [MIRROR, "--state", join(folder, "none"), "status"], { env, timeout: 60_000 }, (error, stdout, stderr) =>
        resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
      );
    });
    const { code, stderr } = await answer;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Cannot read the admin token ".*": name the server's folder with --state, or the token with --token\n$/);
  });

  it("nothing that matches, but not among the rows", async () => {
    const address = await serve(json(200, { rows: [], after: null }));
    const all = await run(MIRROR, "--server", address, "--json", "ls", "debian/nothing*");
    expect(all).toEqual({ code: 0, stdout: "", stderr: 'Nothing that is stored matches "debian/nothing*"\n' });
    const exact = await run(MIRROR, "--server", address, "purge", "debian/pool");
    expect(exact).toMatchObject({ code: 0, stderr: expect.stringContaining("'debian/pool*' matches all that begins so") });
  });

  it.each([
    [["/nowhere/at/all"], /^Cannot import "\/nowhere\/at\/all": there is no such file or folder that this user may read\n$/],
    [["/nowhere/x.tar"], /^Cannot import "\/nowhere\/x\.tar": there is no such file/],
    [[import.meta.dirname, "--mirror", "nope"], /^Cannot import into the mirror "nope": use one of debian, fedora\n$/],
    [[import.meta.dirname, "--as", "pool"], /^Cannot use --as alone: name the mirror with --mirror\n$/],
  ])("import %j", async (args, wanted) => {
    const shards = ["debian", "-", "fedora"].map((shard) => ({ shard }));
    const address = await serve(json(200, { shards }));
    const { code, stderr } = await run(MIRROR, "--server", address, "import", ...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(wanted);
  });

  it.each([["ftp://mirror.lan/"], ["http://"], ["mirror lan"]])("%s is no server", async (server) => {
    const { code, stderr } = await run(MIRROR, "--server", server, "status");
    expect(code).toBe(1);
    expect(stderr).toContain("It must be an http or https URL, or a host and port such as mirror.lan:8787.");
  });
});

it("ends without a word once the reader of its output has gone", async () => {
  const rows = Array.from({ length: 900 }, (_, at) => ({ key: `debian/pool/${at}`, size: 1, uses: 0, storedAt: 0, lastUsedAt: 0 }));
  // It never ends by itself.
  const address = await serve(json(200, { rows, after: "debian/pool/1" }));
  const child = spawn(process.execPath, [MIRROR, "--server", address, "ls"], { env: { ...process.env, ADMIN_TOKEN: "x" } });
  cleanups.push(() => child.kill());
  let stderr = "";
  child.stderr.on("data", (text) => (stderr += String(text)));
  child.stdout.once("data", () => child.stdout.destroy());
  const code = await new Promise((resolve) => child.once("exit", resolve));
  expect([code, stderr]).toEqual([0, ""]);
}, 60_000);

describe("export by npm run", () => {
  it.each([
    [
      "refuses to write a bundle behind npm's own lines",
      [],
      /^Cannot write a bundle behind npm's own lines: .*npm run -s mirror -- export/m,
    ],
    ["asks the server where npm is silent", ["-s"], /^Cannot export "x\*": nothing that is stored matches/],
  ])("%s", async (_what, flags, wanted) => {
    const address = await serve(json(200, { rows: [], after: null }));
    const { code, stderr } = await runCommand("npm", "run", ...flags, "mirror", "--", "--server", address, "export", "x*");
    expect(code).toBe(1);
    expect(stderr).toMatch(wanted);
  });
});
