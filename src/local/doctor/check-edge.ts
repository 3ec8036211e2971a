import type { Ask, Reply } from "./ask.ts";
import { signsOfCache } from "./check-caching.ts";
import { attempt, bad, type Finding, good, OUTER_CACHE_REMEDY, unsure } from "./finding.ts";

const CLOSED = new Set([401, 403, 404, 421, 429]);
const OPERATOR_PAGES = ["/-/status", "/-/status.json", "/-/metrics", "/-/why/", "/-/ledger/"];
/** An address by which the Worker asks its own cache: no client may reach what is behind it. */
const INNER_ADDRESS = "/-/cached/slice/doctor/0";

/** What stands between here and the mirror. `reply`: an answer of the mirror. */
export function* judgeFront(reply: Reply): Generator<Finding> {
  const { "cf-ray": ray, server, via, "x-cache": cache, "cf-cache-status": outer } = reply.headers;
  if (ray === undefined && server !== "cloudflare") {
    yield good(
      "front",
      `not Cloudflare's${via === undefined ? "" : `; Via: ${via}`}${cache === undefined ? "" : `; X-Cache: ${String(cache)}`}`,
    );
    return;
  }
  yield good("front", `Cloudflare's${ray === undefined ? "" : `, data centre ${String(ray).split("-")[1] ?? "unknown"}`}`);
  const signs = signsOfCache(reply).filter((sign) => sign.startsWith("cf-"));
  yield signs.length === 0
    ? good("outer cache", outer === undefined ? "not asked: the Worker answers each request" : `cf-cache-status is ${String(outer)}`)
    : bad("outer cache", signs.join("; "), OUTER_CACHE_REMEDY);
}

/** The operator's pages must be closed to a client without the token. `site`: the server's own URL. */
export async function* checkClosed(site: URL, ask: Ask): AsyncGenerator<Finding> {
  for (const path of [...OPERATOR_PAGES, INNER_ADDRESS]) {
    const reply = await attempt(ask(new URL(`.${path}`, site), { maxBytes: 4096 }));
    if ("error" in reply) yield unsure(path, `no answer: ${reply.error}`);
    else if (CLOSED.has(reply.status)) yield good(path, `closed: ${reply.status}`);
    else if (reply.status === 200)
      yield bad(
        path,
        "open to everybody",
        "A proxy in front adds the token, or another server answers: only the operator may see this page.",
      );
    else yield unsure(path, `${reply.status} instead of 401 or 404`);
  }
}
