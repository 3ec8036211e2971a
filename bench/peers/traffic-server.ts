import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findFreePorts, startProcess, takesConnections, type StartPeer } from "./peer.ts";

/** Where distributions keep its default configuration. */
const DEFAULTS = "/etc/trafficserver";

/**
 * Apache Traffic Server with the configuration that the distribution ships, but for its ports, a cache file of 10 GB in place of 256 MB, and how long
 * it keeps what comes without a lifetime. Its memory cache sizes itself (1 MB for each GB of disk); its log is binary, as shipped.
 */
export const startTrafficServer: StartPeer = async (folder, origins) => {
  if (!existsSync(DEFAULTS)) throw new Error(`Cannot run traffic_server: ${DEFAULTS} does not exist; install it`);
  const etc = join(folder, "etc");
  const inside = (name: string): string => {
    const path = join(folder, name);
    mkdirSync(path, { recursive: true });
    // It gives up root for a user of its own.
    chmodSync(path, 0o777);
    return path;
  };
  const [cache, log, run] = [inside("cache"), inside("log"), inside("run")];
  cpSync(DEFAULTS, etc, { recursive: true, dereference: true });
  const ports = await findFreePorts(origins.length);
  const records = join(etc, "records.config");
  const listeners = ports.map((port) => `${port}:ip-in=127.0.0.1`).join(" ");
  writeFileSync(
    records,
    readFileSync(records, "utf8").replace(
      /^CONFIG proxy\.config\.http\.server_ports .*$/m,
      `CONFIG proxy.config.http.server_ports STRING ${listeners}`,
    ),
  );
  writeFileSync(join(etc, "storage.config"), `${cache} 10G\n`);
  writeFileSync(join(etc, "cache.config"), "dest_domain=127.0.0.1 ttl-in-cache=90d\n");
  const maps = origins.map((origin, at) => `map http://127.0.0.1:${ports[at]}/ http://127.0.0.1:${origin}/\n`);
  writeFileSync(join(etc, "remap.config"), maps.join(""));
  const root = join(folder, "runroot.yaml");
  writeFileSync(
    root,
    `prefix: /usr
exec_prefix: /usr
bindir: /usr/bin
sbindir: /usr/sbin
includedir: /usr/include
libdir: /usr/lib
libexecdir: /usr/lib/trafficserver/modules
sysconfdir: ${etc}
datadir: ${cache}
localstatedir: ${run}
runtimedir: ${run}
logdir: ${log}
cachedir: ${cache}
`,
  );
  const process = await startProcess("traffic_server", [`--run-root=${root}`], () => takesConnections(ports[0] ?? 0));
  return { name: "Traffic Server", url: (origin) => `http://127.0.0.1:${ports[origins.indexOf(origin)]}`, ...process };
};
