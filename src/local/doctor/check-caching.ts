import type { Ask, Reply } from "./ask.ts";
import { attempt, bad, type Finding, good, OUTER_CACHE_REMEDY, PROXY_REMEDY, unsure } from "./finding.ts";

/** What this room needs of the outside. */
export interface CachingPorts {
  readonly ask: Ask;
  readonly sleep: (ms: number) => Promise<unknown>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** How often the doctor asks until the file is stored; it waits this long times the number of the try. */
const TRIES = 5;
const WAIT_MS = 400;
/** Dates and ages are whole seconds. */
const SECOND_MS = 1_100;
const READ_BYTES = 64 * 1024;
/** A root as old as this comes from a cache in front, or METADATA_TTL_SECONDS is unusually long. */
const MAX_ROOT_AGE_SECONDS = 600;
/** cf-cache-status of answers that Cloudflare's own cache in front of the Worker gave (cloudflare-docs, cache/concepts/cache-responses). */
const OUTER_CACHE = /^(?:HIT|STALE|UPDATING|REVALIDATED|EXPIRED)$/i;

/** The mirror's own entry of Cache-Status (RFC 9211), without its name; empty if there is none. */
function ownStatus({ headers }: Reply): string {
  const entries = String(headers["cache-status"] ?? "").split(/,\s*/);
  return (
    entries
      .find((entry) => entry.startsWith("lazy-mirror;"))
      ?.slice("lazy-mirror;".length)
      .trim() ?? ""
  );
}

/** Whether the mirror had the file: it answered by itself, or the upstream only confirmed it. */
function isHit(reply: Reply): boolean {
  return /^hit\b|\bfwd-status=304\b/.test(ownStatus(reply));
}

/** Cold, then warm: `first` is the answer to the first GET of `url`; the next ones must be hits of the same version, and age. */
export async function* checkWarmth(url: URL, first: Reply, { ask, sleep, now }: CachingPorts): AsyncGenerator<Finding> {
  const before = ownStatus(first);
  if (before === "") {
    yield bad(
      "first answer",
      "Cache-Status has no entry of lazy-mirror",
      "Is this URL one of the mirror, and does a proxy in front keep its headers?",
    );
    return;
  }
  yield good("first answer", isHit(first) ? `${before}: the file was warm already` : `${before}: it was cold`);
  let second = await attempt(ask(url, { maxBytes: READ_BYTES }));
  for (let tried = 1; tried < TRIES && !("error" in second) && !isHit(second); tried++) {
    await sleep(WAIT_MS * tried);
    second = await attempt(ask(url, { maxBytes: READ_BYTES }));
  }
  const at = now();
  if ("error" in second) {
    yield bad("second answer", `no answer: ${second.error}`, PROXY_REMEDY);
    return;
  }
  yield judgeHit("second answer", first, second);
  await sleep(SECOND_MS);
  const third = await attempt(ask(url, { maxBytes: READ_BYTES }));
  if ("error" in third) {
    yield bad("third answer", `no answer: ${third.error}`, PROXY_REMEDY);
    return;
  }
  yield judgeHit("third answer", first, third);
  if (isHit(second) && isHit(third)) yield judgeAge(second, third, Math.ceil((now() - at) / 1000));
}

function judgeHit(check: string, first: Reply, reply: Reply): Finding {
  if (reply.headers.etag !== first.headers.etag)
    return bad(
      check,
      `its ETag is ${reply.headers.etag ?? "missing"}, the first one's was ${first.headers.etag ?? "missing"}`,
      PROXY_REMEDY,
    );
  if (isHit(reply)) return good(check, `${ownStatus(reply)}, the same ETag`);
  return bad(
    check,
    `${ownStatus(reply) || "no Cache-Status"}: the mirror has not stored the file`,
    "Is BUDGET_GB larger than the file, and does the upstream send a length? /-/why/<mirror>/<path> says why, and the log what failed.",
  );
}

function judgeAge(second: Reply, third: Reply, elapsed: number): Finding {
  const [a, b] = [Number(second.headers.age ?? Number.NaN), Number(third.headers.age ?? Number.NaN)];
  if (Number.isNaN(a) || Number.isNaN(b)) return bad("Age", "missing", PROXY_REMEDY);
  // A confirmation by the upstream in between makes it young again.
  if (b < a) return unsure("Age", `from ${a} to ${b} s: the upstream confirmed the file, or another copy answered`);
  return b - a <= elapsed + 1 && b > a
    ? good("Age", `grows: ${a}, then ${b} s`)
    : bad("Age", `from ${a} to ${b} s within ${elapsed} s`, OUTER_CACHE_REMEDY);
}

/** Whether each request for a root reaches the mirror: a cache in front would keep a root longer than the indexes that it names. */
export async function* checkRoot(root: URL, { ask, sleep }: CachingPorts): AsyncGenerator<Finding> {
  const check = "root is not cached";
  const first = await attempt(ask(root, { maxBytes: READ_BYTES }));
  await sleep(SECOND_MS);
  const second = await attempt(ask(root, { maxBytes: READ_BYTES }));
  if ("error" in first || "error" in second) {
    yield bad(check, `no answer: ${"error" in first ? first.error : "error" in second ? second.error : ""}`, PROXY_REMEDY);
    return;
  }
  const wrong = signsOfCache(second);
  if (first.headers.date !== undefined && first.headers.date === second.headers.date) wrong.push("Date stands still");
  const { "cache-control": control = "missing" } = second.headers;
  if (!/\bno-(?:cache|store)\b/.test(control)) wrong.push(`Cache-Control is ${control} and lacks no-cache`);
  yield wrong.length === 0
    ? good(check, `${ownStatus(second)}, Age ${String(second.headers.age ?? 0)} s`)
    : bad(check, wrong.join("; "), OUTER_CACHE_REMEDY);
}

/** What shows that a cache in front of the mirror gave this answer for a root. */
export function signsOfCache(reply: Reply): string[] {
  const { age = "0", "x-cache": cache } = reply.headers;
  const outer = String(reply.headers["cf-cache-status"] ?? "");
  const signs: string[] = [];
  if (Number(age) > MAX_ROOT_AGE_SECONDS) signs.push(`Age is ${age} s, more than METADATA_TTL_SECONDS usually allows`);
  if (OUTER_CACHE.test(outer)) signs.push(`cf-cache-status is ${outer}`);
  if (/\bhit\b/i.test(String(cache ?? ""))) signs.push(`X-Cache is ${String(cache)}`);
  return signs;
}
