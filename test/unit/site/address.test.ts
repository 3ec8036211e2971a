import { describe, expect, it } from "vitest";
import type { Mirror } from "../../../src/config/config.ts";
import { parseConfig } from "../../../src/config/parse-config.ts";
import { mirrorAddress } from "../../../src/site/address.ts";

const parsed = parseConfig({
  MIRRORS: {
    fedora: { hosts: ["fedora.example.com", "fedora.*"], upstreams: ["http://one.example/f"] },
    debian: { hosts: ["debian.*"], upstreams: ["http://one.example/d"] },
    plain: { upstreams: ["http://one.example/p"] },
  },
});
if (!parsed.ok) throw new Error(parsed.problems.join());
const { mirrors } = parsed.config;
const own = { mirrors, ownHosts: ["192.0.2.7", "box"] };

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
  ])("is never built from %j", (authority) => {
    expect(address("fedora", authority)).toBeNull();
  });
});
