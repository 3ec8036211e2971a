import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CloudflareApi, startCloudflareApi } from "../support/cloudflare-api.ts";

const ROOT = join(import.meta.dirname, "../..");

// The words and codes that the deploy command reads are those of the pinned wrangler: here it runs that one, against an API on loopback.
let api: CloudflareApi;
const home = mkdtempSync(join(tmpdir(), "lazy-mirror-home-"));
beforeAll(async () => void (api = await startCloudflareApi()));
afterAll(async () => {
  await api.stop();
  rmSync(home, { recursive: true });
});

async function deploy(...args: readonly string[]) {
  const env = {
    ...process.env,
    HOME: home,
    CI: "true",
    CLOUDFLARE_API_BASE_URL: api.url,
    CLOUDFLARE_API_TOKEN: "t",
    CLOUDFLARE_ACCOUNT_ID: "acc",
  };
  const command = ["src/local/deploy/deploy-main.ts", ...args];
  const run = promisify(execFile)(join(ROOT, "node_modules/.bin/node"), command, { cwd: ROOT, env });
  return run.then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({ code, stdout, stderr }),
  );
}

const LONG_MS = 240_000;

test(
  "a first deployment creates and sets up what is missing, and a second one changes the Worker alone",
  { timeout: LONG_MS },
  async () => {
    const first = await deploy("--location", "eeur", "--local-uploads");
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(first.stdout).toContain("  https://lazy-mirror.me.workers.dev/debian/\n");
    expect(api.changes()).toEqual([
      "POST /r2/buckets",
      "PUT /r2/buckets/lazy-mirror/lifecycle",
      "PUT /r2/buckets/lazy-mirror/local-uploads",
      "PUT /workers/scripts/lazy-mirror",
      "POST /workers/scripts/lazy-mirror/subdomain",
      "PUT /workers/scripts/lazy-mirror/schedules",
    ]);
    expect(api.account).toMatchObject({ bucket: { location: "EEUR" }, hasLocalUploads: true, crons: ["17 * * * *"] });
    expect(api.account.rules.map(({ id }) => id)).toEqual(["lazy-mirror-abort-multipart"]);
    expect(api.account.bindings).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: "BUCKET", bucket_name: "lazy-mirror" }),
        { name: "LOCATION", type: "plain_text", text: "eeur" },
      ]),
    );

    // As an earlier version left it.
    const expiry = { condition: { type: "Age", maxAge: 97 * 86_400 } };
    api.account.rules.push({ id: "lazy-mirror-expire", enabled: true, conditions: { prefix: "" }, deleteObjectsTransition: expiry });
    const second = await deploy("--local-uploads");
    expect(second).toMatchObject({ code: 0, stderr: "" });
    expect(second.stdout).toContain("  exists, in eeur\n");
    expect(second.stdout).toContain("  Expire objects after 97 days: removed\n");
    expect(second.stdout).toContain("  Local Uploads: exist\n");
    expect(api.changes().filter((change) => change.includes("/r2/"))).toEqual(["PUT /r2/buckets/lazy-mirror/lifecycle"]);
    expect(api.account.rules.map(({ id }) => id)).toEqual(["lazy-mirror-abort-multipart"]);
    expect(api.account.bindings).toEqual(expect.arrayContaining([{ name: "LOCATION", type: "plain_text", text: "eeur" }]));
    expect(readdirSync(ROOT).filter((name) => name.startsWith(".deploy-"))).toEqual([]);
  },
);

test("a renamed Worker that shares the bucket of another one is refused", { timeout: LONG_MS }, async () => {
  const file = join(ROOT, `.deploy-renamed-${process.pid}.toml`);
  const shipped = readFileSync(join(ROOT, "wrangler.toml"), "utf8");
  const named = shipped.replace('binding = "BUCKET"', 'binding = "BUCKET"\nbucket_name = "lazy-mirror"');
  writeFileSync(file, named.replace('name = "lazy-mirror"', 'name = "second"'));
  try {
    const { code, stderr } = await deploy("--config", file);
    expect(code).toBe(1);
    expect(stderr).toContain('Worker "lazy-mirror" stores in it');
    expect(api.changes()).toEqual([]);
  } finally {
    rmSync(file);
  }
});
