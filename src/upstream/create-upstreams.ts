import { sleep } from "../clock/timer.ts";
import { isImmutable, type Upstream } from "../config/config.ts";
import { mayStillHave } from "./absence.ts";
import { createByteSource } from "./byte-source.ts";
import { headSize } from "./evidence.ts";
import { askUpstream, type Exchange, type ExchangeDependencies, type ExchangeRequest, type ExchangeResult } from "./exchange.ts";
import { availability, NEW_HEALTH, orderUpstreams, updateHealth, type Health, type HealthEvent } from "./health.ts";
import { joinAt, strongTag, type Joined } from "./join.ts";
import { createRefusals } from "./refusals.ts";
import { createSlots } from "./slots.ts";
import type { UpstreamAnswer, UpstreamEvent, UpstreamFailure, UpstreamRequest, UpstreamStatus } from "./upstream.ts";

/** Upstreams that may fail for one `open`, each after a wait: then no other is asked. One that has no such file says so at once, and does not count. */
const MAX_FAULTS = 3;
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
  const refusals = createRefusals(now);
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

  /** The mirror's upstreams in the order of the configuration, without those in `avoid` unless all are. */
  function candidates({ mirror, avoid }: UpstreamRequest): readonly Upstream[] {
    const wanted = mirror.upstreams.filter((upstream) => !avoid?.includes(upstream.url));
    return wanted.length === 0 ? mirror.upstreams : wanted;
  }

  /**
   * The upstreams to ask, best first. One with all its slots taken comes last, and after it one whose bytes of this file were refused; those that ask to
   * wait are left out.
   */
  function order(request: UpstreamRequest): readonly Upstream[] {
    const ordered = orderUpstreams(candidates(request), (upstream) => healthOf(upstream.url), now());
    const hasNoSlot = (upstream: Upstream): boolean =>
      slots.isFull(upstream.url) && availability(healthOf(upstream.url), now()) === "ready";
    const free = [...ordered.filter((upstream) => !hasNoSlot(upstream)), ...ordered.filter(hasNoSlot)];
    const isRefused = ({ url }: Upstream): boolean => refusals.isRecent(url, request);
    return [...free.filter((upstream) => !isRefused(upstream)), ...free.filter(isRefused)];
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
      nearby: request.nearby,
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
    const asked = candidates(request);
    const tries = order(request);
    const faults: Fault[] = [];
    const absent: Upstream[] = [];
    const forbidden: Upstream[] = [];
    let status: 404 | 410 | undefined;
    let change: { readonly isUnproven: boolean } | undefined;
    const left = [...tries];
    const askedAgain = new Set<string>();
    for (let upstream = left.shift(); upstream !== undefined && faults.length < MAX_FAULTS; upstream = left.shift() ?? lastHope()) {
      const isDown = availability(healthOf(upstream.url), now()) === "open";
      if (isDown && absent.length + forbidden.length > 0 && !mayHave(upstream)) continue;
      const exchangeRequest = exchangeRequestFor(request, upstream);
      const result = await askOnce(request, exchangeRequest);
      switch (result.kind) {
        case "body": {
          const source = createByteSource(request, exchangeRequest, result, { ask, order, record, onEvent, random });
          return { kind: "body", representation: result.representation, first: result.first, source };
        }
        case "not-modified":
          return { kind: "not-modified", upstream: upstream.url };
        case "head":
        case "unsatisfiable":
        case "folder":
          return result;
        case "absent":
          absent.push(upstream);
          status ??= result.status;
          continue;
        case "forbidden":
          if (!isImmutable(request.class)) {
            forbidden.push(upstream);
            continue;
          }
          faults.push({ ...result, upstream: upstream.url });
          break;
        case "differs":
          if (change?.isUnproven !== false) change = { isUnproven: result.isUnproven === true };
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
    if (change !== undefined) return { kind: "changed", ...(change.isUnproven ? { isUnproven: true } : {}) };
    const answered = [...absent, ...forbidden];
    const silent = asked.filter((upstream) => !answered.includes(upstream));
    if (answered.length === 0 || silent.some(mayHave)) return conclude(request, faults, answered.length > 0);
    if (status === undefined) return { kind: "absent", status: 403 };
    const unsure = [...forbidden, ...silent].map(({ url }) => url);
    return { kind: "absent", status, ...(unsure.length === 0 ? {} : { unsure }) };

    /** It restarts, or closed a connection that the runtime had kept open. Where no other has the file, it is asked once more. */
    function lastHope(): Upstream | undefined {
      const isLone = tries.length === 1;
      const at = faults.findIndex(({ kind, upstream }) => kind === "connection" && (isLone || healthOf(upstream).failures === 1));
      const lost = faults[at]?.upstream;
      if (lost === undefined || askedAgain.has(lost) || (absent.length === 0 && !isLone)) return undefined;
      askedAgain.add(lost);
      faults.splice(at, 1);
      return tries.find(({ url }) => url === lost);
    }

    function mayHave(upstream: Upstream): boolean {
      const firstWord = asked.findIndex((one) => absent.includes(one) || forbidden.includes(one));
      const fault = faults.find(({ upstream: url }) => url === upstream.url)?.kind;
      return mayStillHave(
        request.class,
        { health: healthOf(upstream.url), fault, isPreferred: asked.indexOf(upstream) < firstWord },
        now(),
      );
    }
  }

  /** No upstream could answer: 503 when all are busy, 504 when all timed out, else 502. */
  function conclude(request: UpstreamRequest, faults: readonly Fault[], isAbsentSomewhere: boolean): UpstreamFailure {
    const held = request.mirror.upstreams.filter((upstream) => availability(healthOf(upstream.url), now()) === "held");
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

  return { open, snapshot, noteRefused: refusals.note };
}

type Fault = Extract<ExchangeResult, { readonly detail: string }> & { readonly upstream: string };

function exchangeRequestFor(request: UpstreamRequest, upstream: Upstream): ExchangeRequest {
  const { mirror, path, query, range, method = "GET" } = request;
  const conditional = request.conditional?.upstream === upstream.url ? request.conditional : undefined;
  // RFC 9110 §14.2: Range is for GET only. A range from 0 to the end is no range.
  const isRanged = method === "GET" && range !== undefined && (range.first > 0 || range.last !== undefined);
  return { mirror, upstream, path, query, class: request.class, method, range: isRanged ? range : undefined, conditional };
}
