import { gzipSync } from "node:zlib";
import { contentOf } from "./content.ts";
import { primary, repomd, sha256 } from "../unit/metadata/samples.ts";

/** Requests so far, of all test files together. */
let asked = 0;

/**
 * An upstream for tests in workerd, reached by `outboundService` whatever host is asked for: `/<anything>/<size>-<name>` has that many bytes, the
 * same each time, with ranges and conditions; `/-/asked` says how often it was asked. `by-hash/SHA256/<hex>` is one of HASHED_SIZES; the host `liar.test`
 * has other bytes under that name, and labels of its own.
 */
export function answerAsOrigin(request: { readonly url: string; readonly method: string; readonly headers: Headers }): Response {
  const { pathname, hostname } = new URL(request.url);
  if (pathname === "/-/asked") return new Response(String(asked));
  asked++;
  const range = request.headers.get("range");
  const isLie = hostname === "liar.test";
  const hashed = HASHED.get(/\/by-hash\/SHA256\/([0-9a-f]{64})$/.exec(pathname)?.[1] ?? "");
  const published = PUBLISHED.get(pathname) ?? (isLie ? hashed?.map((byte) => byte ^ 1) : hashed);
  const [, size] = /\/(\d+)-[^/]*$/.exec(pathname) ?? [];
  if (size === undefined && published === undefined) return new Response("no such file\n", { status: 404 });
  const bytes = published ?? contentOf(Number(size));
  const headers = {
    ETag: `"${bytes.length}"`,
    "Last-Modified": "Sun, 06 Nov 2022 08:49:37 GMT",
    "Accept-Ranges": "bytes",
    ...(isLie ? LIES : {}),
  };
  if (request.headers.get("if-none-match") === headers.ETag) return new Response(null, { status: 304, headers });
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? "") ?? [];
  if (first === undefined) return new Response(bytes, { headers: { ...headers, "Content-Length": String(bytes.length) } });
  const end = Math.min(last === "" || last === undefined ? bytes.length : Number(last) + 1, bytes.length);
  const part = bytes.slice(Number(first), end);
  const contentRange = `bytes ${first}-${end - 1}/${bytes.length}`;
  return new Response(part, { status: 206, headers: { ...headers, "Content-Range": contentRange, "Content-Length": String(part.length) } });
}

const LIES = { ETag: '"lie"', "Last-Modified": "Mon, 01 Jan 1990 00:00:00 GMT", "Content-Type": "text/html" };

/** Sizes of files that are named by their digest: in one slice and in several, where SLICE_MIB is 1. */
const HASHED_SIZES = [50_001, 3_300_001];
const HASHED = new Map(HASHED_SIZES.map((size) => [sha256(contentOf(size)), contentOf(size)]));

/** Packages that the repository's index names, by their path below it. */
const PACKAGES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`Packages/known-${n}.rpm`, `package ${n} `.repeat(500)])),
  "Packages/large.rpm": "large ".repeat(3_500_000),
};

/** Files of the repository /fedora/os. */
const PUBLISHED = publish("/fedora/os");

function publish(base: string): ReadonlyMap<string, Uint8Array<ArrayBuffer>> {
  const index = gzipSync(primary(PACKAGES));
  const href = `repodata/${sha256(index)}-primary.xml.gz`;
  const files = {
    ...PACKAGES,
    [href]: index,
    "repodata/repomd.xml": repomd({ revision: 1_700_000_000, data: { primary: [href, index] } }),
  };
  return new Map(Object.entries(files).map(([path, content]) => [`${base}/${path}`, new Uint8Array(Buffer.from(content))]));
}
