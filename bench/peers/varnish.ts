import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findFreePorts, startProcess, takesConnections, type StartPeer } from "./peer.ts";

/** Room for images of 1 GB; it is taken only as it fills. Debian's unit says `malloc,256m`, which holds none of them. */
const STORAGE = "malloc,4G";

/** Varnish with its default kind of storage, memory, and its default parameters. It writes no log (varnishncsa does, where an operator runs it) and has no disk. */
export const startVarnish: StartPeer = async (folder, origins) => {
  mkdirSync(folder, { recursive: true });
  // varnishd's child gives up root.
  chmodSync(folder, 0o777);
  const ports = await findFreePorts(origins.length);
  const backends = origins.map((origin) => `backend o${origin} { .host = "127.0.0.1"; .port = "${origin}"; }`);
  const choose = origins.map((origin, at) => `if (std.port(local.ip) == ${ports[at]}) { set req.backend_hint = o${origin}; }`);
  writeFileSync(
    join(folder, "mirror.vcl"),
    `vcl 4.1;
import std;
${backends.join("\n")}
sub vcl_recv { ${choose.join(" ")} }
sub vcl_backend_response { set beresp.ttl = 90d; }
`,
  );
  const listeners = ports.flatMap((port) => ["-a", `127.0.0.1:${port}`]);
  const args = ["-F", ...listeners, "-f", join(folder, "mirror.vcl"), "-n", join(folder, "work"), "-s", STORAGE];
  const process = await startProcess("varnishd", args, () => takesConnections(ports[0] ?? 0));
  return { name: "Varnish", url: (origin) => `http://127.0.0.1:${ports[origins.indexOf(origin)]}`, ...process };
};
