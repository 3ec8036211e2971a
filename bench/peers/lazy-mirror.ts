import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findFreePorts, startProcess, type StartPeer } from "./peer.ts";

const ROOT = join(import.meta.dirname, "../..");

/** The host name under which the mirror of the origin at `port` answers, besides its prefix. */
export function hostOf(port: number): string {
  return `o${port}.test`;
}

/** The one-machine server as `npm start` runs it, with its line for each request. */
export const startLazyMirror: StartPeer = async (folder, origins) => {
  mkdirSync(folder, { recursive: true });
  const [port = 0] = await findFreePorts(1);
  const config = join(folder, "wrangler.toml");
  const mirrors = origins.map(
    (origin) => `[vars.MIRRORS.o${origin}]\nupstreams = ["http://127.0.0.1:${origin}"]\nhosts = ["${hostOf(origin)}"]\n`,
  );
  writeFileSync(config, `[vars]\nBUDGET_GB = 10\n${mirrors.join("")}`);
  const args = [join(ROOT, "src/local/server/main.ts"), "--config", config, "--state", join(folder, "state"), "--port", String(port)];
  const isReady = async (): Promise<boolean> => {
    const health = await fetch(`http://127.0.0.1:${port}/-/health`).catch(() => null);
    await health?.body?.cancel();
    return health?.status === 200;
  };
  const process = await startProcess(join(ROOT, "node_modules/.bin/node"), args, isReady);
  return { name: "Lazy Mirror", url: (origin) => `http://127.0.0.1:${port}/o${origin}`, ...process };
};
