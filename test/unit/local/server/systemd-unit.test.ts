import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../../../..");

test("the systemd unit starts Node as `npm start` does, with a cache that its user may write", () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const unit = readFileSync(join(ROOT, "docs/systemd/lazy-mirror.service"), "utf8");
  const [, variable = "", command = ""] = /^(\w+)=\S+ exec (node .*main\.ts)$/.exec(scripts["start"] ?? "") ?? [];
  expect(unit).toContain(`/${command} `);
  const [, folder = ""] = new RegExp(`^Environment=${variable}=/var/cache/(\\S+)$`, "m").exec(unit) ?? [];
  expect(unit).toContain(`\nCacheDirectory=${folder}\n`);
});
