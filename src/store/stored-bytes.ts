import { BODY_SECONDS, type SizedBody } from "./body-cache.ts";
import { type ObjectStore, StoreError } from "./object-store.ts";

/** What the inner entrypoint reads. */
export interface StoredBytesStore {
  readonly get: ObjectStore["get"];
  /** All of a slice; null where there is none. Throws StoreError. */
  readonly openSlice: (version: string, index: number) => Promise<SizedBody | null>;
}

/** They never change. `stale-if-error=0`: by itself Workers Cache would serve what is stale for as long as the Worker fails. */
const CACHED = `public, max-age=${BODY_SECONDS}, immutable, stale-if-error=0`;
const PATH = /^\/(?:slice\/([0-9a-f]{32})\/(\d{1,9})|body\/([0-9a-f]{32})\/(\d{1,16}))$/;

/**
 * Answers as the inner entrypoint behind Workers Cache: 200 with all bytes of what a URL names (body-cache.ts), which may be cached; everything else must
 * not be, so it says so: Workers Cache keeps a 404 without Cache-Control for three minutes. Never 206: Workers Cache does not store that, and cuts ranges
 * out of what it has by itself.
 */
export async function answerStoredBytes(request: Request, store: StoredBytesStore): Promise<Response> {
  if (request.method !== "GET") return refuse(405, `Cannot answer ${request.method}: wanted GET`);
  const url = new URL(request.url);
  const [, sliceVersion, index, version, storedAt] = PATH.exec(url.pathname) ?? [];
  const key = url.searchParams.get("key");
  try {
    if (sliceVersion !== undefined) return give(await store.openSlice(sliceVersion, Number(index)), url);
    if (version !== undefined && key !== null) return give(await openBody(store, key, version, Number(storedAt)), url);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    return refuse(503, error.message);
  }
  return refuse(400, `Cannot answer ${url.pathname}: wanted /slice/<version>/<n> or /body/<version>/<storedAt>?key=<key>`);
}

async function openBody(store: StoredBytesStore, key: string, version: string, storedAt: number): Promise<SizedBody | null> {
  const found = await store.get(key);
  if (found === null) return null;
  const { object, body } = found;
  if (body !== null && object.version === version && object.storedAt === storedAt) return { size: object.size, body };
  await body?.cancel();
  return null;
}

function give(found: SizedBody | null, { pathname }: URL): Response {
  if (found === null) return refuse(404, `Cannot answer ${pathname}: the store does not have it`);
  const { size, body } = found;
  const headers = { "Cache-Control": CACHED, "Content-Length": String(size), "Content-Type": "application/octet-stream" };
  return new Response(body, { headers });
}

function refuse(status: number, message: string): Response {
  return new Response(message, { status, headers: { "Cache-Control": "no-store", "Content-Type": "text/plain; charset=utf-8" } });
}
