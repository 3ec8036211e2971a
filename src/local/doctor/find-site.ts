import type { Ask, Reply } from "./ask.ts";
import { attempt } from "./finding.ts";

/** Folders of a URL below which the server is looked for. */
const MAX_FOLDERS = 3;

/** The server's own URL, with a slash at its end, of a URL on it: a proxy may have it below a path, as `https://example.com/mirror/`. The root where no path answers. */
export async function findSite(url: URL, ask: Ask): Promise<URL> {
  const root = new URL("/", url);
  const folders = url.pathname.split("/").filter((folder) => folder !== "");
  if (folders.length === 0) return root;
  for (let count = 0; count <= Math.min(folders.length, MAX_FOLDERS); count++) {
    const site = new URL(["", ...folders.slice(0, count), ""].join("/").replace(/^\/+/, "/"), root);
    const reply = await attempt(ask(new URL("./-/health", site), { maxBytes: 4096 }));
    if ("error" in reply) break;
    if (isHealthy(reply)) return site;
  }
  return root;
}

/** Whether this is the answer of `/-/health`. */
export function isHealthy({ status, body }: Reply): boolean {
  return status === 200 && body.toString("latin1").trim() === "ok";
}
