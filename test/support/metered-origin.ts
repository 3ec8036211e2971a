/** Requests so far, of all test files together. */
let asked = 0;

/**
 * An upstream for tests in workerd, reached by `outboundService` whatever host is asked for: `/<anything>/<size>-<name>` has that many bytes, the
 * same each time, with ranges and conditions; `/-/asked` says how often it was asked.
 */
export function answerAsOrigin(request: { readonly url: string; readonly method: string; readonly headers: Headers }): Response {
  const { pathname } = new URL(request.url);
  if (pathname === "/-/asked") return new Response(String(asked));
  asked++;
  const range = request.headers.get("range");
  const published = PUBLISHED.get(pathname);
  const [, size] = /\/(\d+)-[^/]*$/.exec(pathname) ?? [];
  if (size === undefined && published === undefined) return new Response("no such file\n", { status: 404 });
  const bytes = published ?? contentOf(Number(size));
  const headers = { ETag: `"${bytes.length}"`, "Last-Modified": "Sun, 06 Nov 2022 08:49:37 GMT", "Accept-Ranges": "bytes" };
  if (request.headers.get("if-none-match") === headers.ETag) return new Response(null, { status: 304, headers });
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
  if (first === undefined) return new Response(bytes, { headers: { ...headers, "Content-Length": String(bytes.length) } });
  const end = Math.min(last === "" || last === undefined ? bytes.length : Number(last) + 1, bytes.length);
  const part = bytes.slice(Number(first), end);
  const contentRange = `bytes ${first}-${end - 1}/${bytes.length}`;
  return new Response(part, { status: 206, headers: { ...headers, "Content-Range": contentRange, "Content-Length": String(part.length) } });
}

export function contentOf(size: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: size }, (_, at) => (at * 31 + (at >> 8)) & 255);
}

const text = (written: string): Uint8Array<ArrayBuffer> => new Uint8Array(new TextEncoder().encode(written));

/** A repository that names nothing. */
const PUBLISHED = new Map([
  [
    "/fedora/os/repodata/repomd.xml",
    text('<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1700000000</revision></repomd>'),
  ],
]);
