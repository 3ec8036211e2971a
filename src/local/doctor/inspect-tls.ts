import { isIP } from "node:net";
import { connect } from "node:tls";

/** What a TLS handshake shows. */
export interface TlsView {
  /** When the certificate ends, in milliseconds since the epoch. */
  readonly validTo: number;
  /** Why a client does not trust the certificate; null: it does. */
  readonly problem: string | null;
  /** Whether the server offers HTTP/2 (RFC 9113 §3.2). */
  readonly isHttp2: boolean;
}

const HANDSHAKE_MS = 15_000;

/** Connects to the server of an https URL, and asks nothing. Rejects if there is no handshake within 15 seconds. */
export function inspectTls(url: URL): Promise<TlsView> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port: Number(url.port || 443),
      // RFC 6066 §3: an address is no server name.
      ...(isIP(host) === 0 ? { servername: host } : {}),
      ALPNProtocols: ["h2", "http/1.1"],
      // What is wrong with the certificate becomes a finding.
      rejectUnauthorized: false,
    });
    const timer = setTimeout(() => socket.destroy(new Error(`no TLS handshake for ${HANDSHAKE_MS / 1000} s`)), HANDSHAKE_MS);
    socket.once("close", () => clearTimeout(timer));
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      const problem = socket.authorized ? null : String(socket.authorizationError);
      resolve({ validTo: Date.parse(socket.getPeerCertificate().valid_to), problem, isHttp2: socket.alpnProtocol === "h2" });
      socket.destroy();
    });
  });
}
