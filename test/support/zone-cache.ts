/** What Cloudflare caches by default ("Default cache behavior": default cached file extensions), as far as a mirror has such files. */
const EXTENSIONS = /\.(?:7z|apk|bin|bz2|css|csv|exe|gz|iso|jar|js|pdf|svg|svgz|tar|webp|woff2?|zip|zst)$/i;
/** How long a 200 or 206 without Cache-Control and Expires stays ("Cache by status code": edge TTL). */
const EDGE_TTL_MS = 120 * 60_000;

type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/**
 * A Worker's `fetch` through the cache of its zone, as Cloudflare documents that cache, in front of `origin`. The cache keeps files with one of its extensions. It asks
 * the origin by GET where the Worker asked by HEAD, and for the whole file where the Worker asked for a Range. With `cache: "no-store"` the fetch goes past it.
 * Eviction, collapsing and the limit of 512 MB are left out. `now` in milliseconds.
 */
export function createZoneCache(origin: Fetch, now: () => number): Fetch {
  const kept = new Map<string, { readonly bytes: Uint8Array<ArrayBuffer>; readonly headers: Headers; readonly until: number }>();
  return async (url, init) => {
    const method = init.method ?? "GET";
    const isEligible = EXTENSIONS.test(new URL(url).pathname) && (method === "GET" || method === "HEAD");
    if (init.cache === "no-store" || !isEligible) return origin(url, init);
    const asked = new Headers(init.headers);
    let found = kept.get(url);
    if (found === undefined || found.until <= now()) {
      const headers = new Headers(asked);
      for (const name of ["range", "if-range", "if-none-match", "if-modified-since"]) headers.delete(name);
      const response = await origin(url, { ...init, method: "GET", headers });
      if (response.status !== 200) return response;
      found = { bytes: new Uint8Array(await response.arrayBuffer()), headers: response.headers, until: now() + ttlOf(response.headers) };
      kept.set(url, found);
    }
    return answer(found.bytes, found.headers, method, asked);
  };
}

function ttlOf(headers: Headers): number {
  const cacheControl = headers.get("cache-control") ?? "";
  if (/private|no-store|no-cache|max-age=0/.test(cacheControl)) return 0;
  const [, seconds] = /max-age=(\d+)/.exec(cacheControl) ?? [];
  return seconds === undefined ? EDGE_TTL_MS : Number(seconds) * 1000;
}

function answer(bytes: Uint8Array<ArrayBuffer>, stored: Headers, method: string, asked: Headers): Response {
  const headers = new Headers(stored);
  const etag = headers.get("etag");
  if (etag !== null && asked.get("if-none-match") === etag) return new Response(null, { status: 304, headers });
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(asked.get("range") ?? "") ?? [];
  if (method === "HEAD" || first === undefined) {
    headers.set("content-length", String(bytes.length));
    return new Response(method === "HEAD" ? null : bytes, { headers });
  }
  const end = last === "" || last === undefined ? bytes.length : Math.min(Number(last) + 1, bytes.length);
  headers.set("content-range", `bytes ${first}-${end - 1}/${bytes.length}`);
  headers.set("content-length", String(end - Number(first)));
  return new Response(bytes.slice(Number(first), end), { status: 206, headers });
}
