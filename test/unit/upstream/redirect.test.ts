import { describe, expect, test } from "vitest";
import type { Mirror } from "../../../src/config/config.ts";
import { isPrivateHost, resolveRedirect } from "../../../src/upstream/redirect.ts";

function mirrorOf(upstreams: readonly string[], redirectHosts: readonly string[] = []): Mirror {
  return {
    name: "fedora",
    hosts: [],
    distro: undefined,
    upstreams: upstreams.map((url) => ({ url, authorization: undefined })),
    redirectHosts,
    allowedQuery: [],
    classes: [],
  };
}

function follow(location: string | null, upstream = "http://one.example/pub", redirectHosts: readonly string[] = []): string {
  const mirror = mirrorOf([upstream, "https://two.example:8443/f"], redirectHosts);
  const redirected = resolveRedirect(location, new URL(`${upstream}/a/b.rpm`), mirror, upstream);
  return redirected.kind === "to" ? redirected.url.href : "refused";
}

describe("a redirect is followed", () => {
  test.each([
    ["to a relative path", "../c.rpm?x=1#y", "http://one.example/pub/c.rpm?x=1"],
    ["to an absolute path", "/c.rpm", "http://one.example/c.rpm"],
    ["to the same host", "http://one.example/c", "http://one.example/c"],
    ["from http to https of the same host", "https://one.example/c", "https://one.example/c"],
    ["to another upstream of the mirror, at its port", "https://two.example:8443/c", "https://two.example:8443/c"],
  ])("%s", (_, location, expected) => {
    expect(follow(location)).toBe(expected);
  });

  test.each([
    ["cdn.example", "http://cdn.example/x"],
    ["cdn.example:8080", "http://cdn.example:8080/x"],
    ["*.cdn.example", "https://eu.west.cdn.example/x"],
    ["CDN.example", "http://cdn.example/x"],
  ])("to what redirectHosts %s allows", (pattern, location) => {
    expect(follow(location, "http://one.example", [pattern])).toBe(location);
  });

  test("to loopback where the upstream itself lies there", () => {
    expect(follow("http://127.0.0.1:81/x", "http://127.0.0.1:80", ["127.0.0.1:81"])).toBe("http://127.0.0.1:81/x");
  });
});

describe("a redirect is refused", () => {
  test.each([
    ["without Location", null],
    ["to no URL", "http://["],
    ["to another scheme", "ftp://one.example/x"],
    ["to a file", "file:///etc/passwd"],
    ["to another host", "http://evil.example/x"],
    ["to another port of the same host", "http://one.example:8080/x"],
    ["to another upstream's host at another port", "https://two.example/x"],
    ["with credentials", "http://user:secret@one.example/x"],
    ["to a host that only begins like an allowed one", "http://one.example.evil.example/x"],
  ])("%s", (_, location) => {
    expect(follow(location)).toBe("refused");
  });

  test("from https back to http", () => {
    expect(follow("http://one.example/x", "https://one.example")).toBe("refused");
    expect(follow("http://cdn.example/x", "https://one.example", ["cdn.example"])).toBe("refused");
  });

  test("to what redirectHosts does not quite allow", () => {
    expect(follow("http://cdn.example/x", "http://one.example", ["*.cdn.example"])).toBe("refused");
    expect(follow("http://evilcdn.example/x", "http://one.example", ["*.cdn.example"])).toBe("refused");
    expect(follow("http://cdn.example:81/x", "http://one.example", ["cdn.example"])).toBe("refused");
  });

  test.each(["127.0.0.1", "10.1.2.3", "[::1]", "169.254.169.254", "localhost", "0x7f.1"])(
    "to the private address %s though it is listed",
    (host) => {
      expect(follow(`http://${host}/x`, "http://one.example", ["127.0.0.1", host])).toBe("refused");
    },
  );
});

test.each([
  ["127.0.0.1", true],
  ["172.31.0.1", true],
  ["172.32.0.1", false],
  ["100.64.0.1", true],
  ["192.0.2.1", true],
  ["198.19.0.1", true],
  ["8.8.8.8", false],
  ["255.255.255.255", true],
  ["[::]", true],
  ["[fe80::1]", true],
  ["[fd00::1]", true],
  ["[::ffff:7f00:1]", true],
  ["[2002:7f00:1::]", true],
  ["[64:ff9b::7f00:1]", true],
  ["[2606:4700::1111]", false],
  ["localhost.", true],
  ["a.localhost", true],
  ["mirror.example", false],
])("%s is private: %s (RFC 6890)", (host, expected) => {
  expect(isPrivateHost(host)).toBe(expected);
});
