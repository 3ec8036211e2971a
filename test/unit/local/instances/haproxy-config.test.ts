import { describe, expect, it } from "vitest";
import { haproxyConfig, type HaproxyOptions } from "../../../../src/local/instances/haproxy-config.ts";

const OPTIONS: HaproxyOptions = {
  bind: ":80",
  peerBind: "127.0.0.1:8780",
  announcer: "127.0.0.1:8780",
  instances: [
    { name: "1", address: "127.0.0.1:8781" },
    { name: "2", address: "127.0.0.1:8782" },
  ],
  hosts: [],
  trusted: [],
  threads: 1,
  graceSeconds: 8,
};

describe("haproxy's configuration", () => {
  it("looks at a whole host after a first label, so that the whole one wins, and puts the mirror's name in front of the path", () => {
    const lines = haproxyConfig({
      ...OPTIONS,
      hosts: [
        ["fedora", ["fedora.lan"]],
        ["other", ["fedora.*"]],
      ],
    });
    const [label, whole] = [lines.indexOf("str(/other) if { var(txn.host) -m beg fedora. }"), lines.indexOf("str(/fedora) if")];
    expect(label).toBeGreaterThan(0);
    expect(whole).toBeGreaterThan(label);
    expect(lines).toContain("{ var(txn.host) -m reg ^fedora[.]lan(:[0-9]+)?$ }");
  });
});
