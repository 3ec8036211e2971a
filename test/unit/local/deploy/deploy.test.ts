import { describe, expect, test } from "vitest";
import {
  ABORT,
  ADDED,
  BUCKET,
  CREATED,
  deploy,
  DEPLOYED,
  deployAsProcess,
  deployIn,
  listed,
  LOGGED_IN,
  NO_BUCKET,
  NO_RULES,
  ONE_MIRROR,
  type Reply,
  REMOVED,
  removeWrangler,
  RULES,
  useStubWrangler,
  write,
  writeFile,
} from "./stub-wrangler.ts";

useStubWrangler();

/** All is there, and the last step fails with what wrangler prints. */
const deployFails = (stderr: string): readonly Reply[] => [LOGGED_IN, BUCKET, RULES, { to: DEPLOYED.to, stderr, code: 1 }];

describe("a first deployment", () => {
  test("creates the bucket, sets its rule, deploys, and prints the URLs and what comes next", async () => {
    const { code, stdout, stderr, asked } = await deployAsProcess(
      [LOGGED_IN, NO_BUCKET, CREATED, NO_RULES, ADDED, DEPLOYED],
      "--location",
      "weur",
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(asked).toEqual([
      "whoami --json",
      "r2 bucket info lazy-mirror --json",
      "deployments status --name lazy-mirror --json",
      "r2 bucket create lazy-mirror --location weur",
      "r2 bucket lifecycle list lazy-mirror",
      "r2 bucket lifecycle add lazy-mirror lazy-mirror-abort-multipart --abort-multipart-days 1 --force",
      "r2 bucket local-uploads get lazy-mirror",
      "deploy --var LOCATION:weur",
    ]);
    expect(stdout).toContain("  https://lazy-mirror.me.workers.dev/fedora/\n");
    expect(stdout).toContain("curl -sS https://lazy-mirror.me.workers.dev/-/health");
    expect(stdout).toContain("npm run doctor -- https://lazy-mirror.me.workers.dev ");
    expect(stdout).toContain("https://lazy-mirror.me.workers.dev/-/setup/");
  });

  test("goes on where another one has just created the bucket", async () => {
    const taken = { to: CREATED.to, stderr: "The bucket you tried to create already exists, and you own it. [code: 10004]", code: 1 };
    const { code } = await deploy([LOGGED_IN, NO_BUCKET, taken, RULES, DEPLOYED]);
    expect(code).toBe(0);
  });
});

describe("a first deployment with PLAN", () => {
  const first = [LOGGED_IN, NO_BUCKET, CREATED, NO_RULES, ADDED, DEPLOYED];

  test('"paid" says before the Worker is deployed what the free plan needs; later ones do not repeat it', async () => {
    const { stdout } = await deploy(first);
    expect(stdout.slice(0, stdout.indexOf("4/4"))).toContain('write PLAN = "free" in [vars] and deploy again');
    expect((await deploy([LOGGED_IN, BUCKET, RULES, DEPLOYED])).stdout).not.toContain('PLAN = "free"');
  });

  test('"free" says nothing of that', async () => {
    write(`PLAN = "free"\n${ONE_MIRROR}`);
    expect((await deploy(first)).stdout).not.toContain("PLAN");
  });
});

describe("a deployment that was done before", () => {
  test("changes nothing but the Worker", async () => {
    const { code, asked } = await deploy([LOGGED_IN, BUCKET, RULES, DEPLOYED]);
    expect(code).toBe(0);
    expect(asked).toEqual([
      "whoami --json",
      "r2 bucket info lazy-mirror --json",
      "r2 bucket lifecycle list lazy-mirror",
      "r2 bucket local-uploads get lazy-mirror",
      "deploy",
    ]);
  });
});

describe("without a terminal, as in Workers Builds,", () => {
  const builds = { CLOUDFLARE_API_TOKEN: "t", CLOUDFLARE_ACCOUNT_ID: "a1", CI: "true", WORKERS_CI: "1" };
  const unreadable: Reply = { to: "whoami", stderr: "Authentication error [code: 10000]", code: 1 };

  test("a token that may not read its user deploys all the same", async () => {
    expect(await deployIn(builds, [unreadable, BUCKET, RULES, DEPLOYED])).toMatchObject({ code: 0 });
  });

  test("without an account's id that is a failure: nothing says where to deploy", async () => {
    const { CLOUDFLARE_ACCOUNT_ID: _account, ...noAccount } = builds;
    expect(await deployIn(noAccount, [unreadable])).toMatchObject({ code: 1, asked: ["whoami --json"] });
  });

  test("a token that is not valid is refused at the login", async () => {
    const { code, stderr } = await deployIn(builds, [{ to: "whoami", stdout: '{"loggedIn":false}', code: 1 }]);
    expect(code).toBe(1);
    expect(stderr).toContain("CLOUDFLARE_API_TOKEN");
  });
});

describe("the mirrors' hosts", () => {
  const HOSTS = `${ONE_MIRROR}hosts = ["debian.example.com", "debian.*", "debian.lan", "192.0.2.1", "localhost"]\n`;

  test("become custom domains where that is asked for: public names only", async () => {
    write(HOSTS);
    const attached = { to: "^deploy( |$)", stdout: `${DEPLOYED.stdout}  debian.example.com (custom domain)\n` };
    const { stdout, asked } = await deploy([LOGGED_IN, BUCKET, RULES, attached], "--domains");
    expect(asked.at(-1)).toBe("deploy --domain debian.example.com");
    expect(stdout).toContain("  https://debian.example.com/\n");
    expect(stdout).toContain("No custom domain can be: debian.lan, 192.0.2.1, localhost, debian.*");
  });

  test("are not promised where there is none that can be: nothing is asked then, also by a dry run", async () => {
    write(`${ONE_MIRROR}hosts = ["debian.lan", "debian.*"]\n`);
    for (const args of [["--domains"], ["--domains", "--dry-run"]]) {
      const { code, stdout, stderr, asked } = await deploy([], ...args);
      expect({ code, stdout, asked }).toEqual({ code: 1, stdout: "", asked: [] });
      expect(stderr).toMatch(/Cannot make custom domains: .*debian\.lan, debian\.\*.*hosts = \["debian\.example\.com"\]/);
    }
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
    expect(stdout).toContain("lifecycle add lazy-mirror lazy-mirror-abort-multipart --abort-multipart-days 1\n");
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
    writeFile("[vars]\nBUDGET_GB = 0\n[vars.MIRROR.x]\n");
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
    writeFile('name = "x"\n[[r2_buckets]]\nbinding = "B"\nbucket_name = "b"\n');
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

  test("its colours are left out", async () => {
    const red = "\u001b[31m✘ \u001b[41;31m[\u001b[41;97mERROR\u001b[41;31m]\u001b[0m \u001b[1moops\u001b[0m";
    const { stderr } = await deployAsProcess([LOGGED_IN, BUCKET, { to: "lifecycle list", stderr: red, code: 1 }]);
    expect(stderr).toContain("  ✘ [ERROR] oops\n");
  });

  test("wrangler is not installed", async () => {
    removeWrangler();
    expect(await deployAsProcess([])).toMatchObject({ code: 1, stderr: expect.stringContaining("npm ci") });
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
      [LOGGED_IN, BUCKET, listed({ ...ABORT, enabled: "No" }), { ...REMOVED, stderr: "oops", code: 1 }],
      "Cannot remove the lifecycle rule lazy-mirror-abort-multipart",
    ],
    ["a rule cannot be added", [LOGGED_IN, BUCKET, NO_RULES, { to: ADDED.to, stderr: "oops", code: 1 }], "Cannot add the lifecycle rule"],
    ["there is no workers.dev name", deployFails("[code: 10063]"), "Workers & Pages"],
    ["a host is in no zone", deployFails("Could not find zone for `x.org`"), "No zone of this account"],
    ["a host has a record", deployFails("[code: 100117]"), "DNS record"],
    ["no cron trigger is left", deployFails("limit of 5 cron triggers [code: 10072]"), "all its cron triggers"],
    ["the free plan lacks something", deployFails("This requires a Workers Paid plan"), "paid plan of Workers"],
    ["free plan with limits", deployFails("[code: 100328]"), "[limits]"],
    ["the bundle is too large", deployFails("[code: 10027]"), "bundle"],
    ["the script does not start", deployFails("startup [code: 10021]"), "could not start the script"],
    ["migrations and exports", deployFails("`migrations` and `exports` are mutually exclusive."), "never goes back from [exports]"],
    ["a migration was changed", deployFails("Cannot apply migration"), "[[migrations]]"],
  ])("%s", async (_, replies, remedy) => {
    const { code, stderr } = await deploy(replies);
    const said = replies.at(-1)?.stderr ?? "";
    expect(code).toBe(1);
    expect(stderr).toContain(`  ${said}`);
    expect(stderr).toContain(remedy);
  });
});
