import { describe, expect, it } from "vitest";
import type { Mirror } from "../../../src/config/config.ts";
import { parseConfig } from "../../../src/config/parse-config.ts";
import { mirrorAddress, type OwnNames, siteAddress, type Visit } from "../../../src/site/address.ts";

const parsed = parseConfig({
  MIRRORS: {
    fedora: { hosts: ["fedora.example.com", "fedora.*"], upstreams: ["http://one.example/f"] },
    debian: { hosts: ["debian.*"], upstreams: ["http://one.example/d"] },
    plain: { upstreams: ["http://one.example/p"] },
  },
});
if (!parsed.ok) throw new Error(parsed.problems.join());
const { mirrors } = parsed.config;
const own = { mirrors, serverNames: [], ownHosts: ["192.0.2.7", "box"] };

function address(name: string, authority: string, scheme: "http" | "https" = "http"): string | null {
  return mirrorAddress(mirrors.get(name) as Mirror, { authority, scheme }, own);
}

describe("a mirror's address is built from the visitor's host", () => {
  it.each([
    ["fedora", "127.0.0.1:8787", "http://127.0.0.1:8787/fedora"],
    ["fedora", "[::1]:8787", "http://[::1]:8787/fedora"],
    ["fedora", "LocalHost", "http://localhost/fedora"],
    ["plain", "192.0.2.7:80", "http://192.0.2.7/plain"],
    ["plain", "box:8787", "http://box:8787/plain"],
    ["plain", "lazy-mirror.me.workers.dev", "http://lazy-mirror.me.workers.dev/plain"],
    ["fedora", "fedora.example.com", "http://fedora.example.com"],
    ["fedora", "Fedora.Lan.:81", "http://fedora.lan:81"],
    ["debian", "fedora.lan:81", "http://debian.lan:81"],
    ["fedora", "debian.lan", "http://fedora.example.com"],
  ])("%s as seen from %s", (name, authority, expected) => {
    expect(address(name, authority)).toBe(expected);
  });

  it("keeps https, and drops its usual port", () => {
    expect(address("plain", "x.workers.dev:443", "https")).toBe("https://x.workers.dev/plain");
  });

  it("has no name on workers.dev but at the edge", () => {
    const visit = { authority: "evil.workers.dev", scheme: "http" } as const;
    expect(mirrorAddress(mirrors.get("plain") as Mirror, { ...visit, isAtEdge: false }, own)).toBeNull();
    expect(mirrorAddress(mirrors.get("plain") as Mirror, { ...visit, isAtEdge: true }, own)).toBe("http://evil.workers.dev/plain");
  });

  it("is not known on another mirror's host where the mirror has none", () => {
    expect(address("plain", "fedora.lan")).toBeNull();
  });

  it.each([
    "evil.example",
    "",
    "127.0.0.1.evil.example",
    "workers.dev.evil.example",
    "fedora.lan@evil.example",
    "$(id).workers.dev",
    "a'b.workers.dev",
    "fedora.lan\n",
    "fedora.lan:80;id",
    "fedora.`id`",
  ])("is never built from %j, but from a host of the configuration", (authority) => {
    expect(address("fedora", authority)).toBe("http://fedora.example.com");
    expect(address("plain", authority)).toBeNull();
  });
});

describe("with names of the server's own", () => {
  const parsedAgain = parseConfig({
    SERVER_NAMES: ["mirror.lan", "box.lan"],
    MIRRORS: {
      debian: { hosts: ["deb.example/debian", "debian.*"], upstreams: ["http://one.example/d"] },
      security: { hosts: ["deb.example/debian-security"], upstreams: ["http://one.example/s"] },
      plain: { upstreams: ["http://one.example/p"] },
    },
  });
  if (!parsedAgain.ok) throw new Error(parsedAgain.problems.join());
  const names = { ...parsedAgain.config, ownHosts: ["192.0.2.7"] };
  const publicUrl = { url: "https://www.example/pkg", host: "www.example", path: "/pkg" };
  const behind = { ...names, publicUrl, serverNames: [...names.serverNames, "www.example"] };
  const find = (name: string, visit: Visit, known: OwnNames = names) => mirrorAddress(known.mirrors.get(name) as Mirror, visit, known);
  const by = (authority: string, scheme: "http" | "https" = "http"): Visit => ({ authority, scheme });

  it.each([
    ["debian", "box.lan:8787", "http://box.lan:8787/debian"],
    ["plain", "box.lan:8787", "http://box.lan:8787/plain"],
    ["debian", "deb.example", "http://deb.example/debian"],
    ["security", "deb.example", "http://deb.example/debian-security"],
    // This host has no such mirror.
    ["plain", "deb.example:8787", "http://mirror.lan:8787/plain"],
    ["plain", "evil.example:8787", "http://mirror.lan:8787/plain"],
    ["plain", "evil;id", "http://mirror.lan/plain"],
    ["plain", "192.0.2.7", "http://192.0.2.7/plain"],
  ])("%s as seen from %s", (name, authority, expected) => {
    expect(find(name, by(authority))).toBe(expected);
  });

  it.each([
    ["plain", "127.0.0.1:8787", "https://www.example/pkg/plain"],
    ["plain", "www.example", "https://www.example/pkg/plain"],
    ["plain", "evil.example", "https://www.example/pkg/plain"],
    // Who comes by another name of the server, or by a mirror's own, can go on by it.
    ["plain", "mirror.lan:8787", "http://mirror.lan:8787/plain"],
    ["debian", "debian.lan", "http://debian.lan"],
    ["plain", "debian.lan", "https://www.example/pkg/plain"],
  ])("%s as seen from %s where there is a public URL", (name, authority, expected) => {
    expect(find(name, by(authority), behind)).toBe(expected);
    const site = siteAddress(by(authority), behind);
    expect(site).toBe(authority.startsWith("debian.") ? "http://debian.lan" : expected.replace(/\/(plain|debian)$/, ""));
  });

  it("a host and prefix that a trusted proxy states are ours", () => {
    const visit = { authority: "any.example:8443", scheme: "https", isStated: true, prefix: "/m" } as const;
    expect(find("plain", visit)).toBe("https://any.example:8443/m/plain");
    expect(siteAddress(visit, names)).toBe("https://any.example:8443/m");
  });
});
