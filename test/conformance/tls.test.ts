import { appendFileSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findDamage, findWanted, LARGE, SCENARIOS, SMALL, type ScenarioRepository } from "../support/clients/scenario.ts";
import { findFreePort, type MirrorProcess, startMirror } from "../support/mirror.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { makeCertificate } from "../support/proxies.ts";
import { requireTools, runTool } from "../support/run-tool.ts";

const { apt, dnf } = SCENARIOS;
const NODE = join(import.meta.dirname, "../../node_modules/.bin/node");
const SRC = join(import.meta.dirname, "../../src");

describe.runIf(requireTools(...apt.tools, ...dnf.tools, "openssl"))("npm start with TLS", () => {
  const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-tls-"));
  const [certificate, key] = [join(folder, "used.pem"), join(folder, "used-key.pem")];
  const opened: { repository: ScenarioRepository; origin: Origin }[] = [];
  let mirror: MirrorProcess;
  let url: string;

  beforeAll(async () => {
    await use("first");
    const port = await findFreePort();
    url = `https://127.0.0.1:${port}`;
    for (const scenario of [apt, dnf]) {
      const repository = await scenario.openRepository();
      opened.push({ repository, origin: await startOrigin(repository.folder) });
    }
    const [debian, fedora] = opened;
    mirror = await startMirror({
      mirrors: {
        debian: { upstreams: [debian?.origin.url ?? ""], distro: "debian" },
        fedora: { upstreams: [fedora?.origin.url ?? ""], distro: "fedora" },
      },
      args: ["--listen", url, "--certificate", certificate, "--key", key],
    });
  });
  afterAll(async () => {
    await mirror?.remove();
    for (const { repository, origin } of opened) {
      await origin.close();
      rmSync(repository.folder, { recursive: true, force: true });
    }
    rmSync(folder, { recursive: true, force: true });
  });

  /** Puts a new pair of that name in the place of the one in use. */
  async function use(name: string): Promise<void> {
    const pair = await makeCertificate(folder, ["IP:127.0.0.1", "DNS:localhost"], name);
    copyFileSync(pair.key, key);
    copyFileSync(pair.certificate, certificate);
  }

  /** An answer over TLS, and the name of the certificate that the server showed. */
  function ask(path: string): Promise<{ readonly status: number; readonly body: string; readonly name: string }> {
    return new Promise((resolve, reject) => {
      const sent = request(`${url}${path}`, { rejectUnauthorized: false, agent: false }, (response: IncomingMessage) => {
        const name = (response.socket as TLSSocket).getPeerCertificate().subject.CN;
        text(response).then((body) => resolve({ status: response.statusCode ?? 0, body, name: String(name) }), reject);
      });
      sent.on("error", reject);
      sent.end();
    });
  }

  it.each(["apt", "dnf"] as const)("has %s install over https, with an authority of its own", async (client) => {
    const { repository } = opened[client === "apt" ? 0 : 1] ?? {};
    if (repository === undefined) throw new Error("Cannot test without a repository");
    const program = repository.open(`${url}/${client === "apt" ? "debian" : "fedora"}`);
    try {
      // The control: without the authority both refuse the server.
      expect((await program.refresh()).code).not.toBe(0);
      if (client === "apt") appendFileSync(join(program.root, "apt.conf"), `Acquire::https::CAInfo "${certificate}";\n`);
      else appendFileSync(join(program.root, "../repos/test.repo"), `sslcacert=${certificate}\n`);
      expect(await program.refresh()).toMatchObject({ code: 0 });
      expect(await program.install(findWanted(repository, LARGE), findWanted(repository, SMALL))).toMatchObject({ code: 0 });
      expect(findDamage(program, repository)).toEqual([]);
    } finally {
      program.remove();
    }
  });

  it("prints https URLs, at the start and on pages, and http URLs over plain HTTP, whatever a client claims", async () => {
    expect(mirror.output()).toContain(url);
    expect((await ask("/-/setup/debian")).body).toContain(`${url}/debian`);
    const plain = await fetch(`${mirror.url}/-/setup/debian`, { headers: { "Lazy-Mirror-Scheme": "https" } });
    const page = await plain.text();
    expect(page).toContain(`${mirror.url}/debian`);
    expect(page).not.toContain(`https://127.0.0.1:${mirror.port}`);
  });

  it("serves the operator's commands and the doctor", async () => {
    const env = { NODE_EXTRA_CA_CERTS: certificate };
    const command = [join(SRC, "local/operator/mirror-command.ts"), "--server", url, "--state", mirror.stateFolder, "status"];
    expect(await runTool(NODE, command, { env })).toMatchObject({ code: 0 });
    const doctor = await runTool(NODE, [join(SRC, "local/doctor/doctor-main.ts"), url], { env });
    expect(doctor.stdout).not.toContain("no answer");
    expect(doctor.code).not.toBe(127);
  });

  it("takes a renewed certificate on SIGHUP, and keeps the one in use while the files are no pair", async () => {
    expect((await ask("/-/health")).name).toBe("first");
    const other = await makeCertificate(folder, ["IP:127.0.0.1"], "other");
    copyFileSync(other.certificate, certificate);
    mirror.signal("SIGHUP");
    await until(() => mirror.output().includes("The certificate in use stays."));
    expect((await ask("/-/health")).name).toBe("first");
    await use("second");
    mirror.signal("SIGHUP");
    await until(async () => (await ask("/-/health").catch(() => null))?.name === "second");
    expect((await ask("/debian/dists/stable/InRelease")).status).toBe(200);
  });

  async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
    for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(50)) if (await isSo()) return;
    throw new Error(`Cannot go on: it should be so within 30 s\n${mirror.output()}`);
  }

  it("refuses files that are no pair, and options that miss each other", async () => {
    const config = join(folder, "wrangler.toml");
    writeFileSync(config, '[vars.MIRRORS.m]\nupstreams = ["http://127.0.0.1:1"]\n');
    const [one, two] = await Promise.all(["one", "two"].map((name) => makeCertificate(folder, ["IP:127.0.0.1"], name)));
    const refusal = async (...args: readonly string[]): Promise<string> => {
      const command = [join(SRC, "local/server/main.ts"), "--config", config, "--state", join(folder, "state"), ...args];
      const run = await runTool(NODE, command, { timeoutMs: 20_000 });
      expect(run.code).toBe(1);
      return run.stderr;
    };
    const listen = ["--listen", "https://127.0.0.1:0"];
    expect(await refusal(...listen)).toContain("needs --certificate <file> and --key <file>");
    expect(await refusal(...listen, "--certificate", one?.certificate ?? "", "--key", two?.key ?? "")).toContain("it is not the key of");
  });
});
