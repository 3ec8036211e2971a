import { sleep } from "../clock/timer.ts";
import { isImmutable, type Upstream } from "../config/config.ts";
import { createByteSource } from "./byte-source.ts";
import { headSize } from "./evidence.ts";
import { askUpstream, type Exchange, type ExchangeDependencies, type ExchangeRequest, type ExchangeResult } from "./exchange.ts";
import { availability, NEW_HEALTH, orderUpstreams, updateHealth, type Health, type HealthEvent } from "./health.ts";
import { joinAt, strongTag, type Joined } from "./join.ts";
import { createSlots } from "./slots.ts";
import type { UpstreamAnswer, UpstreamEvent, UpstreamFailure, UpstreamRequest, UpstreamStatus } from "./upstream.ts";

/** Upstreams asked for one `open` before it fails. */
const MAX_UPSTREAMS_ASKED = 3;
/** Sent to the client where an upstream's 503 came without a Retry-After. */
const RETRY_AFTER_SECONDS = 10;

/** What is needed for exchanges, without what `createUpstreams` makes itself. */
export interface UpstreamsDependencies extends Omit<ExchangeDependencies, "slots" | "record"> {
  readonly onEvent: (event: UpstreamEvent) => void;
}

/**
 * `Upstreams` over `deps.fetch`, which remember how each upstream fared: order, breaker, retries and resumes. All requests of an isolate share them, so
 * they hold plain data only: on Workers a request may not use another request's stream, signal or promise.
 */
export function createUpstreams(deps: UpstreamsDependencies) {
  const { now, random, onEvent } = deps;
  const health = new Map<string, Health>();
  const slots = createSlots(now, deps.after);
  const exchangeDependencies: ExchangeDependencies = { ...deps, slots, record };
  const ask: Exchange = (exchangeRequest) => askUpstream(exchangeRequest, exchangeDependencies);

  function healthOf(upstream: string): Health {
    return health.get(upstream) ?? NEW_HEALTH;
  }

  function record(upstream: string, event: HealthEvent): void {
    const before = healthOf(upstream);
    const after = updateHealth(before, event, now());
    health.set(upstream, after);
    if (after.trips > before.trips) onEvent({ kind: "breaker", upstream, state: "open", openMs: after.openUntil - now() });
    if (before.openUntil !== 0 && after.openUntil === 0) onEvent({ kind: "breaker", upstream, state: "closed", openMs: 0 });
  }

  /** The upstreams to ask, best first. One with all its slots taken comes last; one in `avoid` is left out unless all are. */
  function order(request: UpstreamRequest): readonly Upstream[] {
    const all = request.mirror.upstreams;
    const wanted = all.filter((upstream) => !request.avoid?.includes(upstream.url));
    const ordered = orderUpstreams(wanted.length === 0 ? all : wanted, (upstream) => healthOf(upstream.url), now());
    const hasNoSlot = (upstream: Upstream): boolean =>
      slots.isFull(upstream.url) && availability(healthOf(upstream.url), now()) === "ready";
    return [...ordered.filter((upstream) => !hasNoSlot(upstream)), ...ordered.filter(hasNoSlot)];
  }

  function askOnce(request: UpstreamRequest, exchangeRequest: ExchangeRequest): Promise<Joined> {
    const { url } = exchangeRequest.upstream;
    if (availability(healthOf(url), now()) === "probe-due") {
      record(url, { kind: "probe", limitMs: deps.config.upstreamFirstByteSeconds * 1000 });
    }
    const { sameAs } = request;
    if (sameAs === undefined || exchangeRequest.method === "HEAD") return ask(exchangeRequest);
    const version = {
      representation: sameAs,
      trustedTag: sameAs.upstream === url ? strongTag(sameAs) : undefined,
      known: request.known ?? (async () => null),
      headBytes: headSize(sameAs),
      isWholeWelcome: true,
    };
    return joinAt(request.range?.first ?? 0, exchangeRequest, version, ask);
  }

  /** Waits when every upstream sent a Retry-After and the shortest ends within the first-byte limit, so that the client sees no 503. */
  async function outwaitHold({ mirror }: UpstreamRequest): Promise<void> {
    const left = Math.min(...mirror.upstreams.map(({ url }) => Math.max(0, healthOf(url).heldUntil - now())));
    if (left > 0 && left <= deps.config.upstreamFirstByteSeconds * 1000) await sleep(left, deps.after);
  }

  async function open(request: UpstreamRequest): Promise<UpstreamAnswer> {
    await outwaitHold(request);
    const tries = order(request).slice(0, MAX_UPSTREAMS_ASKED);
    const faults: Fault[] = [];
    let answer: UpstreamAnswer | undefined;
    for (const upstream of tries) {
      const exchangeRequest = exchangeRequestFor(request, upstream);
      let result = await askOnce(request, exchangeRequest);
      // The server restarted, or closed a connection that the runtime had kept open. With no other upstream to ask, try this one once more.
      if (result.kind === "connection" && tries.length === 1) result = await askOnce(request, exchangeRequest);
      switch (result.kind) {
        case "body": {
          const source = createByteSource(request, exchangeRequest, result, { ask, order, record, onEvent, random });
          return { kind: "body", representation: result.representation, first: result.first, source };
        }
        case "not-modified":
        case "head":
        case "unsatisfiable":
          return result;
        case "absent":
          if (!isImmutable(request.class)) return result;
          answer ??= result;
          continue;
        case "differs":
          answer = { kind: "changed" };
          break;
        case "busy":
        case "refused":
        case "wrong":
        case "timeout":
        case "connection":
          faults.push({ ...result, upstream: upstream.url });
      }
      onEvent({ kind: "fault", upstream: upstream.url, path: request.path, detail: result.detail });
    }
    if (answer?.kind === "changed") return answer;
    const held = request.mirror.upstreams.filter((upstream) => availability(healthOf(upstream.url), now()) === "held");
    // 404 only when no other upstream may have the file: a client takes a 404 for final.
    if (answer !== undefined && faults.length === 0 && held.length === 0) return answer;
    return conclude(request, faults, held, answer !== undefined);
  }

  /** No upstream could answer: 503 when all are busy, 504 when all timed out, else 502. */
  function conclude(
    request: UpstreamRequest,
    faults: readonly Fault[],
    held: readonly Upstream[],
    isAbsentSomewhere: boolean,
  ): UpstreamFailure {
    const waits = [
      ...faults.map((fault) => (fault.kind === "busy" ? (fault.retryAfterSeconds ?? RETRY_AFTER_SECONDS) : Infinity)),
      ...held.map((upstream) => Math.ceil((healthOf(upstream.url).heldUntil - now()) / 1000)),
    ];
    const failures = faults.map((fault) => `${fault.upstream} ${fault.detail}`);
    const waiting = held.filter((upstream) => faults.every((fault) => fault.upstream !== upstream.url));
    const detail = `Cannot fetch /${request.path}${request.query}: ${[...failures, ...waiting.map((upstream) => `${upstream.url} asked to wait`)].join("; ")}`;
    if (!isAbsentSomewhere && faults.every((fault) => fault.kind === "busy")) {
      return { kind: "failure", status: 503, detail, retryAfterSeconds: Math.max(1, Math.min(...waits)) };
    }
    const isSilent = !isAbsentSomewhere && faults.every((fault) => fault.kind === "timeout");
    return { kind: "failure", status: isSilent ? 504 : 502, detail };
  }

  /** The state of every upstream that was asked since the isolate started. */
  function snapshot(): readonly UpstreamStatus[] {
    return [...health].map(([upstream, { failures, firstByteMs, bytesPerSecond }]) => ({
      upstream,
      state: availability(healthOf(upstream), now()),
      failures,
      firstByteMs,
      bytesPerSecond,
      bodies: slots.count(upstream),
    }));
  }

  return { open, snapshot };
}

type Fault = Extract<ExchangeResult, { readonly detail: string }> & { readonly upstream: string };

function exchangeRequestFor(request: UpstreamRequest, upstream: Upstream): ExchangeRequest {
  const { mirror, path, query, range, conditional, method = "GET" } = request;
  // RFC 9110 §14.2: Range is for GET only. A range from 0 to the end is no range.
  const isRanged = method === "GET" && range !== undefined && (range.first > 0 || range.last !== undefined);
  return { mirror, upstream, path, query, class: request.class, method, range: isRanged ? range : undefined, conditional };
}
