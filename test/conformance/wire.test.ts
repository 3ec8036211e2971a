import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { placeFile } from "../support/large-files.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";

const FILE = "the file of the tests of request targets\n";

/** RFC 9112 §3: what a request's target and Host lead to, and that no second reader of them comes to another place. */
describe("npm start, request targets as clients send them", () => {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-wire-"));
  let origin: Origin;
  let mirror: MirrorProcess;
  let own: string;
  let login: string;

  beforeAll(async () => {
    origin = await startOrigin(folder);
    placeFile(folder, "/wire.txt", Buffer.from(FILE));
    mirror = await startMirror({ mirrors: { any: { upstreams: [origin.url] } } });
    own = `127.0.0.1:${mirror.port}`;
    login = `Authorization: Bearer ${readFileSync(join(mirror.stateFolder, "admin-token"), "utf8").trim()}`;
  });
  afterAll(async () => {
    await mirror?.remove();
    await origin?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** What comes back for these lines; the server ends the connection. */
  async function send(lines: readonly string[], body = ""): Promise<{ readonly statuses: readonly number[]; readonly body: string }> {
    const socket = connect(mirror.port, "127.0.0.1");
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", () => {});
    socket.write(Buffer.from(`${lines.join("\r\n")}\r\nConnection: close\r\n\r\n${body}`, "latin1"));
    await once(socket, "close");
    const text = Buffer.concat(chunks).toString("latin1");
    return {
      statuses: [...text.matchAll(/^HTTP\/1\.[01] (\d{3}) /gm)].map(([, status]) => Number(status)),
      body: text.slice(text.indexOf("\r\n\r\n") + 4),
    };
  }

  it("serves the absolute form of its own hosts as their path, whatever other host the Host header names", async () => {
    for (const host of [own, "other.example", "[::1]:80"]) {
      expect(await send([`GET http://${own}/any/wire.txt HTTP/1.1`, `Host: ${host}`])).toEqual({ statuses: [200], body: FILE });
    }
  });

  it("builds no link from the Host header of a target in absolute form, which says nothing there", async () => {
    const { body } = await send([`GET http://${own}/-/setup/any HTTP/1.1`, "Host: localhost:1"]);
    expect(body).toBe(`http://${own}/any/\n`);
  });

  const NO_HOSTS = [
    "x/-/status?",
    "x/-/status.json",
    "x#",
    "x?",
    "a@b",
    "me:secret@b",
    "[::1",
    "::1",
    "[::g]",
    "[v1.x]",
    "a\\b",
    "a b",
    "a\tb",
    "a,b",
    "a;b",
    "a'b",
    "a..b",
    ".a",
    "%61",
    "a%00",
    "\u00e4.lan",
    "a:x",
    "a:80:90",
    "a:65536",
    "a:99999",
    "a:-1",
    "http://a",
    "*",
  ];

  it.each(NO_HOSTS)("refuses Host: %s with 400, whatever the target is", async (host) => {
    for (const target of ["/any/wire.txt", "/-/status.json", "/", `http://${own}/any/wire.txt`, `http://${own}/-/status.json`]) {
      const { statuses } = await send([`GET ${target} HTTP/1.1`, `Host: ${host}`, login]);
      expect({ target, statuses }).toEqual({ target, statuses: [400] });
    }
  });

  it("refuses a request without Host, with an empty one, and with two", async () => {
    for (const hosts of [[], ["Host:"], ["Host:   "], [`Host: ${own}`, `Host: ${own}`], [`Host: ${own}`, "Host: other.example"]]) {
      for (const target of ["/any/wire.txt", "/-/status.json", `http://${own}/any/wire.txt`]) {
        const { statuses } = await send([`GET ${target} HTTP/1.1`, ...hosts, login]);
        expect({ target, hosts, statuses }).toEqual({ target, hosts, statuses: [400] });
      }
    }
  });

  it("answers the checks of load balancers, which come by HTTP/1.0 and without a Host", async () => {
    expect(await send(["GET /-/health HTTP/1.0"])).toEqual({ statuses: [200], body: "ok\n" });
  });

  it("answers for no name on workers.dev, and builds no link from it: there is none on one machine", async () => {
    const proxied = await send(["GET http://evil.workers.dev/any/wire.txt HTTP/1.1", "Host: evil.workers.dev"]);
    expect(proxied.statuses).toEqual([421]);
    for (const claim of [[], ["CF-Ray: 8f0c2d3e4a5b6c7d-FRA"]]) {
      const { statuses, body } = await send(["GET /-/setup/any HTTP/1.1", "Host: evil.workers.dev", ...claim]);
      expect({ statuses, body }).toEqual({ statuses: [200], body: "http://127.0.0.2/\n" });
    }
  });

  it.each([
    ["'..' below /-/", "/-/../any/wire.txt", 404],
    ["encoded dots below /-/", "/-/%2e%2e/-/status.json", 404],
    ["dots behind a page", "/-/health/../status.json", 404],
    ["an encoded slash below /-/", "/-/x%2fstatus.json", 404],
    ["a backslash below /-/", "/-\\status.json", 400],
    ["an escape that is none below /-/", "/-/%zz", 404],
    ["a page from within a mirror", "/any/../-/status.json", 400],
    ["a network path", "//other.example/wire.txt", 404],
    ["a network path to a page", "//-/status.json", 404],
    ["userinfo", "http://127.0.0.1@other.example/any/wire.txt", 400],
    ["our host as userinfo of another", "http://other.example#@127.0.0.1/any/wire.txt", 421],
    ["backslashes in place of slashes", "http:\\\\127.0.0.1\\any\\wire.txt", 400],
    ["no host", "http:///any/wire.txt", 400],
    ["the authority form", "127.0.0.1:80", 400],
    ["the asterisk form", "*", 400],
  ])("%s in a target is answered by what it says, never by another page", async (_name, target, status) => {
    expect((await send([`GET ${target} HTTP/1.1`, `Host: ${own}`, login])).statuses).toEqual([status]);
  });

  it("drops a fragment", async () => {
    expect(await send(["GET /any/wire.txt#/-/status HTTP/1.1", `Host: ${own}`])).toEqual({ statuses: [200], body: FILE });
  });

  it.each(["\u0001", "\u001b[2J", "\t", "\u007f", "\u0080"])("refuses the byte %j in a target", async (byte) => {
    for (const path of [`/any/${byte}wire.txt`, `/-/hea${byte}lth`]) {
      expect((await send([`GET ${path} HTTP/1.1`, `Host: ${own}`])).statuses).toEqual([400]);
    }
  });

  it("connects to nothing for CONNECT, and says so", async () => {
    const asked: unknown[] = [];
    const other = createServer((socket) => {
      asked.push(socket.remotePort);
      socket.destroy();
    }).listen(0, "127.0.0.1");
    await once(other, "listening");
    const target = `127.0.0.1:${(other.address() as AddressInfo).port}`;
    for (const authority of [target, own, "other.example:443"]) {
      const { statuses, body } = await send([`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`]);
      // workerd decides before the Worker is asked (docs/decisions/0003-raw-request-targets.md): 500, with a body.
      expect(statuses.every((status) => status >= 400)).toBe(true);
      expect(statuses.length).toBe(1);
      expect(body).not.toBe("");
    }
    expect(asked).toEqual([]);
    other.close();
  });

  it.each(["TRACE", "OPTIONS", "PUT", "DELETE", "PATCH", "PROPFIND"])("answers 405 to %s", async (method) => {
    for (const target of ["/any/wire.txt", "/-/health"]) {
      expect((await send([`${method} ${target} HTTP/1.1`, `Host: ${own}`])).statuses).toEqual([405]);
    }
  });

  it("reads one framing where a request has two, and takes no byte of its body for a request (RFC 9112 §6.1)", async () => {
    const hidden = `GET /-/status.json HTTP/1.1\r\nHost: ${own}\r\n${login}\r\n\r\n`;
    const chunk = `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`;
    const framings = [
      ["Content-Length: 5", "Transfer-Encoding: chunked"],
      ["Transfer-Encoding: chunked", `Content-Length: ${chunk.length}`],
    ];
    for (const framing of framings) {
      const { statuses, body } = await send(["GET /any/wire.txt HTTP/1.1", `Host: ${own}`, ...framing], chunk);
      // workerd shows the Worker the chunked framing alone: 400 is not ours to give.
      expect(statuses.length).toBe(1);
      expect(body).not.toContain("upstreams");
    }
    for (const coding of ["xchunked", "identity", "chunked, gzip"]) {
      const { statuses } = await send(["GET /any/wire.txt HTTP/1.1", `Host: ${own}`, `Transfer-Encoding: ${coding}`], chunk);
      expect({ coding, statuses }).toEqual({ coding, statuses: [400] });
    }
  });
});
