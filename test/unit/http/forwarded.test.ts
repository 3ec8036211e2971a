import { describe, expect, it } from "vitest";
import { parseForwarded, parseNode, parseXForwarded } from "../../../src/http/forwarded.ts";

describe("Forwarded (RFC 7239)", () => {
  it("reads the examples of RFC 7239 §4 and §7.1", () => {
    expect(parseForwarded('for="_gazonk"')).toEqual([{ address: null, scheme: null, host: null }]);
    expect(parseForwarded('For="[2001:db8:cafe::17]:4711"')).toEqual([{ address: "2001:db8:cafe::17", scheme: null, host: null }]);
    expect(parseForwarded("for=192.0.2.60;proto=http;by=203.0.113.43")).toEqual([{ address: "192.0.2.60", scheme: "http", host: null }]);
    expect(parseForwarded("for=192.0.2.43, for=198.51.100.17")?.map(({ address }) => address)).toEqual(["192.0.2.43", "198.51.100.17"]);
    expect(parseForwarded('for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown')?.map(({ address }) => address)).toEqual([
      "192.0.2.43",
      "2001:db8:cafe::17",
      null,
    ]);
  });

  it("reads quoted values, empty elements and any order", () => {
    expect(parseForwarded(' , host="a.example:80" ; proto=HTTPS;for="192.0.2.1:99" ,, ')).toEqual([
      { address: "192.0.2.1", scheme: "https", host: "a.example:80" },
    ]);
    expect(parseForwarded('host="a\\"b,c";for=192.0.2.1')).toEqual([{ address: "192.0.2.1", scheme: null, host: 'a"b,c' }]);
    expect(parseForwarded("")).toEqual([]);
  });

  it.each(['for="192.0.2.1', "for", "for=a b", 'for="a"b', "=x", "for=192.0.2.1 for=192.0.2.2", "\u{1f600}"])(
    "%j is malformed",
    (header) => {
      expect(parseForwarded(header)).toBeNull();
    },
  );
});

describe("X-Forwarded-*", () => {
  it("the last entries of shorter lists belong to the last proxies", () => {
    expect(parseXForwarded({ for: "192.0.2.1, 192.0.2.2", proto: "https", host: "a.example, b.example" })).toEqual([
      { address: "192.0.2.1", scheme: "https", host: "a.example" },
      { address: "192.0.2.2", scheme: "https", host: "b.example" },
    ]);
    expect(parseXForwarded({ for: null, proto: "https", host: null })).toEqual([{ address: null, scheme: "https", host: null }]);
    expect(parseXForwarded({ for: null, proto: null, host: null })).toEqual([]);
  });

  it.each([
    ["192.0.2.1:443", "192.0.2.1"],
    ["2001:db8::1", "2001:db8::1"],
    ["[2001:db8::1]", "2001:db8::1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["[::ffff:192.0.2.1]:80", "192.0.2.1"],
    ["unknown", null],
    ["", null],
    ["192.0.2.1 x", null],
  ])("the address of %j is %j", (text, address) => {
    expect(parseNode(text)).toBe(address);
  });
});
