import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findFreePorts, startProcess, takesConnections, type StartPeer } from "./peer.ts";

/** A web server over `files`, one port for each of `limits`: bytes a second of each response, 0 for no limit. */
export async function startOrigin(folder: string, files: string, limits: readonly number[]) {
  const ports = await findFreePorts(limits.length);
  const servers = limits.map(
    (limit, at) =>
      `server { listen 127.0.0.1:${ports[at]} backlog=4096; root ${files}; limit_rate ${limit}; access_log ${logPath(folder, at)} plain; }`,
  );
  const process = await startNginx(folder, "log_format plain '$request_method $uri $status $body_bytes_sent';", servers, ports);
  return { ports, ...process, log: (at: number) => logPath(folder, at) };
}

function logPath(folder: string, at: number): string {
  return join(folder, `origin-${at}.log`);
}

/**
 * nginx with proxy_cache and its lock, which makes clients of one file wait for the first; one process for each core, and its default log. Neither
 * `aio threads` nor `tcp_nopush`, which nginx has off by default: the one trebles its CPU for files of 4 KB, the other makes it send the end of a cached file of
 * 100 KB 40 ms late, when the client's delayed acknowledgement comes.
 */
export const startNginxCache: StartPeer = async (folder, origins) => {
  const ports = await findFreePorts(origins.length);
  const zone = `proxy_cache_path ${join(folder, "cache")} levels=1:2 keys_zone=mirror:20m max_size=10g inactive=90d use_temp_path=off;
  proxy_cache mirror; proxy_cache_valid 200 90d; proxy_cache_lock on; proxy_cache_lock_timeout 1h; proxy_cache_lock_age 1h;
  proxy_http_version 1.1; proxy_set_header Connection ""; access_log ${join(folder, "access.log")};`;
  const servers = origins.map(
    (origin, at) => `server { listen 127.0.0.1:${ports[at]} backlog=4096;
    location / { proxy_pass http://127.0.0.1:${origin}; proxy_cache_key ${origin}$uri; } }`,
  );
  const process = await startNginx(folder, zone, servers, ports);
  return { name: "nginx", url: (origin) => `http://127.0.0.1:${ports[origins.indexOf(origin)]}`, ...process };
};

async function startNginx(folder: string, http: string, servers: readonly string[], ports: readonly number[]) {
  mkdirSync(folder, { recursive: true });
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${join(folder, name)};`);
  const user = process.getuid?.() === 0 ? "user root;" : "";
  writeFileSync(
    join(folder, "nginx.conf"),
    `${user} daemon off; worker_processes auto; pid ${join(folder, "nginx.pid")}; error_log ${join(folder, "error.log")};
events { worker_connections 4096; }
http { ${temporary.join(" ")} sendfile on; keepalive_requests 100000000; default_type application/octet-stream;
  ${http}
  ${servers.join("\n  ")}
}
`,
  );
  return startProcess("nginx", ["-p", folder, "-e", join(folder, "error.log"), "-c", join(folder, "nginx.conf")], () =>
    takesConnections(ports[0] ?? 0),
  );
}
