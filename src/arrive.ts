import { SCHEME_HEADER } from "./http/gateway.ts";
import { parseNode } from "./http/forwarded.ts";
import type { Network } from "./http/network.ts";
import { type Arrival, resolveArrival } from "./route/arrival.ts";

/**
 * Who sent a request, and by which URL. What the platform states and clients cannot forge is read here and nowhere else: at the edge the address in
 * `cf-connecting-ip`, on one machine that of the connection, in workerd's `request.cf`, and the scheme in a header that workerd's sockets overwrite. Any other claim
 * counts only from a trusted proxy (`resolveArrival`, which says what `problem` is).
 */
export function arrive(
  { url, headers, cf }: { readonly url: string; readonly headers: Headers; readonly cf: () => unknown },
  { isLocal, trustedProxies }: { readonly isLocal: boolean; readonly trustedProxies: readonly Network[] },
): Arrival | { readonly problem: string } {
  const isSecure = isLocal ? headers.get(SCHEME_HEADER) === "https" : url.startsWith("https:");
  const received = { scheme: isSecure ? "https" : "http", host: headers.get("host") ?? undefined } as const;
  // workerd makes `cf` of text when it is asked for: most requests need no address.
  const peer = (): string | null => (isLocal ? peerOf(cf()) : headers.get("cf-connecting-ip"));
  return resolveArrival({ ...received, peer }, headers, trustedProxies);
}

/** workerd's `cf.clientIp` is `192.0.2.1:4711` or `[2001:db8::1]:4711`; of a Unix socket there is none. */
function peerOf(cf: unknown): string | null {
  const { clientIp } = (cf ?? {}) as { readonly clientIp?: unknown };
  return typeof clientIp === "string" ? parseNode(clientIp) : null;
}
