import { readFileSync } from "node:fs";
import fc from "fast-check";
import { parse } from "smol-toml";
import { describe, expect, it } from "vitest";
import type { Config } from "../../../src/config/config.ts";
import { parseConfig } from "../../../src/config/parse-config.ts";

const MIRRORS = { fedora: { upstreams: ["https://one.example/fedora/linux"] } };

function accept(vars: Record<string, unknown>): Config {
  const parsed = parseConfig(vars);
  if (!parsed.ok) throw new Error(parsed.problems.join("\n"));
  return parsed.config;
}

function refuse(vars: Record<string, unknown>): readonly string[] {
  const parsed = parseConfig(vars);
  return parsed.ok ? [] : parsed.problems;
}

/** The problems of one mirror with these keys. */
function refuseMirror(keys: Record<string, unknown>): readonly string[] {
  return refuse({ MIRRORS: { fedora: { upstreams: ["https://one.example"], ...keys } } });
}

describe("scalars", () => {
  it("have the defaults of the documentation", () => {
    const { mirrors: _, ...scalars } = accept({ MIRRORS });
    expect(scalars).toEqual({
      metadataTtlSeconds: 60,
      metadataWaitSeconds: 10,
      doubtSeconds: 600,
      offline: false,
      serverNames: [],
      trustedProxies: [],
      retentionDays: 90,
      budgetBytes: 9_000_000_000,
      sliceBytes: 8 * 1024 * 1024,
      upstreamStallSeconds: 20,
      upstreamFirstByteSeconds: 5,
      holdBytes: 4 * 1024 * 1024,
      holdMs: 1500,
      prefetchBytes: 64 * 1024 * 1024,
      plan: "paid",
      edgeCache: "tiered",
      verify: "index",
      contactUrl: undefined,
    });
  });

  it("may be numbers or, from the dashboard, texts of digits", () => {
    const config = accept({ MIRRORS, METADATA_TTL_SECONDS: "0", BUDGET_GB: "0.5", SLICE_MIB: 0.25 });
    expect([config.metadataTtlSeconds, config.budgetBytes, config.sliceBytes]).toEqual([0, 500_000_000, 262_144]);
  });

  it("take the time that a sync upstream may hold a generation back", () => {
    expect(accept({ MIRRORS, DOUBT_SECONDS: "30" }).doubtSeconds).toBe(30);
    expect(refuse({ MIRRORS, DOUBT_SECONDS: -1 })).toEqual([expect.stringContaining("DOUBT_SECONDS")]);
  });

  it.each([-1, "-1", "", "ten", "1e3", Number.NaN, Infinity, true, null, {}, 1e12])("refuse %o as a number", (value) => {
    expect(refuse({ MIRRORS, METADATA_TTL_SECONDS: value })).toEqual([
      expect.stringMatching(/^Cannot use METADATA_TTL_SECONDS .*: use a number of seconds from 0 to 604800$/),
    ]);
  });

  it("verify by structure on the free plan, unless VERIFY says otherwise", () => {
    expect(accept({ MIRRORS, PLAN: "free" }).verify).toBe("structure");
    expect(accept({ MIRRORS, PLAN: "free", VERIFY: "index" }).verify).toBe("index");
    expect(accept({ MIRRORS, VERIFY: "structure" }).verify).toBe("structure");
  });

  it("take the places and jurisdictions that Durable Objects know, and no others", () => {
    expect(accept({ MIRRORS, LOCATION: "sam", JURISDICTION: "eu" })).toMatchObject({ location: "sam", jurisdiction: "eu" });
    expect(refuse({ MIRRORS, LOCATION: "mars" })).toEqual([expect.stringMatching(/^Cannot use LOCATION "mars": .*weur/)]);
    expect(refuse({ MIRRORS, JURISDICTION: "us" })).toEqual([expect.stringMatching(/^Cannot use JURISDICTION "us": .*fedramp/)]);
  });

  it("cache for all data centres together where each call is no request of a hundred thousand a day, unless the operator says otherwise", () => {
    expect(accept({ MIRRORS, PLAN: "free" }).edgeCache).toBe("local");
    expect(accept({ MIRRORS, PLAN: "free", EDGE_CACHE: "tiered" }).edgeCache).toBe("tiered");
    expect(accept({ MIRRORS, EDGE_CACHE: "local" }).edgeCache).toBe("local");
    expect(refuse({ MIRRORS, EDGE_CACHE: "global" })).toEqual([expect.stringContaining("EDGE_CACHE")]);
  });

  it("keep the limit of the first byte within the stall limit", () => {
    expect(refuse({ MIRRORS, UPSTREAM_FIRST_BYTE_SECONDS: 21 })).toEqual([
      "Cannot use UPSTREAM_FIRST_BYTE_SECONDS 21: use no more than UPSTREAM_STALL_SECONDS",
    ]);
    expect(accept({ MIRRORS, UPSTREAM_STALL_SECONDS: 2 }).upstreamFirstByteSeconds).toBe(2);
    // A key that was not written is no problem of its own.
    expect(refuse({ MIRRORS, UPSTREAM_STALL_SECONDS: -1 })).toEqual([
      "Cannot use UPSTREAM_STALL_SECONDS -1: use a number of seconds from 0.1 to 600",
    ]);
  });

  it("take a contact that fits into a User-Agent only", () => {
    expect(accept({ MIRRORS, CONTACT_URL: "mailto:ops@example.com" }).contactUrl).toBe("mailto:ops@example.com");
    for (const wrong of ["ops@example.com", "https://a b/", "https://x/)", "https://x/\r\nX: y", "javascript:alert(1)"]) {
      expect(refuse({ MIRRORS, CONTACT_URL: wrong })).toHaveLength(1);
    }
  });
});

describe("a mirror's own limit", () => {
  const one = (budget_gb: unknown) => ({ MIRRORS: { x: { upstreams: ["https://one.example"], budget_gb } }, BUDGET_GB: 2 });

  it("is a part of the budget, or all of it", () => {
    for (const written of [0.5, "0.5"]) expect(accept(one(written)).mirrors.get("x")?.budgetBytes).toBe(500_000_000);
    expect(accept(one(2)).mirrors.get("x")?.budgetBytes).toBe(2_000_000_000);
    expect(accept(one(undefined)).mirrors.get("x")).not.toHaveProperty("budgetBytes");
  });

  it("is refused where it is more, too little, or no number", () => {
    expect(refuse(one(2.5))).toEqual(["Cannot use MIRRORS.x.budget_gb 2.5: use no more than BUDGET_GB, which is 2"]);
    expect(refuse(one(0))).toEqual(["Cannot use MIRRORS.x.budget_gb 0: use a number of GB from 0.001 to 1000000"]);
    expect(refuse(one("much"))).toHaveLength(1);
    // The default counts too.
    expect(refuse({ MIRRORS_2: { y: { upstreams: ["https://one.example"], budget_gb: 10 } } })).toEqual([
      "Cannot use MIRRORS_2.y.budget_gb 10: use no more than BUDGET_GB, which is 9",
    ]);
  });
});

describe("mirrors", () => {
  it("become what the router reads", () => {
    const config = accept({
      MIRRORS: {
        fedora: {
          hosts: ["Fedora-Mirror.Example.com.", "fedora.*", "10.0.0.7", "::1", "[2001:DB8:0::1]"],
          distro: "fedora",
          upstreams: ["https://one.example/fedora/linux/", { url: "http://127.0.0.1:8080/", authorization: "Bearer secret" }],
          redirect_hosts: ["cdn.example:8443", "*.Example.org"],
          query: ["version"],
          classes: [{ pattern: "^nightlies/", class: "volatile" }],
        },
      },
    });
    expect(config.mirrors.get("fedora")).toEqual({
      name: "fedora",
      hosts: [
        { kind: "exact", host: "fedora-mirror.example.com", folder: "" },
        { kind: "label", label: "fedora", folder: "" },
        { kind: "exact", host: "10.0.0.7", folder: "" },
        { kind: "exact", host: "[::1]", folder: "" },
        { kind: "exact", host: "[2001:db8::1]", folder: "" },
      ],
      distro: "fedora",
      upstreams: [
        { url: "https://one.example/fedora/linux", authorization: undefined },
        { url: "http://127.0.0.1:8080", authorization: "Bearer secret" },
      ],
      redirectHosts: ["cdn.example:8443", "*.example.org"],
      allowedQuery: ["version"],
      classes: [{ pattern: /^nightlies\//u, class: "volatile" }],
    });
  });

  it("need nothing but an upstream", () => {
    const mirror = accept({ MIRRORS }).mirrors.get("fedora");
    expect(mirror).toMatchObject({ hosts: [], distro: undefined, redirectHosts: [], allowedQuery: [], classes: [] });
  });

  it("are merged from MIRRORS and every MIRRORS_<anything>, as tables or as JSON text", () => {
    const more = JSON.stringify({ private: { upstreams: [{ url: "https://p.example", authorization: "Basic eA==" }] } });
    const config = accept({ MIRRORS, MIRRORS_2: { debian: { upstreams: ["https://d.example"] } }, MIRRORS_SECRET: more });
    expect([...config.mirrors.keys()]).toEqual(["fedora", "debian", "private"]);
  });

  it("keep the order of their upstreams", () => {
    const upstreams = ["https://c.example", "https://a.example", "https://b.example"];
    const mirror = accept({ MIRRORS: { x: { upstreams } } }).mirrors.get("x");
    expect(mirror?.upstreams.map(({ url }) => url)).toEqual(upstreams);
  });

  it.each(["-", "Fedora", "", ".x", "a/b", "a b", "__proto__", "x".repeat(65), "../x"])("refuse the name %o", (name) => {
    const problems = refuse({ MIRRORS: JSON.stringify({ NAME: { upstreams: ["https://u.example"] } }).replace("NAME", name) });
    expect(problems).toEqual([expect.stringContaining("name a mirror by a-z, 0-9")]);
  });

  it.each([
    [{ upstreams: [] }, "MIRRORS.fedora.upstreams []: name at least one upstream URL"],
    [{ upstreams: ["file:///"] }, 'MIRRORS.fedora.upstreams[0] "file:///": name a folder of this machine by its whole path'],
    [{ upstreams: ["file://server/share"] }, "name a folder of this machine by its whole path"],
    [{ upstreams: ["ftp://x"] }, 'MIRRORS.fedora.upstreams[0] "ftp://x": the scheme must be http, https or file'],
    [{ upstreams: ["mirror.example.com/x"] }, "upstreams[0]"],
    [{ upstreams: ["https://x/?a=1"] }, "leave query and fragment out"],
    [{ upstreams: ["https://x/#a"] }, "leave query and fragment out"],
    [{ upstreams: ["https://x/?"] }, "leave query and fragment out"],
    [{ upstreams: "https://x" }, "MIRRORS.fedora.upstreams"],
    [{ upstreams: [{ url: "https://x", authorisation: "Bearer x" }] }, "did you mean authorization?"],
    [{ hosts: ["a.example:80"] }, "leave the port out: a.example"],
    [{ hosts: ["https://a.example"] }, "MIRRORS.fedora.hosts[0]"],
    [{ hosts: ["*.example.com"] }, "MIRRORS.fedora.hosts[0]"],
    [{ hosts: ["a..b"] }, "MIRRORS.fedora.hosts[0]"],
    [{ hosts: [""] }, "MIRRORS.fedora.hosts[0]"],
    [{ distro: "feodra" }, "use one of fedora, epel"],
    [{ redirect_hosts: ["*.com"] }, "MIRRORS.fedora.redirect_hosts[0]"],
    [{ redirect_hosts: ["*"] }, "MIRRORS.fedora.redirect_hosts[0]"],
    [{ redirect_hosts: ["https://x.example"] }, "MIRRORS.fedora.redirect_hosts[0]"],
    [{ query: ["a=b"] }, "MIRRORS.fedora.query[0]"],
    [{ classes: [{ pattern: "(", class: "volatile" }] }, "MIRRORS.fedora.classes[0].pattern"],
    [{ classes: [{ pattern: "a".repeat(201), class: "volatile" }] }, "use 1 to 200 characters"],
    [{ classes: [{ pattern: "a", class: "immutable" }] }, "use one of hashed, volatile"],
    [{ classes: [{ pattern: "a" }] }, "MIRRORS.fedora.classes[0].class undefined: this key is required"],
    [{ upstream: ["https://x"] }, "did you mean upstreams?"],
    [{ zzz: 1 }, "the keys here are hosts, distro"],
  ])("refuse %j, and say why", (keys, why) => {
    expect(refuseMirror(keys)).toEqual([expect.stringContaining(why)]);
  });

  it("never print a password or an authorization", () => {
    const problems = refuseMirror({ upstreams: ["https://me:hunter2@x.example", { url: "https://x", authorization: "hunter2\n" }] });
    expect(problems).toHaveLength(2);
    expect(problems.join()).not.toContain("hunter2");
  });

  it("share neither host nor name", () => {
    const problems = refuse({
      MIRRORS: { a: { hosts: ["x.example", "x.*"], upstreams: ["https://u"] }, b: { hosts: ["X.Example.", "x.*"], upstreams: [] } },
      MIRRORS_2: { a: { upstreams: ["https://u"] } },
    });
    expect(problems).toEqual([
      "Cannot use MIRRORS.b.upstreams []: name at least one upstream URL",
      'Cannot use MIRRORS_2.a "a": it is taken by MIRRORS.a',
      'Cannot use MIRRORS.b.hosts[0] "x.example": it is taken by MIRRORS.a.hosts[0]',
      'Cannot use MIRRORS.b.hosts[1] "x.*": it is taken by MIRRORS.a.hosts[1]',
    ]);
  });
});

describe("the whole", () => {
  it("tells all problems at once", () => {
    const problems = refuse({
      METADATA_TTL_SECOND: 1,
      RETENTION_DAYS: -1,
      VERIFY: "all",
      MIRRORS: { "-": { upstreams: [] }, fedora: { distro: "feodra", upstreams: ["ftp://x", 5] } },
      MIRRORS_2: "{",
    });
    expect(problems).toHaveLength(9);
    for (const problem of problems) expect(problem).toMatch(/^Cannot use \S+ .*: .+/);
    expect(problems).toContain("Cannot use METADATA_TTL_SECOND 1: did you mean METADATA_TTL_SECONDS?");
  });

  it("knows what a table of mirrors should be called", () => {
    expect(refuse({ MIRROR: MIRRORS })).toContain("Cannot use MIRROR (a table): did you mean MIRRORS?");
  });

  it("refuses to mirror nothing", () => {
    for (const vars of [{}, { MIRRORS: {} }, { MIRROR: MIRRORS }]) expect(refuse(vars).join()).toContain("MIRRORS");
  });

  it("takes a Worker's whole env: bindings are no variables", () => {
    const bucket = new Blob();
    expect(accept({ MIRRORS, BUCKET: bucket, SELF: () => undefined }).mirrors.size).toBe(1);
  });

  it("never throws", () => {
    const value = fc.oneof(fc.jsonValue(), fc.anything());
    const vars = fc.record({ MIRRORS: value, MIRRORS_X: value, SLICE_MIB: value, VERIFY: value, other: value }, { requiredKeys: [] });
    fc.assert(fc.property(vars, (given) => typeof parseConfig(given).ok === "boolean"));
    const mirror = fc.record({ hosts: value, upstreams: value, classes: value, query: value, redirect_hosts: value, distro: value });
    fc.assert(fc.property(mirror, (given) => typeof parseConfig({ MIRRORS: { a: given } }).ok === "boolean"));
  });
});

describe("the shipped wrangler.toml", () => {
  const vars = parse(readFileSync("wrangler.toml", "utf8"))["vars"] as Record<string, unknown>;

  it("is valid, and mirrors every distribution from two places where there are two", () => {
    const { mirrors } = accept(vars);
    expect([...mirrors.keys()].toSorted()).toEqual(
      "almalinux alpine archlinux centos-stream debian debian-security epel fedora kojipkgs opensuse rocky ubuntu".split(" "),
    );
    for (const { name, upstreams } of mirrors.values()) expect(upstreams).toHaveLength(name === "kojipkgs" ? 1 : 2);
  });
});

describe("OPERATOR_HOSTS", () => {
  it("are whole hosts, as a list or as its JSON", () => {
    for (const value of [["Admin.Example.com.", "::1"], '["admin.example.com", "[::1]"]']) {
      const parsed = parseConfig({ MIRRORS, OPERATOR_HOSTS: value });
      expect(parsed.ok && parsed.config.operatorHosts).toEqual(["admin.example.com", "[::1]"]);
    }
    const parsed = parseConfig({ MIRRORS });
    expect(parsed.ok && parsed.config.operatorHosts).toBe(undefined);
  });

  it.each([[[]], ["admin.example.com"], [["admin.*"]], [["admin.example.com:8787"]], [["a b"]], [[7]], ["[7"]])("cannot be %j", (value) => {
    expect(refuse({ MIRRORS, OPERATOR_HOSTS: value })).toEqual([expect.stringContaining("OPERATOR_HOSTS")]);
  });

  it("cannot be a mirror's as well", () => {
    const one = { upstreams: ["http://one.example/"], hosts: ["one.lan"] };
    expect(refuse({ MIRRORS: { one }, OPERATOR_HOSTS: ["one.lan"] })).toEqual([
      expect.stringContaining("it is taken by OPERATOR_HOSTS[0]"),
    ]);
  });
});

describe("the server's own names", () => {
  it("are hosts; the public URL's is one of them", () => {
    const config = accept({
      MIRRORS,
      SERVER_NAMES: ["Mirror.LAN.", "192.0.2.7", "::1"],
      PUBLIC_URL: "https://www.example.com/a/b/",
      TRUSTED_PROXIES: '["10.0.0.0/8"]',
    });
    expect(config.serverNames).toEqual(["mirror.lan", "192.0.2.7", "[::1]", "www.example.com"]);
    expect(config.publicUrl).toEqual({ url: "https://www.example.com/a/b", host: "www.example.com", path: "/a/b" });
    expect(config.trustedProxies).toEqual([{ bytes: [10, 0, 0, 0], bits: 8 }]);
    expect(accept({ MIRRORS, PUBLIC_URL: "http://x.example:8080" }).publicUrl).toEqual({
      url: "http://x.example:8080",
      host: "x.example",
      path: "",
    });
  });

  it.each([
    [{ SERVER_NAMES: ["mirror.*"] }, "SERVER_NAMES[0]"],
    [{ SERVER_NAMES: ["mirror.lan/debian"] }, "leave the path out"],
    [{ SERVER_NAMES: ["mirror.lan:80"] }, "leave the port out"],
    [{ SERVER_NAMES: "mirror.lan" }, "write a list"],
    [{ PUBLIC_URL: "mirror.lan" }, "PUBLIC_URL"],
    [{ PUBLIC_URL: "ftp://mirror.lan" }, "http or https"],
    [{ PUBLIC_URL: "https://me:pw@mirror.lan" }, "leave the credentials out"],
    [{ PUBLIC_URL: "https://mirror.lan/a%20b" }, "use a path of letters"],
    [{ PUBLIC_URL: "https://mirror.lan/?x" }, "leave query and fragment out"],
    [{ TRUSTED_PROXIES: ["10.0.0.1/8"] }, "TRUSTED_PROXIES[0]"],
    [
      { SERVER_NAMES: ["a.example"], MIRRORS_2: { x: { upstreams: ["http://u.example/"], hosts: ["a.example"] } } },
      "it is taken by SERVER_NAMES[0]",
    ],
    [{ PUBLIC_URL: "http://a.example", OPERATOR_HOSTS: ["a.example"] }, "it is taken by OPERATOR_HOSTS[0]"],
  ])("%j is refused", (vars, part) => {
    const parsed = parseConfig({ MIRRORS, ...vars });
    expect(parsed.ok ? [] : parsed.problems.join("\n")).toContain(part);
  });

  it("a mirror may have folders of a host, also of the server's own, and two mirrors different ones", () => {
    const hosts = (...lists: string[][]) =>
      parseConfig({
        SERVER_NAMES: ["own.example"],
        MIRRORS: Object.fromEntries(lists.map((list, at) => [`m${at}`, { upstreams: ["http://u.example/"], hosts: list }])),
      });
    const parsed = hosts(["ftp.debian.org/debian/", "own.example/x"], ["ftp.debian.org/debian-security", "ftp.debian.org/a/b", "ftp.*/c"]);
    expect(parsed.ok && parsed.config.mirrors.get("m0")?.hosts[0]).toEqual({ kind: "exact", host: "ftp.debian.org", folder: "debian" });
    expect(hosts(["a.example/x"], ["a.example/x/"]).ok).toBe(false);
    for (const wrong of [
      "http://ftp.debian.org/debian",
      "a.example//x",
      "a.example/../x",
      "a.example/-/x",
      "a.example/a b",
      "a.example:80/x",
    ]) {
      expect(hosts([wrong]).ok).toBe(false);
    }
  });
});
