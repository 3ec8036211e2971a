import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Distro, HostPattern, Mirror } from "../../../src/config/config.ts";
import { type RequestTarget, routeRequest } from "../../../src/route/route-request.ts";

const exact = (host: string, folder = ""): HostPattern => ({ kind: "exact", host, folder });
const label = (name: string, folder = ""): HostPattern => ({ kind: "label", label: name, folder });

function createMirror(
  name: string,
  hosts: readonly HostPattern[],
  distro?: Distro,
  allowedQuery: readonly string[] = [],
): [string, Mirror] {
  return [name, { name, hosts, distro, upstreams: [], redirectHosts: [], allowedQuery, classes: [] }];
}

const MIRRORS = new Map([
  createMirror("debian", [label("debian"), exact("fedora.special.example")], "debian"),
  createMirror("fedora", [exact("mirror.example.com"), label("fedora"), exact("[2001:db8::1]"), exact("10.0.0.7")], "fedora"),
  createMirror("koji", [label("kojipkgs")], "koji"),
  createMirror("api", [], undefined, ["version", "arch"]),
]);

function route(url: string, host?: string, more: Partial<RequestTarget> = {}) {
  return routeRequest({ mirrors: MIRRORS, serverNames: [] }, { url, host, ...more });
}

/** The key that a request names, or its status, or the site's path. */
function outcome(url: string, host?: string, more: Partial<RequestTarget> = {}): string | number {
  const routed = route(url, host, more);
  if (routed.kind === "mirror") return routed.target.key;
  return routed.kind === "site" ? `site ${routed.path}` : routed.status;
}

describe("the host picks the mirror", () => {
  it.each([
    ["mirror.example.com", "fedora/x.rpm"],
    ["MIRROR.Example.COM", "fedora/x.rpm"],
    ["mirror.example.com:8787", "fedora/x.rpm"],
    ["mirror.example.com.", "fedora/x.rpm"],
    ["mirror.example.com.:80", "fedora/x.rpm"],
    ["fedora.lan", "fedora/x.rpm"],
    ["fedora.anything.example.net", "fedora/x.rpm"],
    ["debian.lan", "debian/x.rpm"],
    ["[2001:db8::1]", "fedora/x.rpm"],
    ["[2001:DB8:0:0::1]:8787", "fedora/x.rpm"],
    ["10.0.0.7:80", "fedora/x.rpm"],
    // A whole name wins over a first label, wherever it is configured.
    ["fedora.special.example", "debian/x.rpm"],
    ["fedora", 404],
    ["xfedora.lan", 404],
    ["notmirror.example.com", 404],
    ["other.example", 404],
  ])("%s gives %s", (host, expected) => {
    expect(outcome("/x.rpm", host)).toBe(expected);
  });

  it("refuses what is no host", () => {
    for (const host of [
      "a b",
      "a,b",
      "user@fedora.lan",
      "fedora.lan/x",
      "[::1",
      "a..b",
      "fedora.lan:x",
      "fedora.lan:80:80",
      "é.lan",
      ".",
    ]) {
      expect(outcome("/x", host)).toBe(400);
    }
  });

  it("on any other host the first folder does", () => {
    for (const host of ["localhost:8787", "lazy-mirror.me.workers.dev", "other.example", "127.0.0.1", "[::1]:80", "", undefined]) {
      expect(outcome("/fedora/a/x.rpm", host)).toBe("fedora/a/x.rpm");
      expect(outcome("//fedora//a/x.rpm", host)).toBe("fedora/a/x.rpm");
      expect(outcome("/fedora/", host)).toBe("fedora/");
      expect(outcome("/fedora", host)).toBe("fedora/");
    }
  });

  it("is noted where no slash follows its name: relative links of its listing would lead past it", () => {
    const isBareTop = (url: string, host: string) => {
      const routed = route(url, host);
      return routed.kind === "mirror" && routed.bareTop === "fedora";
    };
    for (const url of ["/fedora", "//fedora", "/fedora?x=1", "/%66edora"]) expect(isBareTop(url, "localhost")).toBe(true);
    for (const url of ["/fedora/", "/fedora//", "/fedora/.", "/fedora/x", "/"]) expect(isBareTop(url, "localhost")).toBe(false);
    for (const url of ["/", "/fedora"]) expect(isBareTop(url, "fedora.lan")).toBe(false);
  });

  it("on a mapped host the first folder is one like others", () => {
    expect(outcome("/debian/x", "fedora.lan")).toBe("fedora/debian/x");
    expect(outcome("/", "fedora.lan")).toBe("fedora/");
  });

  it("the names of objects built in are no mirrors", () => {
    for (const name of ["constructor", "__proto__", "toString", "%2d", "FEDORA"]) expect(outcome(`/${name}/x`)).toBe(404);
  });
});

describe("the Host header", () => {
  it("has to be a host in any case, but says nothing beside a target in absolute form (RFC 9112 §3.2)", () => {
    expect(outcome("http://debian.lan/x", "fedora.lan")).toBe("debian/x");
    for (const host of ["x/-/status?", "a@b", "x#", "[::1", "a:65536", "a b"]) {
      for (const url of ["/debian/x", "/-/health", "http://debian.lan/x", "http://debian.lan/-/health"])
        expect(outcome(url, host)).toBe(400);
    }
  });

  it("is required where the server knows that its clients send it", () => {
    for (const url of ["/debian/x", "/-/status", "/", "http://debian.lan/x"]) {
      for (const host of [undefined, ""]) expect(outcome(url, host, { isHostRequired: true })).toBe(400);
      expect(outcome(url, "localhost", { isHostRequired: true })).not.toBe(400);
    }
  });

  it("on workers.dev is ours only where Cloudflare hands requests over", () => {
    const proxied = (isAtEdge: boolean) => outcome("http://evil.workers.dev/debian/x", "localhost", { absoluteForm: true, isAtEdge });
    expect([proxied(true), proxied(false)]).toEqual(["debian/x", 421]);
  });

  it("with its port, or the target's, is what pages know of the visitor's address", () => {
    const authority = (url: string, host?: string) => {
      const routed = route(url, host);
      return routed.kind === "site" ? routed.authority : null;
    };
    expect(authority("/-/setup", "fedora.lan:81")).toBe("fedora.lan:81");
    expect(authority("http://fedora.lan:82/-/setup", "localhost")).toBe("fedora.lan:82");
    expect(authority("/-/setup")).toBe("");
  });
});

describe("the operator's pages on a host of their own", () => {
  const OPERATOR_HOSTS = ["admin.lan", "[2001:db8::5]"];
  const on = (url: string, host: string) => outcome(url, host, { operatorHosts: OPERATOR_HOSTS });
  const PAGES = [
    "status",
    "status.json",
    "status.js",
    "metrics",
    "why/fedora/x",
    "why.json/fedora/x",
    "ledger",
    "ledger/",
    "ledger/objects",
    "new-page",
  ];
  /** Other spellings of the same page: the pages' own routes see one. */
  const spell = (page: string) => [`/-/${page}`, `/-//${page}`, `/-/./${page}`, `/-/%${page.charCodeAt(0).toString(16)}${page.slice(1)}`];

  it("are there, and nowhere else", () => {
    for (const url of PAGES.flatMap(spell)) {
      for (const host of ["admin.lan", "ADMIN.lan.:8787", "[2001:DB8::5]:80"]) expect(on(url, host)).toBe(`site ${url}`);
      for (const host of ["fedora.lan", "localhost", "other.example", "xadmin.lan"]) expect(on(url, host)).toBe(421);
    }
  });

  it("are alone there", () => {
    for (const url of ["/", "/fedora/x", "/x", "/-/", "/-/setup", "/-/setup/fedora.sh", "/-/metalink/fedora/x", "/-/mirrorlist/x", "/-x"]) {
      expect(on(url, "admin.lan")).toBe(421);
      expect(on(url, "localhost")).not.toBe(421);
    }
  });

  it("leave /-/health and the style on every host", () => {
    for (const host of ["admin.lan", "fedora.lan", "localhost"]) {
      for (const url of ["/-/health", "/-/style.css", "/-/page.js"]) expect(on(url, host)).toBe(`site ${url}`);
    }
  });

  it("are our own in absolute form, too", () => {
    expect(outcome("http://admin.lan/-/status", "x", { operatorHosts: OPERATOR_HOSTS, absoluteForm: true })).toBe("site /-/status");
  });
});

describe("our own pages", () => {
  it.each([
    ["/", undefined, "site /"],
    ["//", "localhost", "site /"],
    ["/?x", "localhost", "site /?x"],
    ["/-/health", "localhost", "site /-/health"],
    ["/-/why/fedora/a%2bb?x=1", "fedora.lan", "site /-/why/fedora/a%2bb?x=1"],
    ["/-/../x", "fedora.lan", "site /-/../x"],
    ["/-", "fedora.lan", "site /-"],
    ["/-x", "fedora.lan", "fedora/-x"],
    ["/a/-/health", "fedora.lan", "fedora/a/-/health"],
    ["http://fedora.lan/-/health", undefined, "site /-/health"],
    ["http://localhost", undefined, "site /"],
    ["http://fedora.lan", undefined, "fedora/"],
  ])("%s on %s is %s", (url, host, expected) => {
    expect(outcome(url, host)).toBe(expected);
  });
});

describe("an absolute URL", () => {
  it("carries its own host (RFC 9112 §3.2.2)", () => {
    expect(outcome("http://debian.lan/x", "fedora.lan")).toBe("debian/x");
    expect(outcome("HTTP://Debian.LAN:8787//x?y", "fedora.lan")).toBe("debian/x");
    expect(outcome("https://other.example/debian/x")).toBe("debian/x");
    expect(outcome("http://debian.lan?y")).toBe("debian/");
  });

  it("is not normalised on the way: what leads up is refused", () => {
    for (const path of ["/a/../../fedora/x", "/a/%2e%2e/x", "/a/..%2fx", "/a\\..\\x"])
      expect(outcome(`http://debian.lan${path}`)).toBe(400);
  });

  it("as a proxy would get it is served for hosts of ours only", () => {
    const proxied = (url: string, ownHosts?: readonly string[]) =>
      outcome(url, "localhost", { absoluteForm: true, ...(ownHosts && { ownHosts }) });
    expect(proxied("http://debian.lan/x")).toBe("debian/x");
    expect(proxied("http://10.0.0.7/x")).toBe("fedora/x");
    expect(proxied("http://localhost:8787/debian/x")).toBe("debian/x");
    expect(proxied("http://127.8.9.1/debian/x")).toBe("debian/x");
    expect(proxied("http://[::1]:8787/-/health")).toBe("site /-/health");
    expect(proxied("http://lazy-mirror.me.workers.dev/debian/x")).toBe("debian/x");
    expect(proxied("http://192.168.1.5:8787/debian/x", ["192.168.1.5"])).toBe("debian/x");
    for (const url of [
      "http://example.com/x",
      "http://example.com/debian/x",
      "http://example.com/-/status",
      "http://127.0.0.1.example.com/debian/x",
      "http://evilworkers.dev/debian/x",
      "http://192.168.1.5/debian/x",
      "https://10.0.0.8/",
    ]) {
      expect(proxied(url)).toBe(421);
    }
  });

  it("is refused with another scheme, without host, with credentials, and so is what is no URL", () => {
    const urls = ["ftp://debian.lan/x", "http:///x", "http://", "http://me:pw@debian.lan/x", "debian.lan:443", "*", "", "x", "file:///etc"];
    for (const url of urls) expect(outcome(url, "localhost")).toBe(400);
  });
});

describe("the key", () => {
  it("is the mirror and the canonical path, whatever the client's spelling", () => {
    for (const url of ["/debian/a/l%2b%2b.deb", "/debian//a/l%2B+.deb", "/%64ebian/./a/l++.deb?x=1"])
      expect(outcome(url)).toBe("debian/a/l++.deb");
  });

  it("holds no query but what the mirror allows, sorted", () => {
    expect(outcome("/debian/x?countme=1&x=1")).toBe("debian/x");
    expect(outcome("/api/x?countme=1")).toBe("api/x");
    expect(outcome("/api/x?version=2&x=1&arch=a%2fb")).toBe("api/x?arch=a%2Fb&version=2");
    expect(outcome("/api/x?arch=a/b&version=%32")).toBe("api/x?arch=a%2Fb&version=2");
    expect(outcome("/api/x?version=2&version=1")).toBe("api/x?version=2&version=1");
    expect(outcome("/api/x?")).toBe("api/x");
    expect(outcome("/api/x?Version=2#y")).toBe("api/x");
    expect(outcome("/api/x%3Fversion=2")).toBe(400);
  });

  it("skips koji's toplink, in koji only", () => {
    expect(outcome("/repos/f43/12/x86_64/toplink/packages/bash/5/1/x86_64/b.rpm", "kojipkgs.lan")).toBe(
      "koji/packages/bash/5/1/x86_64/b.rpm",
    );
    expect(outcome("/koji/repos/a/1/b/toplink/repos/c/2/d/toplink/x")).toBe("koji/x");
    expect(outcome("/koji/repos/a/1/b/toplink/work/x.rpm")).toBe("koji/work/x.rpm");
    expect(outcome("/koji/repos/a/1/toplink/x")).toBe("koji/repos/a/1/toplink/x");
    expect(outcome("/fedora/repos/a/1/b/toplink/x")).toBe("fedora/repos/a/1/b/toplink/x");
  });

  it("comes with path, class and rule", () => {
    expect(route("/koji/repos/a/1/b/toplink/work/x.rpm")).toMatchObject({
      target: { path: "work/x.rpm", query: "", class: "pass", rule: "koji-work", mirror: { name: "koji" } },
    });
    expect(route("/api/?version=1")).toMatchObject({ target: { path: "", query: "?version=1", class: "volatile", rule: "listing" } });
  });

  it("fits into the store, counted in bytes", () => {
    expect(outcome(`/debian/${"a".repeat(893)}`)).toHaveLength(900);
    expect(outcome(`/debian/${"a".repeat(894)}`)).toBe(414);
    expect(outcome(`/debian/${"%c3%a9".repeat(300)}`)).toBe("debian/" + "é".repeat(300));
    expect(outcome(`/debian/x?${"a".repeat(3000)}`)).toBe(414);
    expect(outcome(`/debian/${"%e2%82%ac".repeat(220)}`)).toBe("debian/" + "€".repeat(220));
  });
});

describe("a mirror that is not there", () => {
  it("is answered with those that are, and never with what was sent", () => {
    const routed = route("/<script>alert(1)</script>/x", "evil.example");
    expect(routed).toMatchObject({ kind: "refused", status: 404 });
    const detail = routed.kind === "refused" ? routed.detail : "";
    expect(detail).toContain("api, debian, fedora, koji");
    expect(detail).toContain("[vars.MIRRORS.<name>] in wrangler.toml");
    expect(detail).not.toMatch(/script|evil/);
  });
});

it("any target and host give an answer, and a key never leaves its mirror", () => {
  const url = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.webUrl({ withQueryParameters: true }),
    fc.string().map((rest) => `/fedora/${rest}`),
  );
  fc.assert(
    fc.property(url, fc.option(fc.string({ unit: "binary" }), { nil: undefined }), fc.boolean(), (target, host, absoluteForm) => {
      const routed = route(target, host, { absoluteForm });
      if (routed.kind !== "mirror") return;
      expect(routed.target.key).toBe(`${routed.target.mirror.name}/${routed.target.path}${routed.target.query}`);
      expect(routed.target.key.split("/")).not.toContain("..");
    }),
  );
});

describe("folders of hosts, and the server's own names", () => {
  const mirrors = new Map([
    createMirror("debian", [exact("ftp.example", "debian"), exact("deb.example", "debian"), label("deb")], "debian"),
    createMirror("security", [exact("deb.example", "debian-security")], "debian-security"),
    createMirror("old", [exact("ftp.example", "debian/old")]),
    createMirror("plain", [exact("own.example", "x/y")]),
  ]);
  const publicUrl = { url: "https://www.example/pkg", host: "www.example", path: "/pkg" };
  const routes = { mirrors, serverNames: ["deb.lan", "own.example", "www.example"], publicUrl };
  const at = (url: string, more: Partial<RequestTarget> = {}) => {
    const [, host = "", path = ""] = /^([^/]+)(.*)$/.exec(url) ?? [];
    const routed = routeRequest(routes, { url: path, host, ...more });
    if (routed.kind === "mirror") return routed.bareTop === undefined ? routed.target.key : `${routed.target.key} ./${routed.bareTop}/`;
    return routed.kind === "site" ? `site ${routed.path}` : `${routed.status} ${routed.detail}`;
  };

  it.each([
    ["ftp.example/debian/dists/x", "debian/dists/x"],
    ["ftp.example/debian", "debian/ ./debian/"],
    ["ftp.example//debian//./dists/x", "debian/dists/x"],
    // The longest folder wins.
    ["ftp.example/debian/old/x", "old/x"],
    ["ftp.example/debian/older/x", "debian/older/x"],
    // Two mirrors at one host.
    ["deb.example/debian/x", "debian/x"],
    ["deb.example/debian-security/x", "security/x"],
    // A label is for hosts without an entry of their own.
    ["deb.home/x", "debian/x"],
    // One of the server's own names has all mirrors by name, and wins over a label.
    ["deb.lan/plain/x", "plain/x"],
    ["deb.lan/", "site /"],
    // A folder of it is a mirror as well.
    ["own.example/x/y/z", "plain/z"],
    ["own.example/debian/z", "debian/z"],
    // The proxy took the prefix of PUBLIC_URL away, or left it.
    ["www.example/pkg/debian/x", "debian/x"],
    ["www.example/debian/x", "debian/x"],
    ["www.example/pkg/-/setup", "site /-/setup"],
    ["www.example/pkg", "site /"],
    ["www.example/pkg/", "site /"],
    // Pages link below the prefix on every host.
    ["deb.home/pkg/-/setup", "site /-/setup"],
    ["deb.home/pkg/x", "debian/pkg/x"],
  ])("%s is %s", (url, expected) => {
    expect(at(url)).toBe(expected);
  });

  it("a path below no folder is refused with the folders that there are", () => {
    expect(at("deb.example/ubuntu/x")).toMatch(/^404 .*\/debian-security\/, \/debian\/|^404 .*\/debian-security\/.*\/debian\//);
    expect(at("deb.example/debianx/x")).toMatch(/^404/);
  });

  it("a prefix that a proxy states is taken away where the proxy left it, unless a mirror has that name", () => {
    expect(at("box/m/debian/x", { prefix: "/m" })).toBe("debian/x");
    expect(at("box/debian/x", { prefix: "/m" })).toBe("debian/x");
    expect(at("box/mm/x", { prefix: "/m" })).toMatch(/^404/);
    expect(at("box/debian/x", { prefix: "/debian" })).toBe("debian/x");
  });

  it("the refusal of a foreign host names what to add", () => {
    const refused = at("box/x", { url: "http://other.example/debian/x", absoluteForm: true });
    expect(refused).toMatch(/^421 .*"other\.example\/<folder>" to hosts/);
    expect(refused).toContain('"other.example" to SERVER_NAMES');
    expect(refused).toContain('Acquire::http::Proxy::other.example "DIRECT"');
    expect(at("box/x", { url: "http://ftp.example/debian/x", absoluteForm: true })).toBe("debian/x");
    expect(at("box/x", { url: "http://deb.lan:8787/plain/x", absoluteForm: true })).toBe("plain/x");
  });
});
