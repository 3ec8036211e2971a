import { sleep } from "../clock/timer.ts";
import { isImmutable, type Upstream } from "../config/config.ts";
import { mayStillHave } from "./absence.ts";
import { createByteSource } from "./byte-source.ts";
import { headSize } from "./evidence.ts";
import { askUpstream, fileOf, type Exchange, type ExchangeDependencies, type ExchangeRequest } from "./exchange.ts";
import { availability, isLimited, NEW_HEALTH, orderUpstreams, updateHealth, type Health, type HealthEvent } from "./health.ts";
import { joinAt, strongTag, type Joined } from "./join.ts";
import { createConclusions, type Fault, HELD_MAX_SECONDS } from "./conclude.ts";
import { createPathNotes } from "./path-notes.ts";
import type { UpstreamWord } from "./words.ts";
import { createSlots } from "./slots.ts";
import type { UpstreamAnswer, UpstreamEvent, UpstreamFailure, UpstreamRequest, UpstreamStatus } from "./upstream.ts";

/** Upstreams that may fail for one `open`, each after a wait: then no other is asked. One that has no such file says so at once, and does not count. */
const MAX_FAULTS = 3;
const HELD_POLL_MS = 50;
/**
 * An upstream that broke the body of a file off, or sent other bytes, is asked last for that file for so long: it may be right by then. A long file goes out
 * as it comes: were the same upstream asked first again, every client would be cut off at the same byte, though another upstream has the right bytes.
 */
const DOUBTED_MS = 600_000;

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
  /** Files of which an upstream is to be asked last. */
  const doubts = createPathNotes(now);
  /** Paths that failed since they last succeeded, and until when the upstream asked to wait for them. */
  const troubles = createPathNotes(now);
  const conclusions = createConclusions({ heldMs, healthOf, now });
  const exchangeDependencies: ExchangeDependencies = { ...deps, slots, record };
  const ask: Exchange = (exchangeRequest) => askUpstream(exchangeRequest, exchangeDependencies);

  function healthOf(upstream: string): Health {
    return health.get(upstream) ?? NEW_HEALTH;
  }

  function record(upstream: string, event: HealthEvent): void {
    const before = healthOf(upstream);
    const after = updateHealth(before, event, now());
    health.set(upstream, after);
    if (event.path !== undefined && event.kind === "failure") {
      troubles.note(upstream, event.path, 0);
      if (event.isBody === true) doubts.note(upstream, event.path, DOUBTED_MS);
    }
    if (event.path !== undefined && event.kind === "success") troubles.clear(upstream, event.path);
    if (after.trips > before.trips) onEvent({ kind: "breaker", upstream, state: "open", openMs: after.openUntil - now() });
    if (before.openUntil !== 0 && after.openUntil === 0) onEvent({ kind: "breaker", upstream, state: "closed", openMs: 0 });
  }

  /** The mirror's upstreams in the order of the configuration, without those in `avoid` unless all are. */
  function candidates({ mirror, avoid }: UpstreamRequest): readonly Upstream[] {
    const wanted = mirror.upstreams.filter((upstream) => !avoid?.includes(upstream.url));
    return wanted.length === 0 ? mirror.upstreams : wanted;
  }

  /**
   * The upstreams to ask, best first. One with all its slots taken comes last, and after it one that sent this file broken, or other bytes; those that
   * must not be asked now, for this path or for any, are left out.
   */
  function order(request: UpstreamRequest): readonly Upstream[] {
    const free = candidates(request).filter((upstream) => heldMs(upstream, request) === 0);
    const ordered = orderUpstreams(free, (upstream) => healthOf(upstream.url), now());
    const hasNoSlot = (upstream: Upstream): boolean =>
      slots.isFull(upstream.url) && availability(healthOf(upstream.url), now()) === "ready";
    const isDoubted = ({ url }: Upstream): boolean => doubts.until(url, fileOf(request)) > now();
    const rank = (upstream: Upstream): number => (isDoubted(upstream) ? 2 : 0) + (hasNoSlot(upstream) ? 1 : 0);
    return ordered.toSorted((a, b) => rank(a) - rank(b));
  }

  /** For how many milliseconds this path is not to be asked for at the upstream; 0: it may be. */
  function heldMs({ url }: Upstream, request: UpstreamRequest): number {
    const { heldUntil, turnUntil } = healthOf(url);
    return Math.max(0, heldUntil - now(), turnUntil - now(), troubles.until(url, fileOf(request)) - now());
  }

  function askOnce(request: UpstreamRequest, exchangeRequest: ExchangeRequest): Promise<Joined> {
    const { url } = exchangeRequest.upstream;
    if (availability(healthOf(url), now()) === "probe-due" || isLimited(healthOf(url), now())) {
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

  /**
   * How many milliseconds to wait until an upstream can be asked, where all hold the path, so that the client sees no 503; 0: too long. While another request
   * has the turn at an upstream that limits this mirror, the wait is short: mostly that request ends long before it counts as lost.
   */
  function outwaitMs(request: UpstreamRequest, waitedMs: number): number {
    const limitMs = deps.config.upstreamFirstByteSeconds * 1000 - waitedMs;
    const upstreams = candidates(request);
    if (limitMs > 0 && upstreams.some(({ url }) => healthOf(url).turnUntil > now())) return HELD_POLL_MS;
    const leftMs = Math.min(...upstreams.map((upstream) => heldMs(upstream, request)));
    return leftMs <= limitMs ? leftMs : 0;
  }

  async function open(request: UpstreamRequest): Promise<UpstreamAnswer> {
    if (deps.config.offline === true) return refuseOffline(request);
    const asked = candidates(request);
    let tries = order(request);
    for (let waitedMs = 0; tries.length === 0; tries = order(request)) {
      const ms = outwaitMs(request, waitedMs);
      if (ms === 0) break;
      await sleep(ms, deps.after);
      waitedMs += ms;
    }
    const faults: Fault[] = [];
    /** Of upstreams that do not speak for this file: they count where no other one answers. */
    const misdirected: Fault[] = [];
    const absent: Upstream[] = [];
    /** What each one that was asked said, in the order of asking. */
    const words: UpstreamWord[] = [];
    const forbidden: Upstream[] = [];
    let status: 404 | 410 | undefined;
    let change: { readonly isUnproven: boolean } | undefined;
    const left = [...tries];
    const askedAgain = new Set<string>();
    for (let upstream = left.shift(); upstream !== undefined && faults.length < MAX_FAULTS; upstream = left.shift() ?? lastHope()) {
      // Another request has taken the turn meanwhile, or the path proved to be held.
      if (heldMs(upstream, request) > 0) continue;
      const isDown = availability(healthOf(upstream.url), now()) === "open";
      if (isDown && absent.length + forbidden.length > 0 && !mayHave(upstream)) continue;
      const exchangeRequest = exchangeRequestFor(request, upstream);
      const result = await askOnce(request, exchangeRequest);
      words.push({
        upstream: upstream.url,
        detail: "detail" in result ? result.detail : "status" in result ? `answered ${result.status}` : "",
      });
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
          troubles.note(upstream.url, fileOf(request), Math.min(result.retryAfterSeconds ?? 0, HELD_MAX_SECONDS) * 1000);
          faults.push({ ...result, upstream: upstream.url });
          break;
        case "refused":
          if (result.isMisdirected === true) {
            misdirected.push({ ...result, upstream: upstream.url });
            continue;
          }
          faults.push({ ...result, upstream: upstream.url });
          break;
        case "limited":
        case "wrong":
        case "timeout":
        case "connection":
          faults.push({ ...result, upstream: upstream.url });
      }
      onEvent({ kind: "fault", upstream: upstream.url, path: request.path, detail: result.detail });
    }
    if (change !== undefined) return { kind: "changed", ...(change.isUnproven ? { isUnproven: true } : {}) };
    const answered = [...absent, ...forbidden];
    const silent = asked.filter(
      (upstream) => !answered.includes(upstream) && misdirected.every((fault) => fault.upstream !== upstream.url),
    );
    if (answered.length === 0 || silent.some(mayHave))
      return conclusions.conclude(request, faults.length > 0 ? faults : misdirected, answered.length > 0, words);
    if (status === undefined) return { kind: "absent", status: 403, words: conclusions.listAll(request, words) };
    const unsure = [...forbidden, ...silent].map(({ url }) => url);
    return { kind: "absent", status, ...(unsure.length === 0 ? {} : { unsure }), words: conclusions.listAll(request, words) };

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
        {
          state: heldMs(upstream, request) > 0 ? "held" : availability(healthOf(upstream.url), now()),
          failingSince: failingSince(upstream, request),
          fault,
          isPreferred: asked.indexOf(upstream) < firstWord,
        },
        now(),
      );
    }
  }

  function failingSince({ url }: Upstream, request: UpstreamRequest): number {
    const times = [healthOf(url).failingSince, troubles.since(url, fileOf(request))].filter((time) => time > 0);
    return times.length === 0 ? 0 : Math.min(...times);
  }

  /** The state of every upstream that was asked since the isolate started. */
  function snapshot(): readonly UpstreamStatus[] {
    return [...health].map(([upstream, { failures, firstByteMs, bytesPerSecond }]) => ({
      upstream,
      state: availability(healthOf(upstream), now()),
      outcome: outcomeOf(healthOf(upstream)),
      failures,
      firstByteMs,
      bytesPerSecond,
      bodies: slots.count(upstream),
    }));
  }

  return { open, snapshot, noteRefused };

  /** The bytes that the upstream (configured URL) sent are not the file's. */
  function noteRefused(upstream: string, file: Pick<UpstreamRequest, "path" | "query">): void {
    doubts.note(upstream, fileOf(file), DOUBTED_MS);
  }
}

function outcomeOf({ failures, failingSince, succeededAt }: Health): UpstreamStatus["outcome"] {
  if (failures > 0 || failingSince > 0) return "failing";
  return succeededAt > 0 ? "good" : "unknown";
}

function refuseOffline({ path, query }: UpstreamRequest): UpstreamFailure {
  return {
    kind: "failure",
    status: 504,
    detail: `Cannot fetch /${path}${query}: OFFLINE is true, so that no upstream is asked`,
  };
}

function exchangeRequestFor(request: UpstreamRequest, upstream: Upstream): ExchangeRequest {
  const { mirror, path, query, range, method = "GET" } = request;
  const conditional = request.conditional?.upstream === upstream.url ? request.conditional : undefined;
  // RFC 9110 §14.2: Range is for GET only. A range from 0 to the end is no range.
  const isRanged = method === "GET" && range !== undefined && (range.first > 0 || range.last !== undefined);
  return { mirror, upstream, path, query, class: request.class, method, range: isRanged ? range : undefined, conditional };
}
