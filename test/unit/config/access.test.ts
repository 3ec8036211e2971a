import { describe, expect, it } from "vitest";
import { parseConfig } from "../../../src/config/parse-config.ts";
import { judgeAccess } from "../../../src/route/access.ts";

function parse(access: unknown) {
  return parseConfig({ MIRRORS: { one: { upstreams: ["http://one.example/"], access } } });
}

function accessOf(written: unknown) {
  const parsed = parse(written);
  const access = parsed.ok ? parsed.config.mirrors.get("one")?.access : undefined;
  if (access === undefined) throw new Error("no access");
  return access;
}

describe("access to a mirror", () => {
  it("is everyone's where nothing is said", () => {
    const parsed = parse(undefined);
    expect(parsed.ok && parsed.config.mirrors.get("one")).not.toHaveProperty("access");
  });

  it.each([
    [{}, "name users, networks or both"],
    [{ users: { alice: "short" } }, "use at least 8 characters"],
    [{ users: { "a:b": "correct horse" } }, "name a user without colon"],
    [{ networks: ["192.0.2.1/24"] }, "use an address or a network such as"],
    [{ network: ["192.0.2.0/24"] }, "did you mean networks?"],
  ])("refuses %j", (access, wanted) => {
    const parsed = parse(access);
    expect(parsed.ok ? "" : parsed.problems.join("\n")).toContain(wanted);
  });

  it("never shows a password, not in a problem either", () => {
    const parsed = parse({ users: { alice: "hunter2", bob: 12_345_678 } });
    expect(parsed.ok ? "" : parsed.problems.join("\n")).toContain("(hidden)");
    expect(JSON.stringify(parsed)).not.toMatch(/hunter2|12345678/);
  });

  const authorization = `Basic ${Buffer.from("alice:correct horse").toString("base64")}`;
  const networks = ["192.0.2.0/24"];
  const users = { alice: "correct horse" };
  it.each([
    ["networks, from one", { networks }, null, "192.0.2.9", "allowed"],
    ["networks, from elsewhere, with a password", { networks }, authorization, "203.0.113.9", "forbidden"],
    ["networks, where no address is known", { networks }, null, null, "forbidden"],
    ["users, with a password", { users }, authorization, "203.0.113.9", "allowed"],
    ["users, without", { users }, null, "192.0.2.9", "unauthorised"],
    ["both, from a network", { users, networks }, null, "192.0.2.9", "allowed"],
    ["both, with a password from elsewhere", { users, networks }, authorization, "203.0.113.9", "allowed"],
    ["both, with neither", { users, networks }, "Bearer correct-horse", "203.0.113.9", "unauthorised"],
  ])("with %s", async (_, access, given, address, expected) => {
    expect(await judgeAccess(accessOf(access), given, address)).toBe(expected);
  });
});
