import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";

const SECRET = "QZXJ bytes of a private package";
const PATH = "pool/x/a_1.0_all.tar.gz";

let folder: string;
let origin: Origin;
let mirror: MirrorProcess;
let token: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-access-"));
  mkdirSync(join(folder, "pool/x"), { recursive: true });
  writeFileSync(join(folder, PATH), SECRET);
  mkdirSync(join(folder, "pool/x/by-hash/SHA256"), { recursive: true });
  writeFileSync(join(folder, "pool/x/by-hash/SHA256", createHash("sha256").update(SECRET).digest("hex")), SECRET);
  origin = await startOrigin(folder);
  const closed = {
    upstreams: [origin.url],
    hosts: ["closed.test"],
    access: { users: { alice: "correct horse", "bob b": "battery: staple" } },
  };
  mirror = await startMirror({
    mirrors: { open: { upstreams: [origin.url] } },
    vars: { MIRRORS_CLOSED: JSON.stringify({ closed }) },
  });
  token = readFileSync(join(mirror.stateFolder, "admin-token"), "utf8").trim();
  // It lies in the store: what keeps it is not that nobody fetched it.
  const warm = await fetch(`${mirror.url}/closed/${PATH}`, { headers: { authorization: basic("alice", "correct horse") } });
  if ((await warm.text()) !== SECRET) throw new Error("Cannot fetch what should be kept");
});
afterAll(async () => {
  await mirror?.remove();
  await origin?.close();
  rmSync(folder, { recursive: true });
});

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

async function turnedAway(): Promise<number> {
  const response = await fetch(`${mirror.url}/-/status.json`, { headers: { authorization: `Bearer ${token}` } });
  const { mirrors } = await response.json<{ mirrors: { name: string; turnedAway: number }[] }>();
  return mirrors.find(({ name }) => name === "closed")?.turnedAway ?? NaN;
}

/** One request with bytes as given, and all that came back. */
async function raw(request: string): Promise<string> {
  const socket = connect(mirror.port, "127.0.0.1");
  let text = "";
  socket.setEncoding("latin1").on("data", (part: string) => (text += part));
  socket.write(`${request}Connection: close\r\n\r\n`);
  await once(socket, "close");
  return text;
}

describe("a mirror with users", () => {
  it("keeps what it holds by its digest to itself: a digest that got about opens nothing", async () => {
    const byHash = `by-hash/SHA256/${createHash("sha256").update(SECRET).digest("hex")}`;
    const closed = await fetch(`${mirror.url}/closed/${PATH.replace(/[^/]+$/, byHash)}`, {
      headers: { authorization: basic("alice", "correct horse") },
    });
    expect(await closed.text()).toBe(SECRET);
    expect((await fetch(`${mirror.url}/open/elsewhere/${byHash}`)).status).toBe(404);
  });

  it.each([
    ["alice", "correct horse", 200],
    ["bob b", "battery: staple", 200],
    ["alice", "battery: staple", 401],
    ["alice", "correct horse ", 401],
    ["alice", "", 401],
    ["Alice", "correct horse", 401],
    ["", "correct horse", 401],
    ["__proto__", "", 401],
    ["nobody", "", 401],
  ])("answers %j with %j by %i", async (user, password, status) => {
    const response = await fetch(`${mirror.url}/closed/${PATH}`, { headers: { authorization: basic(user, password) } });
    expect([response.status, (await response.text()) === SECRET]).toEqual([status, status === 200]);
    expect(response.headers.get("cache-control")).toContain("no-store");
    if (status === 401) expect(response.headers.get("www-authenticate")).toMatch(/^Basic realm=/);
  });

  it("shows who was kept out, in the log and in the counts", async () => {
    const before = await turnedAway();
    await (await fetch(`${mirror.url}/closed/who-knocks`)).text();
    expect(await turnedAway()).toBe(before + 1);
    await expect.poll(() => mirror.output()).toMatch(/401 .*closed:who-knocks/);
  });

  it.each([
    ["the path itself", `GET /closed/${PATH} HTTP/1.1\r\nHost: x\r\n`],
    ["HEAD", `HEAD /closed/${PATH} HTTP/1.1\r\nHost: x\r\n`],
    ["a range", `GET /closed/${PATH} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-3\r\n`],
    ["a condition", `GET /closed/${PATH} HTTP/1.1\r\nHost: x\r\nIf-None-Match: *\r\n`],
    ["doubled slashes", `GET //closed//${PATH} HTTP/1.1\r\nHost: x\r\n`],
    ["dots", `GET /./closed/./${PATH} HTTP/1.1\r\nHost: x\r\n`],
    ["dots that lead up", `GET /open/../closed/${PATH} HTTP/1.1\r\nHost: x\r\n`],
    ["encoded dots that lead up", `GET /open/%2e%2e/closed/${PATH} HTTP/1.1\r\nHost: x\r\n`],
    ["an encoded slash", `GET /open%2f..%2fclosed/${PATH} HTTP/1.1\r\nHost: x\r\n`],
    ["an encoded letter", `GET /%63losed/${PATH} HTTP/1.1\r\nHost: x\r\n`],
    ["another case", `GET /CLOSED/${PATH} HTTP/1.1\r\nHost: x\r\n`],
    ["a query", `GET /closed/${PATH}?open/ HTTP/1.1\r\nHost: x\r\n`],
    ["a backslash", `GET /open\\..\\closed/${PATH} HTTP/1.1\r\nHost: x\r\n`],
    ["its own host", `GET /${PATH} HTTP/1.1\r\nHost: closed.test\r\n`],
    ["its own host in capitals, with port and dot", `GET /${PATH} HTTP/1.1\r\nHost: CLOSED.Test.:80\r\n`],
    ["the absolute form", `GET http://closed.test/${PATH} HTTP/1.1\r\nHost: x\r\n`],
    ["the absolute form below another host", `GET http://127.0.0.1/closed/${PATH} HTTP/1.1\r\nHost: closed.test\r\n`],
    [
      "a forwarded host",
      `GET /closed/${PATH} HTTP/1.1\r\nHost: x\r\nX-Forwarded-Host: open\r\nX-Original-URL: /open/\r\nX-Rewrite-URL: /open/\r\n`,
    ],
    [
      "an address that the client claims",
      `GET /closed/${PATH} HTTP/1.1\r\nHost: x\r\nCF-Connecting-IP: 127.0.0.1\r\nX-Forwarded-For: 127.0.0.1\r\n`,
    ],
    ["the store's own name for it", `GET /-/closed/${PATH} HTTP/1.1\r\nHost: x\r\n`],
    [
      "two Authorization headers",
      `GET /closed/${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic YTpi\r\nAuthorization: Basic YWxpY2U6Yg==\r\n`,
    ],
    ["the operator's page of it", `GET /-/why/closed/${PATH} HTTP/1.1\r\nHost: x\r\n`],
    ["another method", `POST /closed/${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n`],
  ])("keeps its bytes from who asks by %s", async (_, request) => {
    origin.log.length = 0;
    const answer = await raw(request);
    expect(answer).toMatch(/^HTTP\/1\.1 (400|401|404|405|421) /);
    expect(answer).not.toContain(SECRET.slice(0, 4));
    // Nor does it tell the length or the version.
    expect(answer).not.toMatch(/^(etag|content-range|last-modified):/im);
    expect(origin.requests(/./)).toEqual([]);
  });

  it("leaves the others open", async () => {
    expect(await (await fetch(`${mirror.url}/open/${PATH}`)).text()).toBe(SECRET);
  });
});

describe("the operator's pages", () => {
  it.each(["/-/status", "/-/status.json", "/-/metrics", "/-/why/open/x", "/-/ledger/"])("%s is for who knows the token", async (path) => {
    const status = async (authorization?: string) =>
      (await fetch(mirror.url + path, authorization === undefined ? {} : { headers: { authorization } })).status;
    expect(await status()).toBe(401);
    expect(await status("Bearer wrong")).toBe(401);
    expect(await status(basic("operator", `${token}x`))).toBe(401);
    expect(await status(basic(token, ""))).toBe(401);
    expect(await status(`Bearer ${token}`)).toBe(200);
  });

  it.each([
    "/-/STATUS",
    "//-/status",
    "/-//status",
    "/-/status/",
    "/-/%73tatus",
    "/-/./status",
    "/-/setup/../status",
    "/-/status?x",
    "/-/metrics/",
    "/-/status.JSON",
  ])("%s is no way around it", async (path) => {
    for (const method of ["GET", "HEAD"]) {
      expect(await raw(`${method} ${path} HTTP/1.1\r\nHost: x\r\n`)).toMatch(/^HTTP\/1\.1 (400|401|404) /);
    }
  });
});
