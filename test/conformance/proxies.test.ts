import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findDamage, findWanted, LARGE, SCENARIOS, SMALL, type ScenarioRepository } from "../support/clients/scenario.ts";
import { download } from "../support/download.ts";
import { type MirrorProcess, startMirror } from "../support/mirror.ts";
import { findOwnAddress, makeCertificate, type ServerProgram, startNginx, startSquid, startTinyproxy } from "../support/proxies.ts";
import { requireTools } from "../support/run-tool.ts";

const OWN = findOwnAddress();
const LOGIN = { user: "mirror", password: "s3cret:word" };
const TOOLS = [...SCENARIOS.apt.tools, "squid", "tinyproxy", "nginx", "openssl"];
const FIRST_BYTE_SECONDS = 2;

describe.runIf(requireTools(...TOOLS) && OWN !== null)("a way out through a proxy", () => {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-proxies-"));
  let repository: ScenarioRepository;
  let nginx: ServerProgram;
  let squid: ServerProgram;
  let tinyproxy: ServerProgram;
  let certificate: string;
  /** A plain origin that behaves as the path says. */
  let origin: Server;
  const asked: IncomingMessage[] = [];
  const left: string[] = [];
  let mirrors: MirrorProcess[] = [];

  beforeAll(async () => {
    repository = await SCENARIOS.apt.openRepository();
    const pair = await makeCertificate(folder, [`IP:${OWN}`]);
    ({ certificate } = pair);
    nginx = await startNginx(repository.folder, pair);
    squid = await startSquid(LOGIN);
    tinyproxy = await startTinyproxy(nginx.port);
    origin = createServer((request, response) => {
      asked.push(request);
      const path = request.url ?? "";
      response.on("close", () => left.push(path));
      if (path.endsWith("/absent")) response.writeHead(404).end("none");
      else if (path.endsWith("/silent")) return;
      else if (path.endsWith("/moved")) response.writeHead(302, { Location: "./hello" }).end();
      else if (path.endsWith("/cut")) {
        response.writeHead(200, { "Content-Length": 1_000_000 });
        response.write(Buffer.alloc(500_000), () => setTimeout(() => response.destroy(), 100));
      } else response.writeHead(200, { ETag: '"a"', "X-Other": "1" }).end("hello\n");
    });
    await once(origin.listen(0, "0.0.0.0"), "listening");
  });
  afterAll(async () => {
    origin?.closeAllConnections();
    origin?.close();
    for (const program of [nginx, squid, tinyproxy]) await program?.stop();
    for (const path of [folder, repository?.folder]) if (path !== undefined) rmSync(path, { recursive: true, force: true });
  });
  const secure = (): string => `https://${OWN}:${nginx.port}`;
  const plain = (): string => `http://${OWN}:${(origin.address() as AddressInfo).port}`;
  const squidUrl = (password = LOGIN.password): string => `http://${LOGIN.user}:${encodeURIComponent(password)}@127.0.0.1:${squid.port}`;

  async function start(env: Readonly<Record<string, string>>): Promise<MirrorProcess> {
    const mirror = await startMirror({
      mirrors: { m: { upstreams: [secure()], distro: "debian" }, plain: { upstreams: [plain()] } },
      vars: { UPSTREAM_FIRST_BYTE_SECONDS: FIRST_BYTE_SECONDS },
      env: { NODE_EXTRA_CA_CERTS: certificate, ...env },
    });
    mirrors.push(mirror);
    return mirror;
  }
  async function removeAll(): Promise<void> {
    for (const mirror of mirrors) await mirror.remove();
    mirrors = [];
  }

  async function install(mirror: MirrorProcess): Promise<void> {
    const client = repository.open(mirror.prefixUrl("m"));
    try {
      expect(await client.refresh()).toMatchObject({ code: 0 });
      expect(await client.install(findWanted(repository, LARGE), findWanted(repository, SMALL))).toMatchObject({ code: 0 });
      expect(findDamage(client, repository)).toEqual([]);
    } finally {
      client.remove();
    }
  }

  it("has apt install from an https upstream by squid, with a password, by CONNECT", async () => {
    const mirror = await start({ HTTPS_PROXY: squidUrl() });
    try {
      await install(mirror);
      expect(mirror.output()).toContain(`By the proxy http://127.0.0.1:${squid.port}: ${secure()}`);
      expect(mirror.output()).toContain(`Without a proxy: ${plain()}`);
      expect(mirror.output()).not.toContain(LOGIN.password);
      expect(mirror.output()).not.toContain(encodeURIComponent(LOGIN.password));
    } finally {
      await removeAll();
    }
    // squid logs a tunnel when it has ended.
    const line = `CONNECT ${OWN}:${nginx.port}`;
    for (let tries = 0; tries < 100 && !squid.log().includes(line); tries++) await sleep(50);
    expect(squid.log()).toContain(line);
  });

  it("has apt install by tinyproxy, named in lower case and without a scheme", async () => {
    const mirror = await start({ https_proxy: `127.0.0.1:${tinyproxy.port}` });
    try {
      await install(mirror);
      expect(tinyproxy.log()).toContain(`CONNECT ${OWN}:${nginx.port}`);
    } finally {
      await removeAll();
    }
  });

  it("goes directly where no proxy is named, or NO_PROXY names the upstream", async () => {
    const before = squid.log().length;
    const direct = await start({ HTTPS_PROXY: "", HTTP_PROXY: "" });
    const exempt = await start({ HTTPS_PROXY: "http://127.0.0.1:1", HTTP_PROXY: "http://127.0.0.1:1", NO_PROXY: `a.example,${OWN}/32` });
    try {
      for (const mirror of [direct, exempt]) {
        expect(await download(`${mirror.url}/m/dists/stable/InRelease`)).toMatchObject({ status: 200, isWhole: true });
        expect(await download(`${mirror.url}/plain/hello`)).toMatchObject({ status: 200, length: 6 });
      }
      expect(squid.log()).toHaveLength(before);
    } finally {
      await removeAll();
    }
  });

  it.each(["squid", "tinyproxy"] as const)("passes plain answers of an upstream on as they are, by %s", async (name) => {
    const mirror = await start({ HTTP_PROXY: name === "squid" ? squidUrl() : `http://127.0.0.1:${tinyproxy.port}` });
    try {
      asked.length = 0;
      expect(await download(`${mirror.url}/plain/hello`)).toMatchObject({ status: 200, length: 6, isWhole: true });
      // The Host is the upstream's, and credentials of the proxy go no further than the proxy.
      expect(asked[0]?.headers.host).toBe(plain().replace("http://", ""));
      expect(asked[0]?.headers["proxy-authorization"]).toBeUndefined();
      expect((await download(`${mirror.url}/plain/absent`)).status).toBe(404);
      expect(await download(`${mirror.url}/plain/moved`)).toMatchObject({ status: 200, length: 6 });
    } finally {
      await removeAll();
    }
  });

  it("keeps the limits: a silent upstream is given up, and a body that is cut off is not taken for whole", async () => {
    const mirror = await start({ HTTP_PROXY: squidUrl() });
    try {
      left.length = 0;
      const reply = await fetch(`${mirror.url}/plain/silent`);
      expect(reply.status).toBe(504);
      expect(await reply.text()).toContain(`within ${FIRST_BYTE_SECONDS} s`);
      // The request is ended at the upstream as well.
      for (let tries = 0; tries < 100 && !left.includes("/silent"); tries++) await sleep(50);
      expect(left).toContain("/silent");
      const cut = await download(`${mirror.url}/plain/cut`);
      expect(cut.status === 502 || !cut.isWhole).toBe(true);
    } finally {
      await removeAll();
    }
  });

  it("names a proxy that refuses, and not its password", async () => {
    const wrong = await start({ HTTP_PROXY: squidUrl("wr0ng"), HTTPS_PROXY: squidUrl("wr0ng") });
    const gone = await start({ HTTP_PROXY: "http://127.0.0.1:1", HTTPS_PROXY: "http://127.0.0.1:1" });
    const forbids = await start({ HTTPS_PROXY: `http://127.0.0.1:${squid.port}` });
    try {
      for (const path of ["m/dists/stable/InRelease", "m/pool/a.deb", "plain/hello"]) {
        const reply = await fetch(`${wrong.url}/${path}`);
        expect([path, reply.status]).toEqual([path, 502]);
        expect(await reply.text()).toContain(
          `the proxy http://127.0.0.1:${squid.port} answered 407: it does not take the user and password`,
        );
      }
      expect(wrong.output()).toContain("answered 407");
      expect(wrong.output()).not.toContain("wr0ng");
      for (const path of ["m/pool/a.deb", "plain/hello"]) {
        const reply = await fetch(`${gone.url}/${path}`);
        expect([path, reply.status]).toEqual([path, 502]);
        expect(await reply.text()).toContain("the proxy http://127.0.0.1:1 refused the connection");
      }
      expect(await (await fetch(`${forbids.url}/m/pool/a.deb`)).text()).toContain("it asks for user and password");
    } finally {
      await removeAll();
    }
  });
});
