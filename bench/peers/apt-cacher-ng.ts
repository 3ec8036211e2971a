import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findFreePorts, startProcess, takesConnections, type StartPeer } from "./peer.ts";

export const startAptCacherNg: StartPeer = async (folder) => {
  const [port = 0] = await findFreePorts(1);
  const conf = join(folder, "conf");
  for (const path of [conf, join(folder, "cache"), join(folder, "log")]) mkdirSync(path, { recursive: true });
  writeFileSync(
    join(conf, "acng.conf"),
    [
      `CacheDir: ${join(folder, "cache")}`,
      `LogDir: ${join(folder, "log")}`,
      "SupportDir: /usr/lib/apt-cacher-ng",
      `Port: ${port}`,
      "BindAddress: 127.0.0.1",
      "ReportPage: acng-report.html",
      "ExThreshold: 4",
      `PidFile: ${join(folder, "pid")}`,
      `SocketPath: ${join(folder, "socket")}`,
      "AllowUserPorts: 0",
      "",
    ].join("\n"),
  );
  const process = await startProcess("apt-cacher-ng", ["-c", conf, "ForeGround=1"], () => takesConnections(port));
  return { name: "apt-cacher-ng", url: (origin) => `http://127.0.0.1:${port}/127.0.0.1:${origin}`, ...process };
};
