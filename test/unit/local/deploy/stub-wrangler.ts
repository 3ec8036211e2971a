import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach } from "vitest";
import { deployCommand, ROOT } from "../../../../src/local/deploy/deploy-command.ts";
import type { RunWrangler } from "../../../../src/local/deploy/deploy-wrangler.ts";

const NODE = join(ROOT, "node_modules/.bin/node");

/** As a process: a wrangler that answers from a list of replies, each taken by the first command that matches it, and writes down what it was asked. */
const STUB = `
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
const file = new URL("replies.json", import.meta.url);
const replies = JSON.parse(readFileSync(file));
const asked = process.argv.slice(2).join(" ").replace(/ --config .*$/, "");
appendFileSync(new URL("asked", import.meta.url), asked + "\\n");
const index = replies.findIndex(({ to }) => new RegExp(to).test(asked));
const { stdout = "", stderr = "", code = 0 } = index < 0 ? { stderr: "unexpected: " + asked, code: 99 } : replies.splice(index, 1)[0];
writeFileSync(file, JSON.stringify(replies));
process.stdout.write(stdout);
process.stderr.write(stderr);
process.exitCode = code;
`;

export interface Reply {
  readonly to: string;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly code?: number;
}

export const LOGGED_IN: Reply = { to: "^whoami --json$", stdout: '{"loggedIn":true,"accounts":[{"name":"Me","id":"a1"}]}' };
export const NO_BUCKET: Reply = { to: "^r2 bucket info", stderr: "✘ [ERROR] The specified bucket does not exist. [code: 10006]", code: 1 };
export const BUCKET: Reply = { to: "^r2 bucket info lazy-mirror --json$", stdout: '{"name":"lazy-mirror"}' };
export const CREATED: Reply = { to: "^r2 bucket create lazy-mirror", stdout: "✅ Created bucket 'lazy-mirror'" };
export const NO_RULES: Reply = {
  to: "^r2 bucket lifecycle list lazy-mirror$",
  stdout: "There are no lifecycle rules for bucket 'lazy-mirror'.\n",
};
export const ADDED: Reply = { to: "^r2 bucket lifecycle add lazy-mirror lazy-mirror-", stdout: "✨ Added lifecycle rule" };
export const REMOVED: Reply = { to: "^r2 bucket lifecycle remove lazy-mirror --name lazy-mirror-" };
export const DEPLOYED: Reply = {
  to: "^deploy( |$)",
  stdout:
    "Uploaded lazy-mirror (4.00 sec)\nDeployed lazy-mirror triggers (1.00 sec)\n  https://lazy-mirror.me.workers.dev\nCurrent Version ID: 1\n",
};

/** Wrangler's list of a bucket's lifecycle rules. */
export function listed(...rules: readonly { name: string; action: string; enabled?: string; prefix?: string }[]): Reply {
  const blocks = rules.map(({ name, action, enabled = "Yes", prefix = "(all prefixes)" }) =>
    [`name:     ${name}`, `enabled:  ${enabled}`, `prefix:   ${prefix}`, `action:   ${action}`].join("\n"),
  );
  return { to: NO_RULES.to, stdout: `Listing lifecycle rules for bucket 'lazy-mirror'...\n${blocks.join("\n\n")}\n` };
}

/** The rule of earlier versions. */
export const EXPIRE = { name: "lazy-mirror-expire", action: "Expire objects after 97 days" };
export const ABORT = { name: "lazy-mirror-abort-multipart", action: "Abort incomplete multipart uploads after 1 days" };
export const RULES = listed({ name: "Default Multipart Abort Rule", action: "Abort incomplete multipart uploads after 7 days" }, ABORT);

/** Of each test its own, with the stub and a copy of the project's wrangler.toml. */
let folder: string;

/** Every file of tests that deploys calls it once, at the top. */
export function useStubWrangler(): void {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "lazy-mirror-deploy-"));
    writeFileSync(join(folder, "wrangler.mjs"), STUB);
    copyFileSync(join(ROOT, "wrangler.toml"), join(folder, "wrangler.toml"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What wrangler was asked, without the configuration. */
  readonly asked: readonly string[];
}

/** Runs the deploy command in this process, with a wrangler that gives these replies. */
export async function deploy(replies: readonly Reply[], ...args: string[]): Promise<Ran> {
  return deployIn({}, replies, ...args);
}

/** The same, with environment variables. */
export async function deployIn(env: Record<string, string>, replies: readonly Reply[], ...args: string[]): Promise<Ran> {
  const left = [...replies];
  const asked: string[] = [];
  const run: RunWrangler = async (given) => {
    const config = given.at(-1) ?? "";
    const words = given.slice(0, -2).join(" ");
    asked.push(words);
    if (/^deploy( |$)/.test(words)) copyFileSync(config, join(folder, "deployed.toml"));
    const index = left.findIndex(({ to }) => new RegExp(to).test(words));
    const [reply = { to: "", stderr: `unexpected: ${words}`, code: 99 }] = index < 0 ? [] : left.splice(index, 1);
    const { stdout = "", stderr = "", code = 0 } = reply;
    return { ok: code === 0, stdout, output: stdout + stderr };
  };
  let [stdout, stderr] = ["", ""];
  const code = await deployCommand(["--config", join(folder, "wrangler.toml"), ...args], {
    env,
    createRun: () => run,
    print: (lines) => void (stdout += `${lines}\n`),
    printError: (lines) => void (stderr += `${lines}\n`),
  });
  return { code, stdout, stderr, asked };
}

/** Runs `npm run deploy` as its users do, with a wrangler that is a process. */
export async function deployAsProcess(replies: readonly Reply[], ...args: string[]): Promise<Ran> {
  writeFileSync(join(folder, "replies.json"), JSON.stringify(replies));
  const { CLOUDFLARE_ACCOUNT_ID: _account, CLOUDFLARE_API_TOKEN: _token, WRANGLER_CI_OVERRIDE_NAME: _name, ...env } = process.env;
  const [config, wrangler] = [join(folder, "wrangler.toml"), join(folder, "wrangler.mjs")];
  const command = ["src/local/deploy/deploy-main.ts", "--config", config, "--wrangler", wrangler, ...args];
  const run = promisify(execFile)(NODE, command, { cwd: ROOT, env });
  const { stdout, stderr, code } = await run.then(
    (ended) => ({ ...ended, code: 0 }),
    (error: { stdout: string; stderr: string; code: number }) => error,
  );
  const asked = existsSync(join(folder, "asked")) ? readFileSync(join(folder, "asked"), "utf8").trim().split("\n") : [];
  return { stdout, stderr, code, asked };
}

/** The configuration that the last `wrangler deploy` was given, and the names of the files that the deployment left beside wrangler.toml. */
export function deployedConfig(): { readonly text: string; readonly left: readonly string[] } {
  const own = ["wrangler.mjs", "replies.json", "wrangler.toml", "deployed.toml"];
  return { text: readFileSync(join(folder, "deployed.toml"), "utf8"), left: readdirSync(folder).filter((name) => !own.includes(name)) };
}

/** Writes the whole wrangler.toml. */
export function writeFile(text: string): void {
  writeFileSync(join(folder, "wrangler.toml"), text);
}

/** Removes the stub, as if `npm ci` had not run. */
export function removeWrangler(): void {
  rmSync(join(folder, "wrangler.mjs"));
}

/** Writes a wrangler.toml of its own: `vars` below [vars], `rest` at the top, `bucket` in [[r2_buckets]]. */
export function write(vars: string, rest = "", bucket = 'bucket_name = "lazy-mirror"'): void {
  writeFile(`name = "lazy-mirror"\n${rest}\n[[r2_buckets]]\nbinding = "BUCKET"\n${bucket}\n[vars]\n${vars}\n`);
}

export const ONE_MIRROR = '[vars.MIRRORS.debian]\nupstreams = ["https://one.example/debian"]\n';
