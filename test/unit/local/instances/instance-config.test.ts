import { describe, expect, it } from "vitest";
import { parseConfig } from "../../../../src/config/parse-config.ts";
import { basicAuthorization, instanceVars } from "../../../../src/local/instances/instance-config.ts";
import { createVia } from "../../../../src/upstream/via.ts";

const VARS = {
  BUDGET_GB: 10,
  METADATA_TTL_SECONDS: 30,
  MIRRORS: { fedora: { upstreams: ["https://one.example/fedora"], budget_gb: 4 } },
  MIRRORS_PRIVATE: JSON.stringify({ own: { upstreams: ["https://own.example/"], access: { users: { alice: "password 1" } } } }),
};
const share = (name: string) => ({ name, count: 4, peers: "127.0.0.1:8780", secret: "a secret of the instances" });

function configOf(name: string) {
  const parsed = parseConfig(instanceVars(VARS, share(name)));
  if (!parsed.ok) throw new Error(parsed.problems.join("\n"));
  return parsed.config;
}

describe("the configuration of one instance", () => {
  const { mirrors, budgetBytes, metadataTtlSeconds } = configOf("2");

  it("has its part of each budget, and all else as the operator wrote it", () => {
    expect(budgetBytes).toBe(2.5e9);
    expect(metadataTtlSeconds).toBe(30);
    expect(instanceVars(VARS, share("2"))).toMatchObject({ MIRRORS: { fedora: { budget_gb: 1 } } });
    expect(instanceVars({}, share("2"), 1000 * 1_048_576)).toEqual({
      BUDGET_GB: 2.25,
      HOT_MIB: 10,
      SCRUB_KIB_PER_SECOND: 256,
      TRUSTED_PROXIES: ["127.0.0.1"],
    });
    expect(instanceVars({ TRUSTED_PROXIES: ["10.0.0.1"] }, share("2"))).toMatchObject({ TRUSTED_PROXIES: ["10.0.0.1", "127.0.0.1"] });
    expect(instanceVars({ HOT_MIB: 100, SCRUB_KIB_PER_SECOND: 0 }, share("2"))).toMatchObject({ HOT_MIB: 25, SCRUB_KIB_PER_SECOND: 0 });
  });

  it("asks the other instances before the upstreams", () => {
    expect(mirrors.get("fedora")?.upstreams.map(({ url }) => url)).toEqual([
      "http://127.0.0.1:8780/from/2/fedora",
      "https://one.example/fedora",
    ]);
  });

  it("lets the instances read a mirror that is not open to everyone, beside its users", () => {
    const own = mirrors.get("own");
    expect(own?.upstreams[0]?.authorization).toBe(basicAuthorization("a secret of the instances"));
    expect([...(own?.access?.users ?? [])]).toEqual([
      ["alice", "password 1"],
      ["instances", "a secret of the instances"],
    ]);
    expect(mirrors.get("fedora")?.access).toBeUndefined();
  });

  it("gives each instance another name in Via: one that another one asks must not take the request for its own", () => {
    const via = createVia(configOf("1")).headerFor("fedora/x");
    expect(createVia(configOf("2")).refuse(via)).toBeNull();
    expect(createVia(configOf("1")).refuse(via)).not.toBeNull();
  });
});
