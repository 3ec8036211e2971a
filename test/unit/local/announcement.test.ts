import { expect, test } from "vitest";
import { parseConfig } from "../../../src/config/parse-config.ts";
import { describeServer } from "../../../src/local/announcement.ts";

function describeMirrors(...endpoints: readonly { host: string; port: number }[]): string {
  const parsed = parseConfig({
    MIRRORS: {
      debian: { distro: "debian", upstreams: ["http://127.0.0.1:1/debian"] },
      fedora: { distro: "fedora", upstreams: ["http://127.0.0.1:1/fedora"] },
    },
  });
  if (!parsed.ok) throw new Error(parsed.problems.join("\n"));
  return describeServer(parsed.config, endpoints, "box");
}

test("a server that starts says how to point apt and dnf at it", () => {
  const text = describeMirrors({ host: "127.0.0.1", port: 8787 });
  expect(text).toContain("deb http://127.0.0.1:8787/debian <suite> main");
  expect(text).toContain("baseurl=http://127.0.0.1:8787/fedora/");
  expect(text).toContain("http://127.0.0.1:8787/-/health");
});

test("a server on every address is named as the machine is", () => {
  expect(describeMirrors({ host: "::", port: 80 })).toContain("http://box:80/debian/");
});

test("an IPv6 address stands in brackets, and all endpoints are told", () => {
  const text = describeMirrors({ host: "::1", port: 80 }, { host: "127.0.0.1", port: 81 });
  expect(text).toContain("[::1]:80, 127.0.0.1:81");
  expect(text).toContain("http://[::1]:80/fedora/");
});
