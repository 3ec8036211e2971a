import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { createApp } from "../../../src/app.ts";
import { siteDependencies } from "./site.ts";

const app = createApp(siteDependencies());
const get = (path: string, headers: Record<string, string> = {}, host = "127.0.0.1:8787") =>
  app.fetch(new Request(`http://127.0.0.1${path}`, { headers: { host, ...headers } }));
const BROWSER = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };

describe("the pages", () => {
  it.each(["/", "/-/", "/-/setup/", "/-/setup/debian", "/-/setup/koji", "/-/setup/plain"])(
    "%s is HTML that loads nothing from elsewhere",
    async (path) => {
      const response = await get(path, BROWSER);
      expect(response.headers.get("content-type")).toMatch(/^text\/html/);
      expect(response.headers.get("content-security-policy")).toMatch(/^default-src 'none'/);
      const html = await response.text();
      expect(html).toMatch(/^<!doctype html><html lang="en">/);
      expect(
        [...html.matchAll(/(?:src|href)="([^"]*)"/g)]
          .map(([, url]) => url)
          .filter((url) => !/^(\/-\/|data:,|http:\/\/127\.0\.0\.1)/.test(url ?? "")),
      ).toEqual([]);
    },
  );

  it.each(["/", "/-/setup/", "/-/setup/debian", "/-/setup/debian.sh", "/-/setup/nothing"])(
    "no cache may keep %s: it depends on the visitor",
    async (path) => {
      expect((await get(path)).headers.get("cache-control")).toBe("no-store");
    },
  );

  it("health is plain and needs nothing", async () => {
    expect(await (await get("/-/health")).text()).toBe("ok\n");
  });
});

describe("the navigation", () => {
  it.each(["/", "/-/setup/", "/-/setup/debian"])("of %s leads to the status only where there is one", async (path) => {
    expect(await (await get(path, BROWSER)).text()).not.toContain('href="/-/status"');
    const deps = siteDependencies();
    const open = createApp({ ...deps, operator: { ...deps.operator, token: "secret" } });
    const shown = await open.fetch(new Request(`http://127.0.0.1${path}`, { headers: { host: "127.0.0.1:8787", ...BROWSER } }));
    expect(await shown.text()).toContain('href="/-/status"');
  });
});

describe("client set-up", () => {
  it.each([
    ["Debian APT-HTTP/1.3 (2.6.1)", "debian", "URIs: http://127.0.0.1:8787/debian\n"],
    [
      "libdnf (Fedora Linux 43; generic; Linux.x86_64)",
      "fedora",
      "baseurl=http://127.0.0.1:8787/fedora/updates/$releasever/Everything/$basearch/\n",
    ],
    ["ZYpp 17.31.15 (curl 8.0.1)", "opensuse", "baseurl=http://127.0.0.1:8787/opensuse/tumbleweed/repo/oss/\n"],
    ["pacman/6.0.2 (Linux x86_64) libalpm/13.0.2", "archlinux", "Server = http://127.0.0.1:8787/archlinux/$repo/os/$arch\n"],
    ["apk-tools/2.14.0", "alpine", "http://127.0.0.1:8787/alpine/v3.22/main\n"],
    ["koji/1.35", "koji", "topurl=http://127.0.0.1:8787/koji\n"],
    ["curl/8.5.0", "debian", "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"],
  ])("gives %s its own lines", async (agent, mirror, line) => {
    const response = await get(`/-/setup/${mirror}`, { "user-agent": agent });
    expect(response.headers.get("content-type")).toMatch(/^text\/plain/);
    expect(await response.text()).toContain(line);
  });

  it("gives the lines of the client and the release that are asked for", async () => {
    expect(await (await get("/-/setup/koji?for=mock")).text()).toContain("baseurl=http://127.0.0.1:8787/koji/repos/");
    expect(await (await get("/-/setup/debian?for=apt&release=bookworm")).text()).toContain("Suites: bookworm bookworm-updates\n");
    expect(await (await get("/-/setup/opensuse?for=addrepo&release=15.6")).text()).toContain(
      "zypper addrepo --refresh --check 'http://127.0.0.1:8787/opensuse/update/leap/",
    );
    expect((await get("/-/setup/debian?for=dnf")).status).toBe(404);
    expect((await get("/-/setup/debian?release=a%0aURIs:%20http://evil")).status).toBe(400);
  });

  it("sets Debian and its security archive up as one, by either name", async () => {
    for (const name of ["debian", "debian-security"]) {
      const text = await (await get(`/-/setup/${name}?for=apt`)).text();
      expect(text).toContain("URIs: http://127.0.0.1:8787/debian\n");
      expect(text).toContain("URIs: http://127.0.0.1:8787/debian-security\n");
    }
  });

  it("never repeats a host that is not its own, whichever header names it", async () => {
    const headers = {
      "x-forwarded-host": "evil.example",
      "x-forwarded-proto": "gopher",
      forwarded: "host=evil.example",
      "x-original-host": "evil.example",
    };
    for (const path of ["/", "/-/setup/", "/-/setup/debian", "/-/setup/debian.sh", "/-/setup/debian?for=apt", "/-/setup/koji"]) {
      for (const accept of ["*/*", BROWSER.accept]) {
        expect(await (await get(path, { ...headers, accept }, "evil.example")).text()).not.toContain("evil");
        expect(await (await get(path, { ...headers, accept })).text()).not.toMatch(/evil|gopher/);
      }
    }
  });

  it.each(["evil.example", "$(touch /tmp/x)", "a';id;'", "127.0.0.1:80;id", "", "fedora.`id`"])(
    "answers a script's request for host %j by a script that only fails",
    async (host) => {
      const response = await get("/-/setup/debian.sh", {}, host);
      expect(response.status).toBe(421);
      expect(spawnSync("sh", { input: await response.text(), encoding: "utf8" })).toMatchObject({ status: 1, stdout: "" });
    },
  );

  it.each(["nothing", "koji", "plain", "a';id;'", "$(id)", "..%2fdebian"])(
    "answers for %s.sh, for which there is none, by a script that only fails",
    async (name) => {
      const response = await get(`/-/setup/${encodeURIComponent(name)}.sh`);
      expect(response.status).toBe(404);
      const script = await response.text();
      expect(script).not.toContain("id;");
      expect(spawnSync("sh", { input: script, encoding: "utf8" })).toMatchObject({ status: 1, stdout: "" });
    },
  );
});
