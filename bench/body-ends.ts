// What workerd's fetch shows of a body without a length, and of its end: `node bench/body-ends.ts` prints a line for each way in which a server may frame
// and cut a body, first as one machine fetches (through a network service), then by the global fetch. docs/decisions/0013-bytes-over-labels.md rests on it.
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";

const CHUNK = `5\r\nhello\r\n`;
const head = (...lines: readonly string[]): string => `${["HTTP/1.1 200 OK", "Content-Type: text/plain", ...lines].join("\r\n")}\r\n\r\n`;

/** What the server sends, and how it ends the connection afterwards. */
const CASES: Readonly<Record<string, { readonly send: string; readonly end: "keep" | "close" | "reset" }>> = {
  "chunked, whole": { send: `${head("Transfer-Encoding: chunked")}${CHUNK}${CHUNK}0\r\n\r\n`, end: "keep" },
  "chunked, whole, then closed": { send: `${head("Transfer-Encoding: chunked", "Connection: close")}${CHUNK}0\r\n\r\n`, end: "close" },
  "chunked, cut between chunks": { send: `${head("Transfer-Encoding: chunked")}${CHUNK}${CHUNK}`, end: "close" },
  "chunked, cut inside a chunk": { send: `${head("Transfer-Encoding: chunked")}${CHUNK}5\r\nhe`, end: "close" },
  "chunked, cut inside the last chunk": { send: `${head("Transfer-Encoding: chunked")}${CHUNK}0\r\n`, end: "close" },
  "chunked, reset": { send: `${head("Transfer-Encoding: chunked")}${CHUNK}`, end: "reset" },
  "close-delimited, HTTP/1.1": { send: `${head("Connection: close")}hello`, end: "close" },
  "close-delimited, HTTP/1.0": { send: `${head().replace("1.1", "1.0")}hello`, end: "close" },
  "close-delimited, reset": { send: `${head("Connection: close")}hello`, end: "reset" },
  "chunked in name, HTTP/1.0": { send: `${head("Transfer-Encoding: chunked").replace("1.1", "1.0")}${CHUNK}0\r\n\r\n`, end: "close" },
  "length, cut": { send: `${head("Content-Length: 10")}hello`, end: "close" },
  "length and chunked": { send: `${head("Content-Length: 10", "Transfer-Encoding: chunked")}${CHUNK}0\r\n\r\n`, end: "close" },
};

const server = createServer((socket: Socket) => {
  socket.on("error", () => {});
  socket.on("data", (request) => {
    const name = decodeURIComponent(/^GET \/(\S+)/.exec(String(request))?.[1] ?? "");
    const shown = CASES[name];
    if (shown === undefined) return socket.destroy();
    socket.write(shown.send);
    if (shown.end === "close") socket.end();
    // What was written must arrive: a reset throws away what is still queued.
    if (shown.end === "reset") setTimeout(() => socket.resetAndDestroy(), 50);
  });
}).listen(0, "127.0.0.1");
await once(server, "listening");
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const script = `export default { async fetch(request, env) {
  const { pathname, searchParams } = new URL(request.url);
  const fetcher = searchParams.has("service") ? env.NETWORK : globalThis;
  try {
    const response = await fetcher.fetch("${origin}" + pathname, { encodeResponseBody: "manual" });
    const shown = "transfer-encoding " + response.headers.get("transfer-encoding") + ", content-length " + response.headers.get("content-length");
    const reader = response.body.getReader();
    let bytes = 0;
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return new Response(shown + "; ends cleanly after " + bytes);
        bytes += value.length;
      }
    } catch (error) {
      return new Response(shown + "; throws after " + bytes + ": " + error.message);
    }
  } catch (error) {
    return new Response("fetch throws: " + error.message);
  }
} }`;
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    modules: true,
    script,
    compatibilityDate: "2026-10-01",
    serviceBindings: { NETWORK: { network: { allow: ["public", "private"] } } },
  }),
);
const url = await miniflare.ready;
for (const by of ["?service", ""]) {
  for (const name of Object.keys(CASES)) {
    const answer = await fetch(new URL(encodeURIComponent(name) + by, url));
    process.stdout.write(`${name.padEnd(36)} ${await answer.text()}\n`);
  }
}
await miniflare.dispose();
server.close();
