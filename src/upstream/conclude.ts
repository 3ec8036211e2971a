import type { Upstream } from "../config/config.ts";
import type { ExchangeResult } from "./exchange.ts";
import { availability, type Health } from "./health.ts";
import type { UpstreamFailure, UpstreamRequest } from "./upstream.ts";
import { listWords, type UpstreamWord } from "./words.ts";

/** Sent to the client where an upstream's 503 came without a Retry-After. */
const RETRY_AFTER_SECONDS = 10;
/**
 * After a 503 with Retry-After the upstream is not asked for that path until that time is over, or this one, if it is shorter: clients that ask directly have
 * the file as soon as the upstream works again.
 */
export const HELD_MAX_SECONDS = 60;

/** What went wrong with one upstream, named by its configured URL. */
export type Fault = Extract<ExchangeResult, { readonly detail: string }> & { readonly upstream: string };

export interface ConclusionDependencies {
  /** For how many milliseconds a path is not to be asked for at an upstream; 0: it may be. */
  readonly heldMs: (upstream: Upstream, request: UpstreamRequest) => number;
  readonly healthOf: (upstream: string) => Health;
  readonly now: () => number;
}

/** Puts what the upstreams said into one answer. */
export function createConclusions({ heldMs, healthOf, now }: ConclusionDependencies) {
  return { conclude, listAll };

  /** No upstream could answer: 503 when all are busy, 504 when all timed out, else 502. */
  function conclude(
    request: UpstreamRequest,
    faults: readonly Fault[],
    isAbsentSomewhere: boolean,
    words: readonly UpstreamWord[],
  ): UpstreamFailure {
    const waiting = request.mirror.upstreams.filter(
      (upstream) => heldMs(upstream, request) > 0 && faults.every((fault) => fault.upstream !== upstream.url),
    );
    const waits = [
      ...faults.map((fault) =>
        "retryAfterSeconds" in fault ? Math.min(fault.retryAfterSeconds ?? RETRY_AFTER_SECONDS, HELD_MAX_SECONDS) : Infinity,
      ),
      ...waiting.map((upstream) => Math.ceil(heldMs(upstream, request) / 1000)),
    ];
    const detail = `Cannot fetch /${request.path}${request.query}: ${listAll(request, words)}`;
    if (!isAbsentSomewhere && faults.every((fault) => "retryAfterSeconds" in fault)) {
      return { kind: "failure", status: 503, detail, retryAfterSeconds: Math.max(1, Math.min(...waits)) };
    }
    const isSilent = !isAbsentSomewhere && faults.every((fault) => fault.kind === "timeout");
    const isRing = faults.some((fault) => fault.kind === "refused" && fault.isRing === true);
    return { kind: "failure", status: isSilent ? 504 : 502, detail, ...(isRing ? { isRing } : {}) };
  }

  /** What each of the mirror's upstreams said, those that were not asked with the reason. */
  function listAll(request: UpstreamRequest, words: readonly UpstreamWord[]): string {
    const silent = request.mirror.upstreams.filter(({ url }) => words.every(({ upstream }) => upstream !== url));
    const reasons = silent.map((upstream) => ({ upstream: upstream.url, detail: silenceOf(upstream, request) }));
    return listWords([...words, ...reasons]);
  }

  function silenceOf(upstream: Upstream, request: UpstreamRequest): string {
    if (heldMs(upstream, request) > 0) return "asked to wait";
    const { failures } = healthOf(upstream.url);
    if (availability(healthOf(upstream.url), now()) === "open") return `was not asked: it failed ${failures} times in a row`;
    return "was not asked";
  }
}
