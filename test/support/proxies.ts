import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { connect } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePort } from "./mirror.ts";
import { guardGroup, endGroup } from "./process-group.ts";
import { mustRun } from "./run-tool.ts";

/** A server program of the system, on a port of loopback or of all addresses. */
export interface ServerProgram {
  readonly port: number;
  /** Its log so far. */
  log(): string;
  stop(): Promise<void>;
}

const READY_MS = 20_000;
const SBIN = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8" };

/** Basic credentials of a proxy. */
interface Login {
  readonly user: string;
  readonly password: string;
}

/** squid without a cache, which wants `login`. */
export function startSquid({ user, password }: Login): Promise<ServerProgram> {
  return startProgram("squid", async (folder, port) => {
    const hash = await mustRun("openssl", ["passwd", "-apr1", password]);
    writeFileSync(join(folder, "users"), `${user}:${hash}`, { mode: 0o644 });
    const lines = [
      `http_port 127.0.0.1:${port}`,
      `pid_filename ${folder}/squid.pid`,
      `access_log stdio:${folder}/log`,
      `cache_log ${folder}/cache.log`,
      "cache deny all",
      "shutdown_lifetime 0 seconds",
      `coredump_dir ${folder}`,
      `auth_param basic program /usr/lib/squid/basic_ncsa_auth ${folder}/users`,
      "acl known proxy_auth REQUIRED",
      "http_access allow known",
      "http_access deny all",
    ];
    writeFileSync(join(folder, "squid.conf"), `${lines.join("\n")}\n`);
    return ["squid", "-N", "-f", join(folder, "squid.conf")];
  });
}

/** tinyproxy, which wants no password, and lets CONNECT through to `secure` alone. */
export function startTinyproxy(secure: number): Promise<ServerProgram> {
  return startProgram("tinyproxy", async (folder, port) => {
    const lines = [
      `Port ${port}`,
      "Listen 127.0.0.1",
      `LogFile "${folder}/log"`,
      "LogLevel Connect",
      "MaxClients 50",
      `ConnectPort ${secure}`,
    ];
    writeFileSync(join(folder, "tinyproxy.conf"), `${lines.join("\n")}\n`);
    return ["tinyproxy", "-d", "-c", join(folder, "tinyproxy.conf")];
  });
}

/** nginx with TLS over a folder, on all addresses. */
export function startNginx(
  root: string,
  { certificate, key }: { readonly certificate: string; readonly key: string },
): Promise<ServerProgram> {
  return startProgram("nginx", async (folder, port) => {
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`);
    const server = `server { listen ${port} ssl; ssl_certificate ${certificate}; ssl_certificate_key ${key}; root ${root}; autoindex on; }`;
    const http = `http { access_log ${folder}/log; ${paths.join(" ")} ${server} }`;
    writeFileSync(join(folder, "nginx.conf"), `daemon off; user root; worker_processes 1; pid ${folder}/pid; events {}\n${http}\n`);
    return ["nginx", "-e", join(folder, "error"), "-c", join(folder, "nginx.conf")];
  });
}

/** nginx with TLS before a mirror at port `mirror`, which it has below `/mirror`; as docs/configuration.md shows it. */
export function startNginxBefore(
  mirror: number,
  { certificate, key }: { readonly certificate: string; readonly key: string },
): Promise<ServerProgram> {
  return startProgram("nginx", async (folder, port) => {
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`);
    const headers = [
      "Host $http_host",
      "X-Forwarded-For $remote_addr",
      "X-Forwarded-Proto $scheme",
      "X-Forwarded-Host $http_host",
      "X-Forwarded-Prefix /mirror",
      'X-Forwarded-Port ""',
      'Forwarded ""',
    ].map((header) => `proxy_set_header ${header};`);
    const location = `location /mirror/ { proxy_pass http://127.0.0.1:${mirror}/; ${headers.join(" ")} proxy_buffering off; }`;
    const server = `server { listen ${port} ssl; ssl_certificate ${certificate}; ssl_certificate_key ${key}; ${location} }`;
    const http = `http { access_log ${folder}/log; ${paths.join(" ")} ${server} }`;
    writeFileSync(join(folder, "nginx.conf"), `daemon off; user root; worker_processes 1; pid ${folder}/pid; events {}\n${http}\n`);
    return ["nginx", "-e", join(folder, "error"), "-c", join(folder, "nginx.conf")];
  });
}

/** Caddy before a mirror at port `mirror`, as its documentation has it: it passes paths on as they are. */
export function startCaddyBefore(mirror: number): Promise<ServerProgram> {
  return startProgram("caddy", async (folder, port) => {
    const options = ["{", "  admin off", "  auto_https off", `  storage file_system ${folder}`, "}"];
    const lines = [...options, `http://:${port} {`, `  reverse_proxy 127.0.0.1:${mirror}`, "}"];
    writeFileSync(join(folder, "Caddyfile"), `${lines.join("\n")}\n`);
    return ["env", `HOME=${folder}`, "caddy", "run", "--config", join(folder, "Caddyfile"), "--adapter", "caddyfile"];
  });
}

/** Writes a certificate of its own authority for `hosts` (`DNS:…`, `IP:…`), valid for two days, and its key, into `folder`. */
export async function makeCertificate(folder: string, hosts: readonly string[], name = "server") {
  const [certificate, key] = [join(folder, `${name}.pem`), join(folder, `${name}-key.pem`)];
  const request = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
    "-subj",
    `/CN=${name}`,
  ];
  await mustRun("openssl", [...request, "-addext", `subjectAltName=${hosts.join(",")}`, "-keyout", key, "-out", certificate]);
  chmodSync(key, 0o600);
  return { certificate, key };
}

/** An address of this machine that is not loopback, which no proxy is ever asked for; null: it has none. */
export function findOwnAddress(): string | null {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? null;
}

async function startProgram(name: string, prepare: (folder: string, port: number) => Promise<readonly string[]>): Promise<ServerProgram> {
  const folder = mkdtempSync(join(tmpdir(), `lazy-mirror-${name}-`));
  // squid gives its rights up, and reads its files as another user.
  chmodSync(folder, 0o777);
  mkdirSync(join(folder, "tmp"));
  const port = await findFreePort();
  const [command = "", ...args] = await prepare(folder, port);
  const child = spawn(command, args, { cwd: folder, env: SBIN, stdio: ["ignore", "pipe", "pipe"], detached: true });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  const callOff = child.pid === undefined ? () => {} : guardGroup(child.pid);
  const read = (file: string): string => {
    try {
      return readFileSync(join(folder, file), "utf8");
    } catch {
      return "";
    }
  };
  const stop = async (): Promise<void> => {
    if (child.pid !== undefined) {
      child.kill("SIGTERM");
      await endGroup(child.pid);
    }
    callOff();
    rmSync(folder, { recursive: true, force: true });
  };
  for (const deadline = Date.now() + READY_MS; Date.now() < deadline; await sleep(50)) {
    if (child.exitCode !== null) break;
    if (await isListening(port)) return { port, log: () => read("log"), stop };
  }
  const said = `${output}${read("cache.log")}${read("error")}${read("log")}`;
  await stop();
  throw new Error(`Cannot start ${name}: it should listen on port ${port}\n${said}`);
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
