import { describe, expect, test } from "vitest";
import {
  ADDED,
  BUCKET,
  CREATED,
  deploy,
  deployAsProcess,
  DEPLOYED,
  deployedConfig,
  deployIn,
  LOGGED_IN,
  NO_BUCKET,
  NO_RULES,
  ONE_MIRROR,
  type Reply,
  RULES,
  useStubWrangler,
  write,
  writeFile,
} from "./stub-wrangler.ts";

useStubWrangler();

/** The `wrangler deploy` of a run. */
const deployment = (asked: readonly string[]) => asked.find((command) => /^deploy( |$)/.test(command));
const FIRST = [LOGGED_IN, NO_BUCKET, CREATED, NO_RULES, ADDED, DEPLOYED];

describe("a bucket that wrangler.toml does not name", () => {
  test("gets the Worker's name, which wrangler deploy is given in a copy of the file; the copy goes", async () => {
    const { code, stdout, asked } = await deploy(FIRST);
    expect(code).toBe(0);
    expect(stdout).toContain("Bucket lazy-mirror, named after the Worker");
    expect(asked).toContain("r2 bucket create lazy-mirror");
    const { text, left } = deployedConfig();
    expect(text).toMatch(/binding = "BUCKET"\s+bucket_name = "lazy-mirror"/);
    expect(text).toContain("[vars.MIRRORS.fedora]");
    expect(left).toEqual([]);
  });

  test("is another one for a Worker of another name", async () => {
    write(ONE_MIRROR, "", "");
    const other = FIRST.map((reply) => ({ ...reply, to: reply.to.replaceAll("lazy-mirror", "second") }));
    const { code, asked } = await deployIn({ WRANGLER_CI_OVERRIDE_NAME: "second" }, other);
    expect(code).toBe(0);
    expect(asked).toContain("r2 bucket create second");
    expect(deployedConfig().text).toContain('bucket_name = "second"');
  });

  test("stays the one of the Worker that is deployed, whatever its name", async () => {
    const status: Reply = { to: "^deployments status --name lazy-mirror --json$", stdout: '{"id":"d","versions":[{"version_id":"v9"}]}' };
    const bindings = [
      { type: "durable_object_namespace", name: "LEDGER" },
      { type: "r2_bucket", name: "BUCKET", bucket_name: "older" },
    ];
    const version: Reply = { to: "^versions view v9 --name lazy-mirror --json$", stdout: JSON.stringify({ resources: { bindings } }) };
    const found: Reply = { to: "^r2 bucket info older --json$", stdout: '{"name":"older","location":"EEUR"}' };
    const rules = { ...NO_RULES, to: "^r2 bucket lifecycle list older$" };
    const added = { ...ADDED, to: "^r2 bucket lifecycle add older lazy-mirror-abort-multipart" };
    const { code, asked } = await deploy([LOGGED_IN, NO_BUCKET, status, version, found, rules, added, DEPLOYED]);
    expect(code).toBe(0);
    expect(asked.filter((command) => command.includes("bucket create"))).toEqual([]);
    expect(deployedConfig().text).toContain('bucket_name = "older"');
    expect(deployment(asked)).toBe("deploy --var LOCATION:eeur");
  });

  test("must be named where the Worker's name is none for a bucket", async () => {
    writeFile(`name = "my_mirror"\n[[r2_buckets]]\nbinding = "BUCKET"\n${ONE_MIRROR}`);
    const { code, stderr, asked } = await deploy([]);
    expect({ code, asked }).toEqual({ code: 1, asked: [] });
    expect(stderr).toContain('Cannot name the bucket after Worker "my_mirror": write bucket_name');
  });
});

describe("the place", () => {
  const AT: Reply = { to: BUCKET.to, stdout: '{"name":"lazy-mirror","location":"WEUR"}' };

  test("of the Durable Objects is that of an existing bucket where nothing else says one", async () => {
    const { stdout, asked } = await deploy([LOGGED_IN, AT, RULES, DEPLOYED]);
    expect(deployment(asked)).toBe("deploy --var LOCATION:weur");
    expect(stdout).toContain('LOCATION = "weur"');
  });

  test("of --location goes before that", async () => {
    const { asked } = await deploy([LOGGED_IN, AT, RULES, DEPLOYED], "--location", "apac");
    expect(deployment(asked)).toBe("deploy --var LOCATION:apac");
  });

  test.each(["(unknown)", "mars", 7])("is not passed where R2 says %s", async (location) => {
    const { code, asked } = await deploy([LOGGED_IN, { ...BUCKET, stdout: JSON.stringify({ location }) }, RULES, DEPLOYED]);
    expect({ code, deployment: deployment(asked) }).toEqual({ code: 0, deployment: "deploy" });
  });

  test("that R2 does not take as a hint is for the Durable Objects alone", async () => {
    const { asked } = await deploy(FIRST, "--location", "afr");
    expect(asked).toContain("r2 bucket create lazy-mirror");
    expect(deployment(asked)).toBe("deploy --var LOCATION:afr");
  });

  test("is refused where no service knows it", async () => {
    const { code, stderr } = await deployAsProcess([], "--location", "moon");
    expect(code).toBe(1);
    expect(stderr).toContain("wnam, enam, sam, weur, eeur, apac, oc, afr, me");
  });

  test("of [vars] is the Worker's, and the new bucket's", async () => {
    write(`LOCATION = "oc"\n${ONE_MIRROR}`);
    const { asked } = await deploy(FIRST);
    expect(asked).toContain("r2 bucket create lazy-mirror --location oc");
    expect(deployment(asked)).toBe("deploy");
  });

  test("is shown by a dry run", async () => {
    const { stdout } = await deploy([], "--dry-run", "--location", "weur");
    expect(stdout).toContain("wrangler r2 bucket create lazy-mirror --location weur\n");
    expect(stdout).toContain("wrangler deploy --var LOCATION:weur\n");
    expect((await deploy([], "--dry-run")).stdout).toContain("where the bucket lies, if that exists");
  });
});

describe("a bucket in a jurisdiction", () => {
  const inEu = 'bucket_name = "lazy-mirror"\njurisdiction = "eu"';
  const eu = (reply: Reply): Reply => ({ ...reply, to: reply.to.replace(/\$$/, " --jurisdiction eu$") });
  const first = [LOGGED_IN, NO_BUCKET, CREATED, eu(NO_RULES), ADDED, DEPLOYED];

  test("has the Durable Objects in it as well; R2 takes no hint beside it", async () => {
    write(ONE_MIRROR, "", inEu);
    const { code, asked } = await deploy(first, "--location", "weur");
    expect(code).toBe(0);
    expect(asked).toContain("r2 bucket create lazy-mirror --jurisdiction eu");
    expect(deployment(asked)).toBe("deploy --var LOCATION:weur --var JURISDICTION:eu");
    expect(asked.filter((command) => command.includes("local-uploads"))).toEqual([]);
    expect((await deploy([], "--dry-run")).stdout).toContain("wrangler deploy --var JURISDICTION:eu\n");
  });

  test("and the same one in [vars] need no help", async () => {
    write(`JURISDICTION = "eu"\n${ONE_MIRROR}`, "", inEu);
    expect(deployment((await deploy(first)).asked)).toBe("deploy");
  });

  test.each([
    ["another one", inEu, "fedramp", 'the bucket is in "eu"'],
    ["one where the bucket has none", 'bucket_name = "b"', "eu", "the bucket is in no jurisdiction"],
  ])("is not the Durable Objects' alone: [vars] with %s is refused before anything is asked", async (_, bucket, jurisdiction, problem) => {
    write(`JURISDICTION = "${jurisdiction}"\n${ONE_MIRROR}`, "", bucket);
    const { code, stderr, asked } = await deploy([]);
    expect({ code, asked }).toEqual({ code: 1, asked: [] });
    expect(stderr).toContain(`Cannot use JURISDICTION "${jurisdiction}": ${problem}`);
  });
});

describe("Local Uploads", () => {
  const off: Reply = {
    to: "local-uploads get lazy-mirror$",
    stdout: "Local uploads are disabled for bucket 'lazy-mirror'. Object data is …\n",
  };
  const on: Reply = { ...off, stdout: "Local uploads are enabled for bucket 'lazy-mirror'. Object data is …\n" };
  const enable = "r2 bucket local-uploads enable lazy-mirror --force";

  test("are offered after a deployment where they are off", async () => {
    const { stdout, asked } = await deploy([LOGGED_IN, BUCKET, RULES, off, DEPLOYED]);
    expect(stdout.slice(stdout.indexOf("Next:"))).toContain("npm run deploy -- --local-uploads");
    expect(asked).not.toContain(enable);
    expect((await deploy([LOGGED_IN, BUCKET, RULES, on, DEPLOYED])).stdout).not.toContain("--local-uploads");
  });

  test("are enabled by the option, once", async () => {
    const enabled: Reply = { to: `^${enable}$`, stdout: "✨ Local uploads enabled" };
    const { code, asked } = await deploy([LOGGED_IN, BUCKET, RULES, off, enabled, DEPLOYED], "--local-uploads");
    expect(code).toBe(0);
    expect(asked).toContain(enable);
    const again = await deploy([LOGGED_IN, BUCKET, RULES, on, DEPLOYED], "--local-uploads");
    expect(again.code).toBe(0);
    expect(again.asked).not.toContain(enable);
  });

  test("that R2 refuses stop the deployment with a remedy", async () => {
    const refusal: Reply = { to: "local-uploads enable", stderr: "local-uploads: not available [code: 10099]", code: 1 };
    const { code, stderr } = await deploy([LOGGED_IN, BUCKET, RULES, off, refusal], "--local-uploads");
    expect(code).toBe(1);
    expect(stderr).toContain("deploy without --local-uploads");
  });

  test("cannot be had in a jurisdiction, which is said before anything is asked", async () => {
    write(ONE_MIRROR, "", 'bucket_name = "b"\njurisdiction = "eu"');
    const { code, stderr, asked } = await deploy([], "--local-uploads");
    expect({ code, asked }).toEqual({ code: 1, asked: [] });
    expect(stderr).toContain('Cannot use --local-uploads: R2 has none for a bucket in a jurisdiction (jurisdiction = "eu")');
  });

  test("are shown by a dry run", async () => {
    expect((await deploy([], "--dry-run", "--local-uploads")).stdout).toContain("wrangler r2 bucket local-uploads enable lazy-mirror\n");
  });
});
