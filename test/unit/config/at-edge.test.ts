import { expect, test } from "vitest";
import { problemsAtEdge } from "../../../src/config/config.ts";
import { parseConfig } from "../../../src/config/parse-config.ts";

function parse(vars: Readonly<Record<string, unknown>>) {
  const parsed = parseConfig({ MIRRORS: { m: { upstreams: ["file:///srv/my%20tree/", "https://one.example"] } }, ...vars });
  if (!parsed.ok) throw new Error(parsed.problems.join("\n"));
  return parsed.config;
}

test("a local folder is an upstream of one machine alone", () => {
  const config = parse({});
  expect(config.mirrors.get("m")?.upstreams.map(({ url }) => url)).toEqual(["file:///srv/my%20tree", "https://one.example"]);
  expect(problemsAtEdge(config)).toEqual([
    expect.stringContaining("Cannot use MIRRORS.m.upstreams file:///srv/my%20tree: Cloudflare reaches no"),
  ]);
});

test("offline nothing goes by its age", () => {
  expect(parse({ OFFLINE: true, RETENTION_DAYS: 1 })).toMatchObject({ offline: true, retentionDays: 36_500 });
  expect(parse({ OFFLINE: "false", RETENTION_DAYS: 1 })).toMatchObject({ offline: false, retentionDays: 1 });
  expect(parseConfig({ MIRRORS: { m: { upstreams: ["https://x.example"] } }, OFFLINE: "yes" })).toMatchObject({
    problems: ['Cannot use OFFLINE "yes": use true or false'],
  });
});
