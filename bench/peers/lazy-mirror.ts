import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findFreePorts, startProcess, type StartPeer } from "./peer.ts";

const ROOT = join(import.meta.dirname, "../..");

/** The host name under which the mirror of the origin at `port` answers, besides its prefix. */
export function hostOf(port: number): string {
  return `o${port}.test`;
}

/** The one-machine server by the very command of `npm start`, without npm's own process; it writes its line for each request. */
export const startLazyMirror: StartPeer = async (folder, origins) => {
  mkdirSync(folder, { recursive: true });
  const [port = 0] = await findFreePorts(1);
  const config = join(folder, "wrangler.toml");
  const mirrors = origins.map(
    (origin) => `[vars.MIRRORS.o${origin}]\nupstreams = ["http://127.0.0.1:${origin}"]\nhosts = ["${hostOf(origin)}"]\n`,
  );
  writeFileSync(config, `[vars]\nBUDGET_GB = 10\n${mirrors.join("")}`);
  const args = ["--config", config, "--state", join(folder, "state"), "--port", String(port)];
  const { start } = (JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts: { start: string } }).scripts;
  const isReady = async (): Promise<boolean> => {
    const health = await fetch(`http://127.0.0.1:${port}/-/health`).catch(() => null);
    await health?.body?.cancel();
    return health?.status === 200;
  };
  const process = await startProcess("sh", ["-c", `cd ${ROOT} && PATH=node_modules/.bin:$PATH && ${start} "$@"`, "sh", ...args], isReady);
  return { name: "Lazy Mirror", url: (origin) => `http://127.0.0.1:${port}/o${origin}`, ...process };
};
