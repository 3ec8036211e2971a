import type { Upstream } from "../config/config.ts";
import { createByteSource } from "./byte-source.ts";
import { isImmutable } from "./classify-answer.ts";
import { headSize } from "./evidence.ts";
import type { ExchangeDeps, Outcome, Question } from "./exchange.ts";
import { askUpstream } from "./exchange.ts";
import type { Health, HealthEvent } from "./health.ts";
import { NEW_HEALTH, availability, orderUpstreams, updateHealth } from "./health.ts";
import type { Joined } from "./join.ts";
import { joinAt, strongTag } from "./join.ts";
import { createSlots } from "./slots.ts";
import type { UpstreamEvent, UpstreamStatus } from "./upstream-event.ts";
import type { UpstreamAnswer, UpstreamFailure, UpstreamRequest, Upstreams } from "./upstream.ts";

const MAX_TRIES = 3;
/** Where upstreams say 503 without saying for how long: clients need a Retry-After. */
const RETRY_AFTER_SECONDS = 10;

export interface UpstreamsDeps extends Omit<ExchangeDeps, "slots" | "record"> {
  readonly onEvent: (event: UpstreamEvent) => void;
}

/** `Upstreams` with what it learned so far. Shared by all requests of an isolate: it keeps plain data only, never a stream or a signal. */
export interface MonitoredUpstreams extends Upstreams {
  /** Every upstream asked so far. */
  snapshot(): readonly UpstreamStatus[];
}

export function createUpstreams(deps: UpstreamsDeps): MonitoredUpstreams {
  const { now, random, onEvent } = deps;
  const health = new Map<string, Health>();
  const slots = createSlots(now, deps.after);
  const exchangeDeps: ExchangeDeps = { ...deps, slots, record };
  const ask = (question: Question): Promise<Outcome> => askUpstream(question, exchangeDeps);

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

  /** A busy upstream comes after an idle one, an avoided one is left out while there is another. */
  function order(request: UpstreamRequest): readonly Upstream[] {
    const all = request.mirror.upstreams;
    const wanted = all.filter((upstream) => !request.avoid?.includes(upstream.url));
    const ordered = orderUpstreams(wanted.length === 0 ? all : wanted, (upstream) => healthOf(upstream.url), now());
    const isWaiting = (upstream: Upstream): boolean =>
      slots.isFull(upstream.url) && availability(healthOf(upstream.url), now()) === "ready";
    return [...ordered.filter((upstream) => !isWaiting(upstream)), ...ordered.filter(isWaiting)];
  }

  function askOnce(request: UpstreamRequest, question: Question): Promise<Joined> {
    const { url } = question.upstream;
    if (availability(healthOf(url), now()) === "probe-due") {
      record(url, { kind: "probe", limitMs: deps.config.upstreamFirstByteSeconds * 1000 });
    }
    const { sameAs } = request;
    if (sameAs === undefined || question.method === "HEAD") return ask(question);
    const version = {
      representation: sameAs,
      trustedTag: sameAs.upstream === url ? strongTag(sameAs) : undefined,
      known: request.known ?? NOTHING_KNOWN,
      headBytes: headSize(sameAs),
      isWholeWelcome: true,
    };
    return joinAt(request.range?.first ?? 0, question, version, ask);
  }

  /** Where every upstream asked for a little patience, the client's request has it: no longer than it would wait for a first byte. */
  async function outwaitHold({ mirror }: UpstreamRequest): Promise<void> {
    const left = Math.min(...mirror.upstreams.map(({ url }) => Math.max(0, healthOf(url).heldUntil - now())));
    if (left > 0 && left <= deps.config.upstreamFirstByteSeconds * 1000) await new Promise<void>((resolve) => deps.after(left, resolve));
  }

  async function open(request: UpstreamRequest): Promise<UpstreamAnswer> {
    await outwaitHold(request);
    const tries = order(request).slice(0, MAX_TRIES);
    const faults: Fault[] = [];
    let answer: UpstreamAnswer | undefined;
    for (const upstream of tries) {
      const question = questionFor(request, upstream);
      let outcome = await askOnce(request, question);
      // A server that restarts, or a kept connection that it closed: with nobody else to ask, once more.
      if (outcome.kind === "connection" && tries.length === 1 && !request.signal?.aborted) outcome = await askOnce(request, question);
      switch (outcome.kind) {
        case "body": {
          const source = createByteSource(request, question, outcome, { ask, order, record, onEvent, random });
          return { kind: "body", representation: outcome.representation, first: outcome.first, source };
        }
        case "not-modified":
          return { kind: "not-modified", upstream: upstream.url };
        case "head":
        case "unsatisfiable":
          return outcome;
        case "absent":
          if (!isImmutable(request.class)) return outcome;
          answer ??= outcome;
          continue;
        case "differs":
          answer = { kind: "changed" };
          break;
        case "busy":
        case "refused":
        case "wrong":
        case "timeout":
        case "connection":
          faults.push({ ...outcome, upstream: upstream.url });
      }
      onEvent({ kind: "fault", upstream: upstream.url, path: request.path, detail: outcome.detail });
      if (request.signal?.aborted) break;
    }
    if (answer?.kind === "changed") return answer;
    const held = request.mirror.upstreams.filter((upstream) => availability(healthOf(upstream.url), now()) === "held");
    // Not 404 while another upstream may have it: a client takes that for final.
    if (answer !== undefined && faults.length === 0 && held.length === 0) return answer;
    return conclude(request, faults, held, answer !== undefined);
  }

  /** Nobody could: 503 when all are only busy, 504 when all kept silent, else 502. */
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
    const told = faults.map((fault) => `${fault.upstream} ${fault.detail}`);
    const asked = held.filter((upstream) => faults.every((fault) => fault.upstream !== upstream.url));
    const detail = `Cannot fetch /${request.path}${request.query}: ${[...told, ...asked.map((upstream) => `${upstream.url} asked to wait`)].join("; ")}`;
    if (!isAbsentSomewhere && faults.every((fault) => fault.kind === "busy")) {
      return { kind: "failure", status: 503, detail, retryAfterSeconds: Math.max(1, Math.min(...waits)) };
    }
    const isSilent = !isAbsentSomewhere && faults.every((fault) => fault.kind === "timeout");
    return { kind: "failure", status: isSilent ? 504 : 502, detail };
  }

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

type Fault = Extract<Outcome, { readonly detail: string }> & { readonly upstream: string };

const NOTHING_KNOWN = { read: (): Promise<null> => Promise.resolve(null) };

function questionFor(request: UpstreamRequest, upstream: Upstream): Question {
  const { mirror, path, query, conditional, signal } = request;
  // RFC 9110 §14.2: Range is for GET only. A range over the whole is none.
  const range = request.range !== undefined && (request.range.first > 0 || request.range.last !== undefined) ? request.range : undefined;
  const method = request.method ?? "GET";
  return { mirror, upstream, path, query, class: request.class, method, range: method === "GET" ? range : undefined, conditional, signal };
}
