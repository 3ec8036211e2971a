import { expect, test } from "vitest";
import { parseConfig } from "../../../../src/config/parse-config.ts";
import { describeOperator, describeServer } from "../../../../src/local/server/announcement.ts";

function describeMirrors(...endpoints: readonly { host: string; port: number }[]): string {
  return describeWith({}, ...endpoints);
}

function describeWith(vars: Record<string, unknown>, ...endpoints: readonly { host: string; port: number }[]): string {
  const parsed = parseConfig({
    ...vars,
    MIRRORS: {
      debian: {
        distro: "debian",
        upstreams: ["http://127.0.0.1:1/debian"],
        hosts: ["debian.lan", "debian.*", "::2", "deb.example/debian"],
      },
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

test("an IPv6 address stands in brackets, and all endpoints are printed", () => {
  const text = describeMirrors({ host: "::1", port: 80 }, { host: "127.0.0.1", port: 81 });
  expect(text).toContain("[::1]:80, 127.0.0.1:81");
  expect(text).toContain("http://[::1]:80/fedora/");
});

test("the hosts of a mirror are printed with the port they answer on", () => {
  const text = describeMirrors({ host: "::1", port: 81 });
  for (const url of ["http://debian.lan:81/", "http://debian.<domain>:81/", "http://[::2]:81/", "http://deb.example:81/debian/"])
    expect(text).toContain(url);
});

test.each([
  [".lazy-mirror", { host: "127.0.0.1", port: 8787 }, "npm run mirror -- status"],
  [".lazy-mirror", { host: "0.0.0.0", port: 8787 }, "npm run mirror -- status"],
  [".lazy-mirror", { host: "::", port: 80 }, "npm run mirror -- --server http://[::1]:80 status"],
  [
    "/srv/it's here",
    { host: "192.0.2.1", port: 8787 },
    String.raw`npm run mirror -- --server http://192.0.2.1:8787 --state '/srv/it'\''s here' status`,
  ],
])("the operator's command for the state folder %s at %o reaches it", (state, endpoint, command) => {
  expect(describeOperator(state, [endpoint])).toBe(command);
});

test("the operator's command names the host that only the operator's pages have", () => {
  const command = describeOperator(".lazy-mirror", [{ host: "0.0.0.0", port: 8787 }], "admin.lan");
  expect(command).toBe("npm run mirror -- --server http://admin.lan:8787 status");
});

test("clients are shown the public URL, or the server's name, and never a name that only a proxy on this machine answers for", () => {
  const everywhere = { host: "0.0.0.0", port: 8787 };
  const names = { SERVER_NAMES: ["mirror.lan"] };
  expect(describeWith(names, everywhere)).toContain("http://mirror.lan:8787/debian/");
  expect(describeWith(names, { host: "127.0.0.1", port: 8787 })).toContain("http://127.0.0.1:8787/debian/");
  const text = describeWith({ ...names, PUBLIC_URL: "https://www.example/pkg/" }, everywhere);
  expect(text).toContain("deb https://www.example/pkg/debian <suite> main");
  expect(text).toContain("Health: http://box:8787/-/health");
});
