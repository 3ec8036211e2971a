import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "../../test/support/run-tool.ts";
import { findFreePorts, startProcess, takesConnections, type StartPeer } from "./peer.ts";

/**
 * squid as a "lazy distro mirror": accelerator, packages for 90 days, LFUDA in 10 GB on disk. Memory (cache_mem 256 MB, objects up to 512 KB), its log and its
 * threads are squid's defaults. `maximum_object_size` is raised from 4 MB, or it would store no image; `collapsed_forwarding` is on, or each client of a cold file
 * would have a request of its own.
 */
export const startSquid: StartPeer = async (folder, origins) => {
  const cache = join(folder, "cache");
  mkdirSync(cache, { recursive: true });
  // squid gives up root for a user of its own.
  for (const path of [folder, cache]) chmodSync(path, 0o777);
  const ports = await findFreePorts(origins.length);
  const sites = origins.map(
    (origin, at) => `
http_port 127.0.0.1:${ports[at]} accel vhost name=site${at}
cache_peer 127.0.0.1 parent ${origin} 0 no-query no-digest no-netdb-exchange originserver name=origin${at}
acl site${at} myportname site${at}
cache_peer_access origin${at} allow site${at}
cache_peer_access origin${at} deny all`,
  );
  writeFileSync(
    join(folder, "squid.conf"),
    `visible_hostname bench
${sites.join("\n")}
http_access allow all
never_direct allow all
cache_replacement_policy heap LFUDA
maximum_object_size 4 GB
cache_dir aufs ${cache} 10000 16 256
collapsed_forwarding on
refresh_pattern -i \\.(deb|rpm|iso)$ 129600 100% 129600 override-expire refresh-ims
refresh_pattern . 0 20% 4320
access_log daemon:${join(folder, "access.log")}
cache_log ${join(folder, "cache.log")}
pid_filename ${join(folder, "squid.pid")}
netdb_filename stdio:${join(folder, "netdb")}
coredump_dir ${folder}
shutdown_lifetime 1 seconds
max_filedescriptors 8192
`,
  );
  const args = ["-N", "-f", join(folder, "squid.conf")];
  await mustRun("squid", [...args, "-z"]);
  const process = await startProcess("squid", args, () => takesConnections(ports[0] ?? 0));
  return { name: "squid", url: (origin) => `http://127.0.0.1:${ports[origins.indexOf(origin)]}`, ...process };
};
