import { once } from "node:events";
import { chmodSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { connect, createServer as createTcpServer, type Server as TcpServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { openBrowser } from "../site/browser.ts";

/** Reads a page of the operator, and shows in the title what came of it. */
const ATTACK = `fetch("/-/status.json").then((r) => r.text()).then((t) => { document.title = "READ " + t.slice(0, 20); }, () => { document.title = "REFUSED"; });`;

const PAGES: Readonly<Record<string, readonly [type: string, body: string]>> = {
  "/page.html": ["text/html", `<!doctype html><title>quiet</title><script>${ATTACK}</script><p>a mirrored page`],
  "/picture.svg": [
    "image/svg+xml",
    `<svg xmlns="http://www.w3.org/2000/svg"><title>quiet</title><script>${ATTACK.replaceAll("&", "&amp;").replaceAll(">", "&gt;")}</script></svg>`,
  ],
  "/feed.xml": [
    "application/xml",
    `<?xml version="1.0"?><x><script xmlns="http://www.w3.org/1999/xhtml">${ATTACK.replaceAll(">", "&gt;")}</script></x>`,
  ],
  "/styled.xml": ["text/xml", `<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="style.xsl"?><x/>`],
  "/style.xsl": [
    "text/xsl",
    `<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><html><script>${ATTACK.replaceAll(">", "&gt;")}</script></html></xsl:template></xsl:stylesheet>`,
  ],
  "/sniffed.txt": ["text/plain", `<!doctype html><script>${ATTACK}</script>`],
  "/sniffed.bin": ["application/octet-stream", `<!doctype html><script>${ATTACK}</script>`],
  "/listing/": ["text/html", `<!doctype html><title>Index of /listing</title><a href="disk.iso">disk.iso</a>`],
  "/listing/disk.iso": ["application/octet-stream", "not a disk, but of its length"],
};

let vars: Readonly<Record<string, string>>;
let origin: Server;
let mirror: MirrorProcess;
let hostile: TcpServer;
let token: string;

/** A server that sends these bytes as its headers, whatever the request is. */
const ODD_HEADERS = [
  "Content-Type: text/html; charset=\u001b[31m\u009b",
  "Content-Type: te\u0001xt/html",
  `Content-Type: text/${"x".repeat(6_000)}`,
  "Content-Type: text/html\r\nContent-Type: image/png",
  "Content-Type: text/\u00e4\u202e",
  'ETag: "\u001b]0;owned\u0007"',
  "Last-Modified: \u001b[2J",
  `Content-Range: bytes \u009b0-1/2`,
];

beforeAll(async () => {
  origin = createServer((request, response) => {
    const [type, body] = PAGES[request.url ?? ""] ?? [];
    if (type === undefined || body === undefined) {
      response.writeHead(404).end("there is no such file\n");
      return;
    }
    response.writeHead(200, { "Content-Type": type, "Content-Length": Buffer.byteLength(body), ETag: `"${request.url}"` }).end(body);
  }).listen(0, "127.0.0.1");
  hostile = createTcpServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (data: Buffer) => {
      const at = Number(/ \/(\d+)/.exec(data.toString("latin1"))?.[1] ?? 0);
      const lines = ["HTTP/1.1 200 OK", ODD_HEADERS[at] ?? "", "Content-Length: 6", "Connection: close", "", `odd ${at}\n`];
      socket.end(Buffer.from(lines.join("\r\n"), "latin1"));
    });
  }).listen(0, "127.0.0.1");
  await Promise.all([once(origin, "listening"), once(hostile, "listening")]);
  const url = (server: Server | TcpServer): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  vars = { MIRRORS_CLOSED: JSON.stringify({ closed: { upstreams: [url(origin)], access: { users: { alice: "correct horse" } } } }) };
  mirror = await startMirror({
    mirrors: { any: { upstreams: [url(origin)] }, odd: { upstreams: [url(hostile)] }, dead: { upstreams: ["http://127.0.0.1:9/"] } },
    vars,
  });
  token = readFileSync(join(mirror.stateFolder, "admin-token"), "utf8").trim();
});
afterAll(async () => {
  await mirror?.remove();
  origin?.close();
  hostile?.close();
});

/** The bytes of an answer, as latin1. */
async function raw(
  path: string,
  { host = "127.0.0.1", lines = [] }: { readonly host?: string; readonly lines?: readonly string[] } = {},
): Promise<string> {
  const socket = connect(mirror.port, "127.0.0.1");
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => {});
  socket.write([`GET ${path} HTTP/1.1`, `Host: ${host}:${mirror.port}`, ...lines, "Connection: close", "", ""].join("\r\n"));
  await once(socket, "close");
  return Buffer.concat(chunks).toString("latin1");
}

describe("what a mirror sends", () => {
  it.each([
    ["a cold file", "/any/page.html", {}, 200],
    ["a warm one", "/any/page.html", {}, 200],
    ["a part", "/any/page.html", { range: "bytes=1-4" }, 206],
    ["several parts", "/any/page.html", { range: "bytes=1-4,8-9" }, 206],
    ["a part that is not there", "/any/page.html", { range: "bytes=99999-" }, 416],
    ["what the client has", "/any/page.html", { "if-none-match": "*" }, 304],
    ["what is refused by its conditions", "/any/page.html", { "if-match": '"other"' }, 412],
    ["a listing", "/any/listing/", {}, 200],
    ["what is not there", "/any/none.html", {}, 404],
    ["what cannot be fetched", "/dead/x.html", {}, 502],
    ["what is not for this client", "/closed/page.html", {}, 401],
    ["what is no path", "/any/%2e%2e%2fx", {}, 400],
    ["what is on no mirror", "/none/x", {}, 404],
    ["the way to its top", "/any", {}, 301],
  ] as const)("cannot act in this server's name and is taken for no other type: %s", async (_name, path, headers, status) => {
    for (const method of status === 206 || status === 416 ? ["GET"] : ["GET", "HEAD"]) {
      const response = await fetch(mirror.url + path, { method, headers, redirect: "manual" });
      await response.body?.cancel();
      const { "x-content-type-options": sniff, "content-security-policy": policy = "" } = Object.fromEntries(response.headers);
      expect({ method, status: response.status, sniff }).toEqual({ method, status, sniff: "nosniff" });
      expect(policy).toBe(path === "/any/listing/" || status === 301 ? "sandbox allow-downloads" : "sandbox");
    }
  });

  it("has no header byte of an upstream's but printable ones, stored and fresh", async () => {
    for (let turn = 0; turn < 2; turn++) {
      for (const [at] of ODD_HEADERS.entries()) {
        const answer = await raw(`/odd/${at}.txt`);
        const [head = ""] = answer.split("\r\n\r\n");
        expect(head).toMatch(/^HTTP\/1\.1 (?:200|502)/);
        expect(head).toMatch(/^(?:[\x20-\x7e]|\r\n)+$/);
        expect(/^Content-Type: (.*)$/im.exec(head.replaceAll("\r", ""))?.[1]).toMatch(
          /^(?:text\/html|application\/octet-stream|text\/plain.*)$/,
        );
      }
    }
  });
});

describe("a name that a terminal would obey", () => {
  const NAMES = ["\u202egpj.deb", "\u2066x\u2069.rpm", "\u200f.html", "a\u2028b.txt", "\u061c", "\ufeff.iso"];
  /** Beside line ends and what is visible. */
  const UNSAFE = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

  it("reaches neither the answer nor the log raw", async () => {
    for (const name of NAMES) {
      for (const mirrored of ["any", "dead", "none", "-"]) {
        const response = await fetch(`${mirror.url}/${mirrored}/${encodeURIComponent(name)}`);
        expect(response.status).toBeGreaterThanOrEqual(400);
        expect(await response.text()).not.toMatch(UNSAFE);
      }
    }
    for (const [at] of ODD_HEADERS.entries()) await raw(`/odd/${at}.txt`, { lines: ["User-Agent: \u009b2J", "Via: 1.1 \u009b2J"] });
    await expect.poll(mirror.output, { timeout: 20_000 }).toContain("odd:7.txt");
    expect(mirror.output()).toContain(String.raw`\u202egpj.deb`);
    expect(mirror.output()).not.toMatch(UNSAFE);
  });

  it("stands in the operator's pages escaped", async () => {
    for (const page of ["status", "status.json", "metrics", `why/any/${encodeURIComponent(NAMES[0] ?? "")}`, "why.json/dead/%E2%80%AE"]) {
      const headers = { authorization: `Bearer ${token}`, accept: page === "status" || page.startsWith("why/") ? "text/html" : "*/*" };
      const response = await fetch(`${mirror.url}/-/${page}`, { headers });
      expect(response.status).toBe(200);
      expect(await response.text()).not.toMatch(UNSAFE);
      expect(response.headers.get("x-frame-options")).toBe("DENY");
      expect(response.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    }
  });
});

describe("logins that fail", () => {
  const basic = (user: string, password: string): string => `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
  const ask = async (path: string, authorization: string): Promise<number> => {
    const response = await fetch(mirror.url + path, { headers: { authorization } });
    await response.body?.cancel();
    return response.status;
  };

  it.each([
    ["a closed mirror", "/closed/page.html", basic("alice", "a guess"), basic("alice", "correct horse")],
    ["a page of the operator", "/-/status.json", "Bearer a-guess", undefined],
    ["a command of the operator", "/-/ledger/", "Bearer a-guess", undefined],
  ])("at %s are in the log, a few a minute, and shut no one else out", async (_name, path, wrong, right) => {
    const statuses: number[] = [];
    for (let turn = 0; turn < 50; turn++) statuses.push(await ask(path, wrong));
    expect(statuses[0]).toBeOneOf([401, 429]);
    expect(statuses.at(-1)).toBe(429);
    expect(await ask(path, right ?? `Bearer ${token}`)).toBe(200);
    await expect.poll(mirror.output, { timeout: 20_000 }).toContain("Failed login at");
    expect(mirror.output()).toContain(`Failed login at the mirror closed as "alice"`);
    expect(mirror.output().split("Failed login at").length - 1).toBeLessThan(25);
  });

  it("show no name raw, and no token", async () => {
    await ask("/closed/page.html", basic("\u001b[2J\u202e", "a guess"));
    await ask("/-/status.json", basic("\u001b[2J\u009b", "a guess"));
    await ask("/-/status.json", basic(token, ""));
    await ask("/-/status.json", basic(token, "a guess"));
    expect(mirror.output()).not.toContain(token);
    expect(mirror.output()).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
  });

  it("are none where the client sends no credentials", async () => {
    const statuses: number[] = [];
    for (let turn = 0; turn < 30; turn++) {
      const response = await fetch(`${mirror.url}/closed/page.html`);
      await response.body?.cancel();
      statuses.push(response.status);
    }
    expect(new Set(statuses)).toEqual(new Set([401]));
  });
});

describe("the state folder", () => {
  const open = (): readonly string[] =>
    ["", ...readdirSync(mirror.stateFolder, { recursive: true, encoding: "utf8" })].filter(
      (path) => (statSync(join(mirror.stateFolder, path)).mode & 0o077) !== 0,
    );

  it("is its owner's alone, with all that server and workerd put there", () => {
    expect(open()).toEqual([]);
  });

  it("of an earlier version becomes so with the next start", async () => {
    await mirror.stop();
    for (const path of ["", "store", "objects", "admin-token"])
      chmodSync(join(mirror.stateFolder, path), path === "admin-token" ? 0o644 : 0o755);
    await mirror.start();
    expect(open()).toEqual([]);
  });
});

describe("a page of a mirror in the operator's browser", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterAll(() => browser?.close());

  /** The title that the page has in a browser that knows the operator's password, once the network is quiet. */
  async function visit(path: string, isContained = true): Promise<string> {
    const context = await browser.newContext({ httpCredentials: { username: "operator", password: token, send: "always" } });
    const page = await context.newPage();
    await page.goto(`${mirror.url}/-/status`);
    expect(await page.title()).not.toBe("");
    if (!isContained) {
      await page.route(/\/any\//, async (route) => {
        const response = await route.fetch();
        const { "content-security-policy": _policy, "x-content-type-options": _sniff, ...headers } = response.headers();
        await route.fulfill({ response, headers });
      });
    }
    await page.goto(mirror.url + path).catch(() => null);
    await page.waitForLoadState("networkidle");
    const title = String(await page.evaluate("document.title"));
    await context.close();
    return title;
  }

  it("would read the operator's pages if it came as the upstream sent it", async () => {
    expect(await visit("/any/page.html", false)).toMatch(/^READ \{/);
    expect(await visit("/any/picture.svg", false)).toMatch(/^READ \{/);
  });

  it.each(["/any/page.html", "/any/picture.svg", "/any/feed.xml", "/any/styled.xml", "/any/sniffed.txt"])(
    "reads nothing: %s",
    async (path) => {
      expect(await visit(path)).not.toMatch(/READ|REFUSED/);
    },
  );

  it("is shown all the same where it is a listing, and its links download", async () => {
    const page = await browser.newPage();
    await page.goto(`${mirror.url}/any/listing/`);
    expect(await page.title()).toBe("Index of /listing");
    const [download] = await Promise.all([page.waitForEvent("download", { timeout: 20_000 }), page.click("text=disk.iso")]);
    expect(readFileSync(await download.path(), "utf8")).toBe("not a disk, but of its length");
    await page.close();
  });

  it("leaves the operator's own page alive", async () => {
    const context = await browser.newContext({ httpCredentials: { username: "operator", password: token, send: "always" } });
    const page = await context.newPage();
    await page.goto(`${mirror.url}/-/status`);
    await expect.poll(() => page.textContent("#live-state"), { timeout: 20_000 }).toBe("Live");
    await context.close();
  });
});

describe("the operator's pages with a host of their own", () => {
  const HOSTS = "127.0.0.1";

  it("are there alone, and nothing else is there", async () => {
    await mirror.stop();
    await mirror.start({ ...vars, OPERATOR_HOSTS: JSON.stringify([HOSTS]) });
    const statusOf = async (path: string, host: string): Promise<number> => {
      const [, status] = /^HTTP\/1\.1 (\d{3})/.exec(await raw(path, { host, lines: [`Authorization: Bearer ${token}`] })) ?? [];
      return Number(status);
    };
    for (const path of ["/-/status", "/-/status.json", "/-/metrics", "/-/ledger/", "/-/why/any/page.html", "/-/./status.json"]) {
      expect([path, await statusOf(path, HOSTS), await statusOf(path, "localhost"), await statusOf(path, "any.test")]).toEqual([
        path,
        200,
        421,
        421,
      ]);
    }
    for (const path of ["/any/page.html", "/-/setup", "/-/", "/"]) {
      expect([path, await statusOf(path, HOSTS), await statusOf(path, "localhost")]).toEqual([path, 421, 200]);
    }
    expect([await statusOf("/-/health", HOSTS), await statusOf("/-/health", "localhost")]).toEqual([200, 200]);
    expect(await raw("/-/", { host: "localhost", lines: ["Accept: text/html"] })).not.toContain("/-/status");
  });
});
