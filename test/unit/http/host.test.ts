import { describe, expect, it } from "vitest";
import { parseHost } from "../../../src/http/host.ts";

describe("the host of an authority", () => {
  it.each([
    ["mirror.example.com", "mirror.example.com"],
    ["MIRROR.Example.COM:8787", "mirror.example.com"],
    ["mirror.example.com.", "mirror.example.com"],
    ["mirror.example.com.:80", "mirror.example.com"],
    ["localhost:", "localhost"],
    ["10.0.0.7:80", "10.0.0.7"],
    ["[2001:DB8:0:0::1]:8787", "[2001:db8::1]"],
    [`${"a.".repeat(126)}a`, `${"a.".repeat(126)}a`],
  ])("%s is %s", (authority, host) => {
    expect(parseHost(authority)).toBe(host);
  });

  it.each([
    "",
    ".",
    "a b",
    "a,b",
    "a..b",
    "user@fedora.lan",
    "fedora.lan/x",
    "fedora.lan:x",
    "fedora.lan:80:80",
    "fedora.lan:65536",
    "fedora.lan:99999",
    "[::1",
    "[::g]",
    "é.lan",
  ])("%s is none", (authority) => {
    expect(parseHost(authority)).toBeNull();
  });

  it("longer than DNS carries is none", () => {
    expect(parseHost(`${"a.".repeat(126)}ab`)).toBeNull();
  });
});
