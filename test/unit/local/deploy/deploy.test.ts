import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../../../..");
const NODE = join(ROOT, "node_modules/.bin/node");

/** A wrangler that answers from a list of replies, each taken by the first command that matches it, and writes down what it was asked. */
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

interface Reply {
  readonly to: string;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly code?: number;
}

const LOGGED_IN: Reply = { to: "^whoami --json$", stdout: '{"loggedIn":true,"accounts":[{"name":"Me","id":"a1"}]}' };
const NO_BUCKET: Reply = { to: "^r2 bucket info", stderr: "✘ [ERROR] The specified bucket does not exist. [code: 10006]", code: 1 };
const BUCKET: Reply = { to: "^r2 bucket info lazy-mirror --json$", stdout: '{"name":"lazy-mirror"}' };
const CREATED: Reply = { to: "^r2 bucket create lazy-mirror", stdout: "✅ Created bucket 'lazy-mirror'" };
const NO_RULES: Reply = {
  to: "^r2 bucket lifecycle list lazy-mirror$",
  stdout: "There are no lifecycle rules for bucket 'lazy-mirror'.\n",
};
const ADDED: Reply = { to: "^r2 bucket lifecycle add lazy-mirror lazy-mirror-", stdout: "✨ Added lifecycle rule" };
const REMOVED: Reply = { to: "^r2 bucket lifecycle remove lazy-mirror --name lazy-mirror-" };
const DEPLOYED: Reply = {
  to: "^deploy",
  stdout:
    "Uploaded lazy-mirror (4.00 sec)\nDeployed lazy-mirror triggers (1.00 sec)\n  https://lazy-mirror.me.workers.dev\nCurrent Version ID: 1\n",
};

function listed(...rules: readonly { name: string; action: string; enabled?: string; prefix?: string }[]): Reply {
  const blocks = rules.map(({ name, action, enabled = "Yes", prefix = "(all prefixes)" }) =>
    [`name:     ${name}`, `enabled:  ${enabled}`, `prefix:   ${prefix}`, `action:   ${action}`].join("\n"),
  );
  return { to: NO_RULES.to, stdout: `Listing lifecycle rules for bucket 'lazy-mirror'...\n${blocks.join("\n\n")}\n` };
}

const EXPIRE = { name: "lazy-mirror-expire", action: "Expire objects after 97 days" };
const ABORT = { name: "lazy-mirror-abort-multipart", action: "Abort incomplete multipart uploads after 1 days" };
const RULES = listed({ name: "Default Multipart Abort Rule", action: "Abort incomplete multipart uploads after 7 days" }, EXPIRE, ABORT);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-deploy-"));
  writeFileSync(join(folder, "wrangler.mjs"), STUB);
  copyFileSync(join(ROOT, "wrangler.toml"), join(folder, "wrangler.toml"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Runs `npm run deploy` as its users do, against the stub. */
async function deploy(replies: readonly Reply[], ...args: string[]) {
  writeFileSync(join(folder, "replies.json"), JSON.stringify(replies));
  const { CLOUDFLARE_ACCOUNT_ID: _account, ...env } = process.env;
  const command = [
    "src/local/deploy/deploy-main.ts",
    "--config",
    join(folder, "wrangler.toml"),
    "--wrangler",
    join(folder, "wrangler.mjs"),
    ...args,
  ];
  const run = promisify(execFile)(NODE, command, { cwd: ROOT, env });
  const { stdout, stderr, code } = await run.then(
    (ended) => ({ ...ended, code: 0 }),
    (error: { stdout: string; stderr: string; code: number }) => error,
  );
  const asked = existsSync(join(folder, "asked")) ? readFileSync(join(folder, "asked"), "utf8").trim().split("\n") : [];
  rmSync(join(folder, "asked"), { force: true });
  return { stdout, stderr, code, asked };
}

function write(vars: string, rest = ""): void {
  writeFileSync(
    join(folder, "wrangler.toml"),
    `name = "lazy-mirror"\n${rest}\n[[r2_buckets]]\nbinding = "BUCKET"\nbucket_name = "lazy-mirror"\n[vars]\n${vars}\n`,
  );
}

const ONE_MIRROR = '[vars.MIRRORS.debian]\nupstreams = ["https://one.example/debian"]\n';

describe("a first deployment", () => {
  test("creates the bucket, sets both rules, deploys, and prints the URLs and what comes next", async () => {
    const { code, stdout, stderr, asked } = await deploy(
      [LOGGED_IN, NO_BUCKET, CREATED, NO_RULES, ADDED, ADDED, DEPLOYED],
      "--location",
      "weur",
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(asked).toEqual([
      "whoami --json",
      "r2 bucket info lazy-mirror --json",
      "r2 bucket create lazy-mirror --location weur",
      "r2 bucket lifecycle list lazy-mirror",
      "r2 bucket lifecycle add lazy-mirror lazy-mirror-expire --expire-days 97 --force",
      "r2 bucket lifecycle add lazy-mirror lazy-mirror-abort-multipart --abort-multipart-days 1 --force",
      "deploy",
    ]);
    expect(stdout).toContain("  https://lazy-mirror.me.workers.dev/fedora/\n");
    expect(stdout).toContain("curl -sS https://lazy-mirror.me.workers.dev/-/health");
    expect(stdout).toContain("https://lazy-mirror.me.workers.dev/-/setup/");
  });

  test("goes on where another one has just created the bucket", async () => {
    const taken = { to: CREATED.to, stderr: "The bucket you tried to create already exists, and you own it. [code: 10004]", code: 1 };
    const { code } = await deploy([LOGGED_IN, NO_BUCKET, taken, RULES, DEPLOYED]);
    expect(code).toBe(0);
  });
});

describe("a deployment that was done before", () => {
  test("changes nothing but the Worker", async () => {
    const { code, asked } = await deploy([LOGGED_IN, BUCKET, RULES, DEPLOYED]);
    expect(code).toBe(0);
    expect(asked).toEqual(["whoami --json", "r2 bucket info lazy-mirror --json", "r2 bucket lifecycle list lazy-mirror", "deploy"]);
  });

  test.each([
    ["of other days", { ...EXPIRE, action: "Expire objects after 40 days" }],
    ["that is switched off", { ...EXPIRE, enabled: "No" }],
    ["for a part of the bucket", { ...EXPIRE, prefix: "fedora/" }],
  ])("replaces a rule %s", async (_, rule) => {
    const { code, asked } = await deploy([LOGGED_IN, BUCKET, listed(rule, ABORT), REMOVED, ADDED, DEPLOYED]);
    expect(code).toBe(0);
    expect(asked.slice(3, 5)).toEqual([
      "r2 bucket lifecycle remove lazy-mirror --name lazy-mirror-expire",
      "r2 bucket lifecycle add lazy-mirror lazy-mirror-expire --expire-days 97 --force",
    ]);
  });

  test("never lets a rule be quicker than the retention", async () => {
    write(`RETENTION_DAYS = 10.5\n${ONE_MIRROR}`);
    const { asked } = await deploy([LOGGED_IN, BUCKET, NO_RULES, ADDED, ADDED, DEPLOYED]);
    expect(asked).toContain("r2 bucket lifecycle add lazy-mirror lazy-mirror-expire --expire-days 18 --force");
  });
});

describe("the mirrors' hosts", () => {
  const HOSTS = `${ONE_MIRROR}hosts = ["debian.example.com", "debian.*", "debian.lan", "192.0.2.1", "localhost"]\n`;

  test("become custom domains where that is asked for: public names only", async () => {
    write(HOSTS);
    const attached = { to: "^deploy", stdout: `${DEPLOYED.stdout}  debian.example.com (custom domain)\n` };
    const { stdout, asked } = await deploy([LOGGED_IN, BUCKET, RULES, attached], "--domains");
    expect(asked.at(-1)).toBe("deploy --domain debian.example.com");
    expect(stdout).toContain("  https://debian.example.com/\n");
    expect(stdout).toContain("No custom domain can be: debian.lan, 192.0.2.1, localhost, debian.*");
  });

  test("are left alone otherwise: wrangler would replace their DNS records without a word", async () => {
    write(HOSTS);
    const { stdout, asked } = await deploy([LOGGED_IN, BUCKET, RULES, DEPLOYED]);
    expect(asked.at(-1)).toBe("deploy");
    expect(stdout).toContain("Not attached: debian.example.com. --domains");
  });

  test("that need a route are not complained about where there is one", async () => {
    write(HOSTS, 'routes = [{ pattern = "*.example.com/*", zone_name = "example.com" }]');
    expect((await deploy([LOGGED_IN, BUCKET, RULES, DEPLOYED])).stdout).not.toContain("No custom domain");
  });
});

describe("before anything is asked of Cloudflare", () => {
  test("a dry run says every step, without wrangler", async () => {
    const { code, stdout, asked } = await deploy([], "--dry-run");
    expect({ code, asked }).toEqual({ code: 0, asked: [] });
    expect(stdout).toContain("wrangler r2 bucket create lazy-mirror\n");
    expect(stdout).toContain("lifecycle add lazy-mirror lazy-mirror-expire --expire-days 97\n");
    expect(stdout).toContain("Nothing was changed.");
  });

  test("a dry run takes part in the checks", async () => {
    write("BUDGET_GB = -1");
    expect(await deploy([], "--dry-run")).toMatchObject({ code: 1, stdout: "" });
  });

  test("every problem of the configuration is printed at once", async () => {
    write(`BUDGET_GB = 0\nSLICE_MIB = 500\n${ONE_MIRROR}`);
    const { code, stderr, asked } = await deploy([]);
    expect({ code, asked }).toEqual({ code: 1, asked: [] });
    expect(stderr).toContain("Cannot use BUDGET_GB");
    expect(stderr).toContain("Cannot use SLICE_MIB");
  });

  test("what the file lacks does not hide what is wrong with its variables", async () => {
    writeFileSync(join(folder, "wrangler.toml"), "[vars]\nBUDGET_GB = 0\n[vars.MIRROR.x]\n");
    const { stderr } = await deploy([], "--dry-run");
    for (const problem of ["Cannot use name of", "Cannot use r2_buckets of", "Cannot use BUDGET_GB", "did you mean MIRRORS?"])
      expect(stderr).toContain(problem);
  });

  test("a variable over 5 KB is refused with the way out", async () => {
    write(
      `${ONE_MIRROR}classes = [${Array.from({ length: 40 }, (_, n) => `{ pattern = "^${"x".repeat(120)}${n}$", class = "package" }`).join(", ")}]`,
    );
    const { code, stderr, asked } = await deploy([]);
    expect({ code, asked }).toEqual({ code: 1, asked: [] });
    expect(stderr).toContain("MIRRORS_<anything>");
  });

  test("a file without the bucket is refused", async () => {
    writeFileSync(join(folder, "wrangler.toml"), 'name = "x"\n[[r2_buckets]]\nbinding = "B"\nbucket_name = "b"\n');
    expect((await deploy([])).stderr).toContain('binding = "BUCKET"');
  });
});

describe("a failure is passed on with a remedy:", () => {
  test("wrangler is not logged in", async () => {
    const { code, stderr, asked } = await deploy([{ to: "whoami", stdout: '{"loggedIn":false}', code: 1 }]);
    expect({ code, asked }).toEqual({ code: 1, asked: ["whoami --json"] });
    expect(stderr).toContain("npx wrangler login");
  });

  test("several accounts, and none chosen", async () => {
    const accounts = [
      { name: "Me", id: "a1" },
      { name: "Work", id: "b2" },
    ];
    const two = { to: "whoami", stdout: JSON.stringify({ loggedIn: true, accounts }) };
    const { code, stderr } = await deploy([two]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/b2 {2}Work[^]*CLOUDFLARE_ACCOUNT_ID/);
    write(ONE_MIRROR, 'account_id = "b2"');
    expect(await deploy([two, BUCKET, RULES, DEPLOYED])).toMatchObject({ code: 0 });
  });

  test("wrangler is not installed", async () => {
    rmSync(join(folder, "wrangler.mjs"));
    expect(await deploy([])).toMatchObject({ code: 1, stderr: expect.stringContaining("npm ci") });
  });

  test.each<[string, readonly Reply[], string]>([
    ["the network is away", [{ to: "whoami", stderr: "TypeError: fetch failed ENOTFOUND", code: 1 }], "could not reach api.cloudflare.com"],
    [
      "R2 is not enabled",
      [LOGGED_IN, { to: "bucket info", stderr: "Please enable R2 [code: 10042]", code: 1 }],
      "open R2 in the dashboard",
    ],
    [
      "the token may not see R2",
      [LOGGED_IN, { to: "bucket info", stderr: "Authentication error [code: 10000]", code: 1 }],
      "Workers R2 Storage",
    ],
    ["the bucket cannot be made", [LOGGED_IN, NO_BUCKET, { to: "bucket create", stderr: "too many requests", code: 1 }], "five minutes"],
    ["the rules cannot be listed", [LOGGED_IN, BUCKET, { to: "lifecycle list", stderr: "oops", code: 1 }], "You can deploy again safely"],
    [
      "a rule cannot be removed",
      [LOGGED_IN, BUCKET, listed({ ...EXPIRE, enabled: "No" }), { ...REMOVED, stderr: "oops", code: 1 }],
      "lazy-mirror-expire",
    ],
    ["a rule cannot be added", [LOGGED_IN, BUCKET, NO_RULES, { to: ADDED.to, stderr: "oops", code: 1 }], "Cannot add the lifecycle rule"],
    ["there is no workers.dev name", [LOGGED_IN, BUCKET, RULES, { to: "deploy", stderr: "[code: 10063]", code: 1 }], "Workers & Pages"],
    [
      "a host is in no zone",
      [LOGGED_IN, BUCKET, RULES, { to: "deploy", stderr: "Could not find zone for `x.org`", code: 1 }],
      "No zone of this account",
    ],
    ["a host has a record", [LOGGED_IN, BUCKET, RULES, { to: "deploy", stderr: "[code: 100117]", code: 1 }], "DNS record"],
    [
      "no cron trigger is left",
      [LOGGED_IN, BUCKET, RULES, { to: "deploy", stderr: "limit of 5 cron triggers [code: 10072]", code: 1 }],
      "all its cron triggers",
    ],
    ["free plan with limits", [LOGGED_IN, BUCKET, RULES, { to: "deploy", stderr: "[code: 100328]", code: 1 }], "[limits]"],
    ["the bundle is too large", [LOGGED_IN, BUCKET, RULES, { to: "deploy", stderr: "[code: 10027]", code: 1 }], "bundle"],
    [
      "the script does not start",
      [LOGGED_IN, BUCKET, RULES, { to: "deploy", stderr: "startup [code: 10021]", code: 1 }],
      "could not start the script",
    ],
    ["a migration was changed", [LOGGED_IN, BUCKET, RULES, { to: "deploy", stderr: "Cannot apply migration", code: 1 }], "[[migrations]]"],
  ])("%s", async (_, replies, remedy) => {
    const { code, stderr } = await deploy(replies);
    const said = replies.at(-1)?.stderr ?? "";
    expect(code).toBe(1);
    expect(stderr).toContain(`  ${said}`);
    expect(stderr).toContain(remedy);
  });
});
