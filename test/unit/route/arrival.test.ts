import { describe, expect, it } from "vitest";
import { type Network, parseNetwork } from "../../../src/http/network.ts";
import { resolveArrival } from "../../../src/route/arrival.ts";

const TRUSTED = ["127.0.0.1", "10.0.0.0/24", "2001:db8::/64"].map((text) => parseNetwork(text) as Network);

function arrive(headers: Record<string, string>, peer: string | null = "127.0.0.1", trusted: readonly Network[] = TRUSTED) {
  const received = { peer: () => peer, scheme: "http", host: "127.0.0.1:8787" } as const;
  const arrival = resolveArrival(received, new Headers(headers), trusted);
  if ("problem" in arrival) return "refused";
  return arrival;
}
const addressOf = (...given: Parameters<typeof arrive>) => {
  const arrival = arrive(...given);
  return typeof arrival === "string" ? arrival : arrival.address;
};

const CLAIMS = {
  "x-forwarded-for": "192.0.2.9",
  "x-forwarded-proto": "https",
  "x-forwarded-host": "evil.example",
  "x-forwarded-prefix": "/x",
  "x-real-ip": "192.0.2.9",
  "true-client-ip": "192.0.2.9",
  "cf-connecting-ip": "192.0.2.9",
};

describe("a peer that is no trusted proxy is believed nothing", () => {
  it.each([["127.0.0.2"], ["203.0.113.1"], ["::ffff:127.0.0.2"], [null]])("from %j", (peer) => {
    for (const headers of [CLAIMS, { forwarded: "for=192.0.2.9;proto=https;host=evil.example" }]) {
      expect(arrive(headers, peer)).toMatchObject({
        address: peer,
        scheme: "http",
        host: "127.0.0.1:8787",
        isHostStated: false,
        prefix: "",
      });
    }
  });

  it("also where no proxy is trusted", () => {
    expect(arrive(CLAIMS, "127.0.0.1", [])).toMatchObject({ address: "127.0.0.1", scheme: "http", isHostStated: false, prefix: "" });
  });
});

describe("behind a trusted proxy", () => {
  it("the client is the last address that is no trusted proxy's", () => {
    expect(addressOf({ "x-forwarded-for": "192.0.2.9" })).toBe("192.0.2.9");
    expect(addressOf({ "x-forwarded-for": "192.0.2.9" }, "::ffff:127.0.0.1")).toBe("192.0.2.9");
    // The first entry is what the client wrote.
    expect(addressOf({ "x-forwarded-for": "192.0.2.1, 192.0.2.9" })).toBe("192.0.2.9");
    expect(addressOf({ "x-forwarded-for": "192.0.2.1, 192.0.2.9, 10.0.0.7" })).toBe("192.0.2.9");
    expect(addressOf({ "x-forwarded-for": "10.0.0.7" })).toBe("10.0.0.7");
    expect(addressOf({ forwarded: 'for=192.0.2.1, for="[2001:db8:1::9]:77", for="[2001:db8::5]"' })).toBe("2001:db8:1::9");
    expect(addressOf({})).toBe("127.0.0.1");
  });

  it("an address that the proxy hides is not known, and none is taken from further ahead", () => {
    expect(addressOf({ forwarded: "for=192.0.2.1, for=unknown" })).toBeNull();
    expect(addressOf({ "x-forwarded-for": "192.0.2.1, what" })).toBeNull();
  });

  it("two headers that disagree are refused, since the proxy sets only one of them; so is a malformed one", () => {
    expect(addressOf({ forwarded: "for=192.0.2.1", "x-forwarded-for": "192.0.2.9" })).toBe("refused");
    expect(addressOf({ forwarded: "for=192.0.2.9", "x-forwarded-for": "192.0.2.1, ::ffff:192.0.2.9" })).toBe("192.0.2.9");
    expect(addressOf({ forwarded: 'for="192.0.2.1' })).toBe("refused");
  });

  it("scheme, host, port and prefix are those that the proxy states", () => {
    expect(
      arrive({ "x-forwarded-proto": "https", "x-forwarded-host": "a.example", "x-forwarded-port": "8443", "x-forwarded-prefix": "/m/" }),
    ).toEqual({
      address: "127.0.0.1",
      scheme: "https",
      host: "a.example:8443",
      isHostStated: true,
      prefix: "/m",
    });
    expect(arrive({ forwarded: "for=192.0.2.9;proto=https;host=a.example" })).toMatchObject({ scheme: "https", host: "a.example" });
    // The first of the trusted proxies knows by which URL the client came.
    expect(arrive({ "x-forwarded-for": "192.0.2.9, 10.0.0.7", "x-forwarded-proto": "https, http" })).toMatchObject({ scheme: "https" });
    expect(arrive({ "x-forwarded-for": "192.0.2.1, 192.0.2.9", "x-forwarded-proto": "https, http" })).toMatchObject({ scheme: "http" });
    for (const prefix of ["m", "/a/../b", "//evil.example", "/a b", "/"])
      expect(arrive({ "x-forwarded-prefix": prefix })).toMatchObject({ prefix: "" });
  });
});
