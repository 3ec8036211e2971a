import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findDamage, findWanted, LARGE, SCENARIOS, SMALL, type ScenarioRepository } from "../support/clients/scenario.ts";
import { type MirrorProcess, startMirror } from "../support/mirror.ts";
import { makeCertificate, type ServerProgram, startCaddyBefore, startNginxBefore } from "../support/proxies.ts";
import { requireTools, runTool } from "../support/run-tool.ts";

const BROWSER = { accept: "text/html" };

describe.runIf(requireTools(...SCENARIOS.apt.tools, "nginx", "caddy", "openssl", "curl"))(
  "who the client is, and by which URL it came",
  () => {
    const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-arrival-"));
    let repository: ScenarioRepository;
    let mirror: MirrorProcess;
    let nginx: ServerProgram;
    let caddy: ServerProgram;
    let certificate: string;

    beforeAll(async () => {
      repository = await SCENARIOS.apt.openRepository();
      const pair = await makeCertificate(folder, ["IP:127.0.0.1"]);
      ({ certificate } = pair);
      const upstreams = [`file://${repository.folder}`];
      mirror = await startMirror({
        mirrors: {
          m: { upstreams, distro: "debian", hosts: ["deb.example/debian", "own.example/a/b"] },
          closed: {
            upstreams,
            distro: "debian",
            hosts: ["deb.example/debian/closed"],
            access: { networks: ["127.0.0.2", "192.0.2.0/24"] },
          },
        },
        vars: { SERVER_NAMES: ["mirror.example"], TRUSTED_PROXIES: ["127.0.0.1"] },
      });
      [nginx, caddy] = await Promise.all([startNginxBefore(mirror.port, pair), startCaddyBefore(mirror.port)]);
    }, 60_000);
    afterAll(async () => {
      for (const program of [nginx, caddy]) await program?.stop();
      await mirror?.remove();
      for (const path of [folder, repository?.folder]) if (path !== undefined) rmSync(path, { recursive: true, force: true });
    });

    /** A request from a loopback address of its own; `path` may be an absolute URL, as to a proxy. */
    async function ask(path: string, from: string, headers: Readonly<Record<string, string>> = {}, host = "mirror.example") {
      const sent = request({ host: "127.0.0.1", port: mirror.port, path, localAddress: from, headers: { host, ...headers }, agent: false });
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        sent.on("response", resolve).on("error", reject).end();
      });
      return { status: answer.statusCode, location: answer.headers.location, text: await text(answer) };
    }

    it("a mirror for networks lets in who connects from there, whatever headers say", async () => {
      const path = "/closed/dists/stable/InRelease";
      expect(await ask(path, "127.0.0.2")).toMatchObject({ status: 200 });
      const claims = [
        { "x-forwarded-for": "127.0.0.2" },
        { forwarded: "for=127.0.0.2" },
        { "cf-connecting-ip": "127.0.0.2", "x-real-ip": "127.0.0.2", "true-client-ip": "127.0.0.2" },
      ];
      for (const headers of [{}, ...claims]) expect(await ask(path, "127.0.0.3", headers)).toMatchObject({ status: 403 });
      // A trusted proxy is believed, but not what its client wrote before.
      expect(await ask(path, "127.0.0.1", { "x-forwarded-for": "192.0.2.7" })).toMatchObject({ status: 200 });
      expect(await ask(path, "127.0.0.1", { "x-forwarded-for": "192.0.2.7, 203.0.113.1" })).toMatchObject({ status: 403 });
      expect(await ask(path, "127.0.0.1", { "x-forwarded-for": "203.0.113.1", forwarded: "for=192.0.2.7" })).toMatchObject({ status: 400 });
      await expect.poll(() => mirror.output(), { timeout: 10_000 }).toContain("from 127.0.0.3");
    });

    it("a folder of a host is a mirror, as through DNS or through a proxy's setting", async () => {
      for (const [path, host] of [
        ["/debian/dists/stable/InRelease", "deb.example"],
        ["http://deb.example/debian/dists/stable/InRelease", "deb.example"],
        ["http://own.example:80/a/b/dists/stable/InRelease", "own.example:80"],
      ] as const) {
        expect(await ask(path, "127.0.0.3", {}, host)).toMatchObject({ status: 200 });
      }
      expect(await ask("/debian", "127.0.0.3", {}, "deb.example")).toMatchObject({ status: 301, location: "./debian/" });
      const refused = await ask("/ubuntu/x", "127.0.0.3", {}, "deb.example");
      expect(refused).toMatchObject({ status: 404 });
      expect(refused.text).toContain("/debian/");
      expect((await ask("http://other.example/x", "127.0.0.3", {}, "other.example")).text).toContain('"other.example/<folder>" to hosts');
    });

    it("apt installs from a machine's own sources through Acquire::http::Proxy", async () => {
      const client = repository.open("http://deb.example/debian");
      try {
        writeFileSync(join(client.root, "etc/apt/apt.conf.d/proxy"), `Acquire::http::Proxy "${mirror.url}";\n`);
        expect(await client.refresh()).toMatchObject({ code: 0 });
        expect(await client.install(findWanted(repository, LARGE), findWanted(repository, SMALL))).toMatchObject({ code: 0 });
        expect(findDamage(client, repository)).toEqual([]);
      } finally {
        client.remove();
      }
    });

    it("CONNECT is refused, and the log says what to do", async () => {
      const socket = connect(mirror.port, "127.0.0.1").end("CONNECT deb.example:443 HTTP/1.1\r\nHost: deb.example:443\r\n\r\n");
      expect(await text(socket)).toMatch(/^HTTP\/1\.1 5/);
      await expect.poll(() => mirror.output(), { timeout: 10_000 }).toContain('Acquire::https::Proxy "DIRECT"');
    });

    it("pages, scripts, mirrorlists and redirects are right behind nginx with TLS, below a path, and apt installs there", async () => {
      const base = `https://127.0.0.1:${nginx.port}/mirror`;
      const curl = async (path: string, ...more: readonly string[]) =>
        (await runTool("curl", ["-sS", "--cacert", certificate, ...more, base + path])).stdout;
      const page = await curl("/-/setup/m", "-H", "Accept: text/html");
      expect(page).toContain(`${base}/m`);
      expect(page).not.toContain("http://127.0.0.1");
      const links = [...page.matchAll(/(?:href|src|action)="(\/[^"]*)"/g)].map(([, link]) => link);
      expect(links.length).toBeGreaterThan(2);
      expect(links.filter((link) => link?.startsWith("/mirror/-/") !== true)).toEqual([]);
      expect(await curl("/-/setup/m.sh")).toContain(`${base}/m`);
      expect(await curl("/-/mirrorlist/m/x")).toBe(`${base}/m/x/\n`);
      const moved = await curl("/m", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}");
      expect(moved).toBe(`301 ${base}/m/`);
      expect(await curl("/-/style.css")).toContain("color-scheme");

      const client = repository.open(`${base}/m`);
      try {
        writeFileSync(join(client.root, "etc/apt/apt.conf.d/ca"), `Acquire::https::CAInfo "${certificate}";\n`);
        expect(await client.refresh()).toMatchObject({ code: 0 });
        expect(await client.install(findWanted(repository, SMALL))).toMatchObject({ code: 0 });
      } finally {
        client.remove();
      }
    });

    it("the doctor finds the server below the path, from its URL or a file's", async () => {
      const doctor = [join(import.meta.dirname, "../../src/local/doctor/doctor-main.ts"), "--token", mirror.readToken()];
      for (const path of ["/mirror", "/mirror/m/dists/stable/InRelease"]) {
        const url = `https://127.0.0.1:${nginx.port}${path}`;
        const { stdout } = await runTool(process.execPath, [...doctor, url], {
          env: { NODE_EXTRA_CA_CERTS: certificate },
        });
        expect(stdout).toMatch(/^good {2}https health +ok$/m);
        expect(stdout).toMatch(/^good {2}\/-\/status +closed: 401$/m);
        expect(stdout).toMatch(/^good {2}resumed download +/m);
        // The certificate of this test ends too soon.
        expect(stdout.match(/^BAD +(?!certificate)\S.*$/gm)).toBe(null);
      }
    });

    it("behind Caddy as it comes the client is known, and links have Caddy's address", async () => {
      const base = `http://127.0.0.1:${caddy.port}`;
      const lines = await (await fetch(`${base}/-/setup/m?for=apt`)).text();
      expect(lines).toContain(`${base}/m`);
      expect((await fetch(`${base}/closed/dists/stable/InRelease`, { headers: { "x-forwarded-for": "192.0.2.7" } })).status).toBe(403);
      const client = repository.open(`${base}/m`);
      try {
        expect(await client.refresh()).toMatchObject({ code: 0 });
      } finally {
        client.remove();
      }
    });

    it("with PUBLIC_URL a proxy needs no header, and may leave its path or take it away", async () => {
      await mirror.stop();
      await mirror.start({ PUBLIC_URL: "https://www.example/pkg" });
      for (const prefix of ["", "/pkg"]) {
        expect(await (await fetch(`${mirror.url}${prefix}/-/setup/m?for=apt`)).text()).toContain("https://www.example/pkg/m");
        const page = await (await fetch(`${mirror.url}${prefix}/-/setup/m`, { headers: BROWSER })).text();
        expect(page).toContain('href="/pkg/-/style.css"');
        expect((await fetch(`${mirror.url}${prefix}/m/dists/stable/InRelease`)).status).toBe(200);
        expect((await fetch(`${mirror.url}${prefix}/-/style.css`)).status).toBe(200);
      }
    });
  },
);
