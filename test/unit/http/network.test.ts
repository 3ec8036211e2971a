import { describe, expect, it } from "vitest";
import { isInNetwork, parseNetwork, type Network } from "../../../src/http/network.ts";

describe("a network", () => {
  it.each([
    ["192.0.2.0/24", "192.0.2.255", true],
    ["192.0.2.0/24", "192.0.3.0", false],
    ["192.0.2.128/25", "192.0.2.127", false],
    ["192.0.2.7", "192.0.2.7", true],
    ["192.0.2.7", "192.0.2.6", false],
    ["0.0.0.0/0", "203.0.113.9", true],
    ["0.0.0.0/0", "2001:db8::1", false],
    ["2001:db8::/32", "2001:DB8:ffff::1", true],
    ["2001:db8::/33", "2001:db8:8000::1", false],
    ["::1", "0:0:0:0:0:0:0:1", true],
    ["192.0.2.0/24", "::ffff:192.0.2.9", true],
    ["192.0.2.0/24", "::ffff:c000:209", true],
    ["::ffff:192.0.2.0/120", "192.0.2.9", false],
    ["192.0.2.0/24", "", false],
    ["192.0.2.0/24", "192.0.2.9, 10.0.0.1", false],
    ["192.0.2.0/24", "192.0.2.09", false],
    ["192.0.2.0/24", "3221225993", false],
    ["192.0.2.0/24", "0xc0.0.2.9", false],
    ["192.0.2.0/24", "[::ffff:192.0.2.9]", false],
  ])("%s and %s", (network, address, expected) => {
    const parsed = parseNetwork(network);
    expect(parsed === null ? false : isInNetwork(address, parsed satisfies Network)).toBe(expected);
  });

  it.each([
    "",
    "192.0.2",
    "192.0.2.1/24",
    "192.0.2.0/33",
    "192.0.2.256",
    "2001:db8::/129",
    "2001:db8::1/32",
    "fe80::1%eth0",
    "a/8",
    "1.2.3.4/",
    "::/x",
  ])("%j is none", (text) => {
    expect(parseNetwork(text)).toBeNull();
  });
});
