import { Agent, type IncomingMessage, request, type RequestOptions, type ServerResponse } from "node:http";
import { Agent as SecureAgent, request as requestSecure } from "node:https";
import { pipeline } from "node:stream";
import { GATEWAY_ERROR } from "../../http/gateway.ts";
import { nameProxy, proxyFor, type ProxySettings } from "./proxy-settings.ts";

/** Headers of one connection (RFC 9110 §7.6.1), and ours. */
const NOT_FORWARDED: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  GATEWAY_ERROR,
]);

/** Sends requests of the Worker to upstreams, by the proxy that `settings` name for each, and their answers back as they come. */
export function createForwarder(settings: ProxySettings) {
  const agents = {
    direct: { "http:": new Agent({ keepAlive: true }), "https:": new SecureAgent({ keepAlive: true }) },
    proxied: {
      "http:": new Agent({ keepAlive: true, proxyEnv: { HTTP_PROXY: settings.http?.href } }),
      "https:": new SecureAgent({ keepAlive: true, proxyEnv: { HTTPS_PROXY: settings.https?.href } }),
    },
  };
  return {
    /** Answers `asked` with what the upstream at `url` has; `fail` answers that there is no answer, and why. Follows no redirect, decodes nothing. */
    forward(url: URL, asked: IncomingMessage, answer: ServerResponse, fail: (reason: string) => void): void {
      const proxy = proxyFor(url, settings);
      const protocol = url.protocol === "https:" ? "https:" : "http:";
      const options: RequestOptions = {
        method: asked.method,
        agent: agents[proxy === undefined ? "direct" : "proxied"][protocol],
        headers: { ...Object.fromEntries(Object.entries(asked.headers).filter(([name]) => !NOT_FORWARDED.has(name))), host: url.host },
      };
      const sent = (protocol === "https:" ? requestSecure : request)(url.href, options);
      // The Worker gives up after its own limits, and closes the connection.
      answer.once("close", () => sent.destroy());
      sent.on("error", (error) => {
        if (answer.headersSent) answer.destroy();
        else fail(explain(error, proxy));
      });
      sent.on("response", (response) => {
        const refusal = proxy === undefined ? null : refusalOf(response, protocol, proxy);
        if (refusal !== null) {
          response.destroy();
          fail(refusal);
        } else passOn(response, answer, fail);
      });
      sent.end();
    },
    close(): void {
      for (const pair of Object.values(agents)) for (const agent of Object.values(pair)) agent.destroy();
    },
  };
}

function passOn(response: IncomingMessage, answer: ServerResponse, fail: (reason: string) => void): void {
  const { rawHeaders, headers, statusCode = 502, statusMessage } = response;
  const kept: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = "", value = ""] = rawHeaders.slice(at, at + 2);
    if (!NOT_FORWARDED.has(name.toLowerCase())) kept.push(name, value);
  }
  answer.sendDate = false;
  if (headers["content-length"] === undefined && headers["transfer-encoding"] === undefined) {
    // The body ends with the connection, and the Worker is to see that it may have been cut off.
    answer.useChunkedEncodingByDefault = false;
    answer.shouldKeepAlive = false;
  }
  try {
    answer.writeHead(statusCode, statusMessage, kept);
  } catch (error) {
    response.destroy();
    fail(`its headers cannot be passed on: ${(error as Error).message}`);
    return;
  }
  // Without this Node would hold the headers until the first bytes of the body.
  answer.flushHeaders();
  // Where either side breaks off, `pipeline` destroys the other.
  pipeline(response, answer, () => {});
}

/**
 * What a proxy itself said in place of the upstream; null: it is the upstream's answer. A 403 of a proxy must not count as the upstream's word that there is no
 * such file. Of an https upstream nothing is the proxy's, once it has opened the tunnel.
 */
function refusalOf({ statusCode = 0, headers, statusMessage = "" }: IncomingMessage, protocol: string, proxy: URL): string | null {
  if (protocol === "https:" || statusCode < 400) return null;
  const isOwn =
    [407, 502, 504].includes(statusCode) ||
    headers["x-squid-error"] !== undefined ||
    // RFC 9209 §2.1.
    /;\s*error=/.test(String(headers["proxy-status"] ?? "")) ||
    /^(?:tinyproxy|privoxy)\b/i.test(String(headers.server ?? ""));
  if (!isOwn) return null;
  const said = [headers["x-squid-error"] ?? statusMessage].flat().join(", ");
  return describeRefusal(statusCode, said, proxy);
}

function describeRefusal(status: number, said: string, proxy: URL): string {
  if (status === 407) {
    return `the proxy ${nameProxy(proxy)} answered 407: ${proxy.username === "" ? "it asks for" : "it does not take the"} user and password; write them as http://user:password@host:port in HTTP_PROXY and HTTPS_PROXY`;
  }
  return `the proxy ${nameProxy(proxy)} answered ${status}${said === "" ? "" : ` ${said}`}`;
}

/** Why there was no answer. */
function explain(error: Error & { readonly code?: string; readonly statusCode?: number }, proxy: URL | undefined): string {
  if (proxy === undefined) return error.message;
  const { code, statusCode, message } = error;
  // Node's message ends with the proxy's status line.
  if (code === "ERR_PROXY_TUNNEL" && statusCode !== undefined) {
    return describeRefusal(statusCode, /HTTP\/1\.[01] \d+ (.*)/.exec(message)?.[1] ?? "", proxy);
  }
  const hidden = proxy.password === "" ? message : message.replaceAll(proxy.password, "…");
  return code === "ECONNREFUSED" ? `the proxy ${nameProxy(proxy)} refused the connection` : `by the proxy ${nameProxy(proxy)}: ${hidden}`;
}
