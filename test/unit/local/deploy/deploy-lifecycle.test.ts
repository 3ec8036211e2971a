import { describe, expect, test } from "vitest";
import {
  ABORT,
  ADDED,
  BUCKET,
  deploy,
  DEPLOYED,
  EXPIRE,
  listed,
  LOGGED_IN,
  NO_RULES,
  ONE_MIRROR,
  REMOVED,
  useStubWrangler,
  write,
} from "./stub-wrangler.ts";

useStubWrangler();

/** The commands about lifecycle rules, without the list. */
const changes = (asked: readonly string[]) => asked.filter((command) => / lifecycle (add|remove) /.test(command));
const ADD = "r2 bucket lifecycle add lazy-mirror lazy-mirror-abort-multipart --abort-multipart-days 1 --force";
const REMOVE_EXPIRE = "r2 bucket lifecycle remove lazy-mirror --name lazy-mirror-expire";

describe("rules act on the age since the upload, and a renewal writes the head alone:", () => {
  test("no rule that deletes objects is set", async () => {
    const { code, asked } = await deploy([LOGGED_IN, BUCKET, NO_RULES, ADDED, DEPLOYED]);
    expect(code).toBe(0);
    expect(changes(asked)).toEqual([ADD]);
  });

  test.each([
    ["as it was set", EXPIRE],
    ["of other days", { ...EXPIRE, action: "Expire objects after 40 days" }],
    ["that is switched off", { ...EXPIRE, enabled: "No" }],
    ["for a part of the bucket", { ...EXPIRE, prefix: "fedora/" }],
  ])("the one of earlier versions goes: %s", async (_, rule) => {
    const { code, stdout, asked } = await deploy([LOGGED_IN, BUCKET, listed(rule, ABORT), REMOVED, DEPLOYED]);
    expect(code).toBe(0);
    expect(changes(asked)).toEqual([REMOVE_EXPIRE]);
    expect(stdout).toMatch(/Expire objects after \d+ days: removed/);
  });

  test("a rule of the operator's own stays, and what it does is said", async () => {
    const own = { name: "mine", action: "Expire objects after 30 days" };
    const { code, stdout, asked } = await deploy([LOGGED_IN, BUCKET, listed(own, ABORT), DEPLOYED]);
    expect({ code, changes: changes(asked) }).toEqual({ code: 0, changes: [] });
    expect(stdout).toContain('Rule "mine" of your own deletes objects by their age');
  });
});

describe("the rule that ends unfinished uploads", () => {
  test.each([
    ["of other days", { ...ABORT, action: "Abort incomplete multipart uploads after 3 days" }],
    ["that is switched off", { ...ABORT, enabled: "No" }],
    ["for a part of the bucket", { ...ABORT, prefix: "fedora/" }],
  ])("is replaced: %s", async (_, rule) => {
    const { code, asked } = await deploy([LOGGED_IN, BUCKET, listed(rule), REMOVED, ADDED, DEPLOYED]);
    expect(code).toBe(0);
    expect(changes(asked)).toEqual(["r2 bucket lifecycle remove lazy-mirror --name lazy-mirror-abort-multipart", ADD]);
  });

  test("says whose bucket it is: another Worker's is refused before the Worker is deployed", async () => {
    const other = { ...ABORT, name: "first-mirror-abort-multipart" };
    const { code, stderr, asked } = await deploy([LOGGED_IN, BUCKET, listed(other)]);
    expect({ code, last: asked.at(-1) }).toEqual({ code: 1, last: "r2 bucket lifecycle list lazy-mirror" });
    expect(stderr).toContain('Worker "first-mirror" stores in it');
    expect(stderr).toContain('bucket_name = "lazy-mirror"');
    expect(stderr).toContain("npx wrangler r2 bucket lifecycle remove lazy-mirror --name first-mirror-abort-multipart");
  });

  test("of an earlier version, which had one name for all Workers, gets this Worker's name", async () => {
    write(ONE_MIRROR);
    const first = { ...ABORT, name: "other-abort-multipart" };
    const removed = { to: "^r2 bucket lifecycle remove lazy-mirror --name " };
    const { code, asked } = await deploy([LOGGED_IN, BUCKET, listed(EXPIRE, first), removed, removed, ADDED, DEPLOYED]);
    expect(code).toBe(0);
    expect(changes(asked)).toEqual(["r2 bucket lifecycle remove lazy-mirror --name other-abort-multipart", REMOVE_EXPIRE, ADD]);
  });
});
