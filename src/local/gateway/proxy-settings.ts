import { isIP } from "node:net";
import { isInNetwork, parseNetwork } from "../../http/network.ts";
import { done, refused, type Step } from "../step.ts";

/** The proxies by which upstreams are reached. */
export interface ProxySettings {
  /** For http and for https upstreams; with credentials, where the proxy wants them. Undefined: they are reached directly. */
  readonly http: URL | undefined;
  readonly https: URL | undefined;
  /** Whether an upstream is reached without the proxy. */
  readonly isExempt: (url: URL) => boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as curl does: the name in lower case goes first, and an empty value is as none. Null: there is no proxy. Refuses
 * what is no proxy's URL.
 */
export function readProxies(env: Environment): Step<ProxySettings | null> {
  const [http, https] = [readProxy(env, "HTTP_PROXY"), readProxy(env, "HTTPS_PROXY")];
  if (!http.ok || !https.ok) return refused(...[http, https].flatMap((step) => (step.ok ? [] : step.problems)));
  if (http.value === undefined && https.value === undefined) return done(null);
  return done({ http: http.value, https: https.value, isExempt: parseNoProxy(valueOf(env, "NO_PROXY") ?? "") });
}

/** The proxy for an upstream; undefined: it is reached directly. */
export function proxyFor(url: URL, settings: ProxySettings | null): URL | undefined {
  if (settings === null || settings.isExempt(url)) return undefined;
  return url.protocol === "https:" ? settings.https : settings.http;
}

/** The proxy without its credentials, for lines that people read. */
export function nameProxy({ protocol, host }: URL): string {
  return `${protocol}//${host}`;
}

/** Which proxy serves which of the upstreams, one line each, for the start. */
export function describeProxies(settings: ProxySettings, upstreams: readonly string[]): readonly string[] {
  const urls = upstreams.map((url) => new URL(url)).filter(({ protocol }) => protocol !== "file:");
  const ways = Map.groupBy(urls, (url) => {
    const proxy = proxyFor(url, settings);
    return proxy && nameProxy(proxy);
  });
  return [...ways].map(([proxy, served]) => {
    const hosts = [...new Set(served.map(({ protocol, host }) => `${protocol}//${host}`))].join(", ");
    return proxy === undefined ? `Without a proxy: ${hosts}` : `By the proxy ${proxy}: ${hosts}`;
  });
}

function valueOf(env: Environment, name: string): string | undefined {
  return [env[name.toLowerCase()], env[name]].find((value) => value !== undefined && value.trim() !== "")?.trim();
}

function readProxy(env: Environment, name: string): Step<URL | undefined> {
  const written = valueOf(env, name);
  if (written === undefined) return done(undefined);
  const text = /^[a-z0-9]+:\/\//i.test(written) ? written : `http://${written}`;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && ["http:", "https:"].includes(url.protocol) && url.hostname !== "") return done(url);
  return refused(`Cannot use ${name} "${text.replace(/\/\/.*@/, "//…@")}": name an HTTP proxy, such as http://proxy.example.com:3128.`);
}

/** One entry of NO_PROXY. */
type Exemption = (host: string, port: string) => boolean;

/**
 * Parses NO_PROXY: names (`example.com` and `.example.com` both mean the domain and all below it), addresses, networks such as `10.0.0.0/8`, each with a port
 * where only that port is meant, and `*` for all. This machine itself (`localhost`, 127.0.0.0/8, `::1`) is always exempt: no proxy could reach it.
 * @internal
 */
export function parseNoProxy(text: string): (url: URL) => boolean {
  const exemptions = text
    .split(/[\s,]+/)
    .filter((entry) => entry !== "")
    .map(parseExemption);
  return (url) => {
    const host = url.hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
    const port = url.port || (url.protocol === "https:" ? "443" : "80");
    return isLoopback(host) || exemptions.some((isMeant) => isMeant(host, port));
  };
}

function parseExemption(entry: string): Exemption {
  if (entry === "*") return () => true;
  const [, bracketed, plain, wantedPort] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(entry) ?? [undefined, undefined, entry, undefined];
  const name = (bracketed ?? plain ?? "").toLowerCase();
  const isPort = (port: string): boolean => wantedPort === undefined || wantedPort === port;
  const [address = "", bits] = name.split("/");
  if (isIP(address) !== 0) {
    const network = parseNetwork(bits === undefined ? address : maskAddress(address, bits));
    return (host, port) => network !== null && isPort(port) && isIP(host) !== 0 && isInNetwork(host, network);
  }
  const domain = name.replace(/^\*?\./, "").replace(/\.$/, "");
  return (host, port) => domain !== "" && isPort(port) && (host === domain || host.endsWith(`.${domain}`));
}

/** curl and Go ignore bits behind the prefix (`10.1.2.3/8`), which `parseNetwork` does not take: for IPv4 they are cleared. */
function maskAddress(address: string, bits: string): string {
  const octets = address.split(".").map(Number);
  const prefix = Number(bits);
  if (octets.length !== 4) return `${address}/${bits}`;
  const masked = octets.map((octet, at) => octet & (0xff << (8 - Math.min(8, Math.max(0, prefix - at * 8)))) & 0xff);
  return `${masked.join(".")}/${bits}`;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost") || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}
