import { type ForwardedElement, parseForwarded, parseXForwarded } from "../http/forwarded.ts";
import { isInNetwork, isSameAddress, type Network } from "../http/network.ts";

/** What the platform states of a request, and the client cannot. */
export interface Received {
  /** The address of the connection's other end (at the edge: of Cloudflare's connection), without port; null: there is none, as for a Unix socket. */
  readonly peer: () => string | null;
  readonly scheme: "http" | "https";
  /** The Host header. */
  readonly host: string | undefined;
}

/** Who sent a request, and by which URL: as the platform states it, or as a trusted proxy does. */
export interface Arrival {
  /** The client's address; null: it is not known. */
  readonly address: string | null;
  readonly scheme: "http" | "https";
  /** The host with its port, as the client named it; undefined: it named none. */
  readonly host: string | undefined;
  /** Whether a trusted proxy states the host. */
  readonly isHostStated: boolean;
  /** The path below which the proxy has this server, as `/mirror`; or empty. */
  readonly prefix: string;
}

/**
 * Finds out who sent a request. Only a peer in one of the `trusted` networks is believed what its headers say; each entry in them is believed as long as the proxy
 * that added it is trusted, so that the client is the last address which is no trusted proxy's.
 * @returns `problem`: what to change where the headers contradict each other: the client may have written one of them.
 */
export function resolveArrival(
  received: Received,
  headers: Pick<Headers, "get">,
  trusted: readonly Network[],
): Arrival | { readonly problem: string } {
  const { scheme, host } = received;
  const plain = {
    get address() {
      return received.peer();
    },
    scheme,
    host,
    isHostStated: false,
    prefix: "",
  };
  if (trusted.length === 0) return plain;
  const isTrusted = (address: string): boolean => trusted.some((network) => isInNetwork(address, network));
  const peer = received.peer();
  if (peer === null || !isTrusted(peer)) return plain;

  const forwarded = headers.get("forwarded");
  const standard = forwarded === null ? [] : parseForwarded(forwarded);
  if (standard === null) return { problem: "its Forwarded header is malformed: have the proxy remove that of its clients" };
  const usual = parseXForwarded({
    for: headers.get("x-forwarded-for"),
    proto: headers.get("x-forwarded-proto"),
    host: headers.get("x-forwarded-host"),
  });
  const [byStandard, byUsual] = [outermost(standard, isTrusted), outermost(usual, isTrusted)];
  if (byStandard !== null && byUsual !== null && headers.get("x-forwarded-for") !== null && !isSame(byStandard.address, byUsual.address)) {
    // A proxy sets the one and passes the other on, which its client may have written.
    return {
      problem: "its headers Forwarded and X-Forwarded-For name different clients: have the proxy remove the one that it does not set",
    };
  }
  const statedHost = byStandard?.host ?? byUsual?.host ?? null;
  // A proxy that says nothing of the client's address, only the scheme or the host, leaves its own.
  const hasAddress = standard.length > 0 || headers.get("x-forwarded-for") !== null;
  return {
    address: hasAddress ? ((byStandard ?? byUsual)?.address ?? null) : peer,
    scheme: byStandard?.scheme ?? byUsual?.scheme ?? scheme,
    host: withPort(statedHost ?? host, headers.get("x-forwarded-port")),
    isHostStated: statedHost !== null,
    prefix: prefixOf(headers),
  };
}

/** The element of the client: the last one whose address is no trusted proxy's. Where all are, the first. */
function outermost(elements: readonly ForwardedElement[], isTrusted: (address: string) => boolean): ForwardedElement | null {
  return elements.findLast(({ address }) => address === null || !isTrusted(address)) ?? elements[0] ?? null;
}

function isSame(one: string | null, other: string | null): boolean {
  return one === null || other === null ? one === other : isSameAddress(one, other);
}

/** Adds the port that the proxy names where the host has none, as behind `proxy_set_header Host $host`. */
function withPort(host: string | undefined, port: string | null): string | undefined {
  if (host === undefined || host === "" || port === null || !/^\d{1,5}$/.test(port) || /:\d*$/.test(host.replace(/^\[.*\]/, "")))
    return host;
  return `${host}:${port}`;
}

const PREFIX = /^(?:\/[\w.~-]+)+\/?$/;

function prefixOf(headers: Pick<Headers, "get">): string {
  const given = headers.get("x-forwarded-prefix") ?? "";
  return PREFIX.test(given) && !given.split("/").includes("..") ? given.replace(/\/$/, "") : "";
}
