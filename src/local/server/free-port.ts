import { createServer, isIPv4 } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { Endpoint } from "./command-line.ts";
import { done, refused, type Step } from "../step.ts";

/** The kernel may free the port of a server that was just killed only a moment later, so we try again. */
const TRIES = 8;
const RETRY_MS = 250;

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program uses that port; stop it or choose another with --port.",
  EACCES: "ports below 1024 need root (or CAP_NET_BIND_SERVICE); choose another with --port.",
  EADDRNOTAVAIL: "this machine has no such address; choose one of its own with --ip.",
};

/** Checks that we can listen on the endpoint; port 0 becomes the free port that the operating system chose. Refuses with the reason. */
export async function resolveEndpoint(endpoint: Endpoint): Promise<Step<Endpoint>> {
  for (let tries = 1; ; tries++) {
    try {
      return done({ ...endpoint, port: await tryToListen(endpoint) });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === "EADDRINUSE" && tries < TRIES) await wait(RETRY_MS);
      else return refused(`Cannot listen on ${formatEndpoint(endpoint)}: ${REASONS[code ?? ""] ?? message}`);
    }
  }
}

/**
 * Drops the endpoints that another one already includes, or that are named twice: `::` listens on every address of its port, IPv4's too, and `0.0.0.0` on every IPv4 address.
 * To listen on both would fail with EADDRINUSE.
 */
export function dropCovered(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const covers = (wide: Endpoint, { host, port }: Endpoint): boolean =>
    wide.port === port && port !== 0 && wide.host !== host && (wide.host === "::" || (wide.host === "0.0.0.0" && isIPv4(host)));
  const isSame = (one: Endpoint, { host, port }: Endpoint): boolean => one.port === port && port !== 0 && one.host === host;
  return endpoints.filter(
    (endpoint, at) => !endpoints.some((other, index) => covers(other, endpoint) || (index < at && isSame(other, endpoint))),
  );
}

/** The URL of an endpoint, without a path: `http://127.0.0.1:8787`, `https://[::1]:8443`. */
export function urlOf(endpoint: Endpoint): string {
  return `${endpoint.isSecure === true ? "https" : "http"}://${formatEndpoint(endpoint)}`;
}

/** The authority of a URL: `127.0.0.1:8787`, `[::1]:8787`. */
export function formatEndpoint({ host, port }: Endpoint): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function tryToListen({ host, port }: Endpoint): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host, port }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : port));
    });
  });
}
