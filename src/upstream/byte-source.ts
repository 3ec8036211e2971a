import type { Upstream } from "../config/config.ts";
import { BodyFault } from "./body-reader.ts";
import { HEAD_BYTES, createEvidence, headSize } from "./evidence.ts";
import type { Outcome, Question } from "./exchange.ts";
import type { HealthEvent } from "./health.ts";
import type { Joined } from "./join.ts";
import { joinAt, strongTag } from "./join.ts";
import type { UpstreamEvent } from "./upstream-event.ts";
import type { ByteSource, Representation, UpstreamFailure, UpstreamRequest } from "./upstream.ts";
import { SourceError } from "./upstream.ts";

/** Of one body, whatever progress it makes in between. */
const MAX_RESUMES = 10;
/** So much since the last break makes the next one a new one, which every upstream may try again. */
const PROGRESS_BYTES = 1_048_576;
/** Breaks without progress after which an upstream is not asked again: it gets one more try. */
const MAX_BREAKS = 2;

export interface SourceDeps {
  readonly ask: (question: Question) => Promise<Outcome>;
  /** Upstreams in the order of the moment. */
  readonly order: (request: UpstreamRequest) => readonly Upstream[];
  readonly record: (upstream: string, event: HealthEvent) => void;
  readonly onEvent: (event: UpstreamEvent) => void;
  readonly random: () => number;
}

/** The body of an answer, gone on with behind the scenes when it breaks. */
export function createByteSource(
  request: UpstreamRequest,
  question: Question,
  opened: Extract<Outcome, { kind: "body" }>,
  deps: SourceDeps,
): ByteSource {
  const first = opened.first;
  const evidence = createEvidence(first, opened.representation.size, request.known);
  /** By upstream: the strong tag under which it was seen to mean this version. */
  const tags = new Map<string, string>();
  const breaks = new Map<string, number>();
  let { body, end } = opened;
  /** Where the answer under way ends by its own headers. */
  let sentEnd = end;
  /** What the bytes delivered so far belong to, and who sends now. */
  let version: Representation = opened.representation;
  let current: Representation = opened.representation;
  let position = first;
  let resumedAt = first;
  let resumes = 0;
  let ended: "whole" | SourceError | undefined;
  trust(opened.representation);
  if (request.sameAs !== undefined) trust(request.sameAs);

  function trust(representation: Representation): void {
    const tag = strongTag(representation);
    // A root changes under a server whose If-Range is broken: lesson of mixed InRelease files. Its bytes must prove it.
    if (tag !== undefined && request.class !== "root") tags.set(representation.upstream, tag);
  }

  async function read(): Promise<Uint8Array | null> {
    for (;;) {
      if (ended instanceof SourceError) throw ended;
      if (ended !== undefined) return null;
      const broken = await readOnce();
      if (broken instanceof Uint8Array) return broken;
      if (broken !== null) await resume(broken);
    }
  }

  /** Bytes, null at the true end, or what broke. */
  async function readOnce(): Promise<Uint8Array | BodyFault | null> {
    if (position === end) return finish();
    try {
      const chunk = await body.read();
      if (chunk === null) {
        if (request.signal?.aborted || ended !== undefined) return new BodyFault("broken", "given up by the request");
        return end === undefined ? finish() : new BodyFault("broken", `ended at byte ${position} of ${end}`);
      }
      if (sentEnd !== undefined && position + chunk.length > sentEnd) {
        return new BodyFault("broken", `went on past byte ${sentEnd}, where it should end`);
      }
      // An upstream that ignored Range sends more than the range that is being gone on with.
      const wanted = end === undefined ? chunk : chunk.subarray(0, end - position);
      // The last bytes need not be told again.
      if (position + wanted.length !== end) evidence.add(wanted);
      position += wanted.length;
      return wanted;
    } catch (error) {
      if (error instanceof BodyFault) return error;
      throw error;
    }
  }

  function finish(): null {
    ended = "whole";
    deps.record(current.upstream, { kind: "success" });
    // At once: what is left to run after the last byte, the runtime may never run.
    body.complete();
    return null;
  }

  async function resume(fault: BodyFault): Promise<void> {
    body.close(fault.message);
    if (ended !== undefined) return;
    const status = fault.reason === "stalled" ? 504 : 502;
    let detail = `${current.upstream} ${fault.message}`;
    if (!request.signal?.aborted) {
      deps.record(current.upstream, { kind: "failure", random: deps.random() });
      deps.onEvent({ kind: "broken", upstream: current.upstream, path: request.path, position, detail: fault.message });
      if (position - resumedAt >= PROGRESS_BYTES) breaks.clear();
      addBreaks(current.upstream, 1);
      resumedAt = position;
      for (const upstream of candidates(fault)) {
        if (request.signal?.aborted || ended !== undefined || ++resumes > MAX_RESUMES) break;
        const joined = await join(upstream);
        if (joined.kind === "body") return goOn(joined);
        addBreaks(upstream.url, MAX_BREAKS);
        detail += `; ${upstream.url} ${"detail" in joined ? joined.detail : `is ${joined.kind}`}`;
      }
    }
    fail(status, detail);
  }

  /** A lost connection is taken up where it was; a slow upstream is left. */
  function candidates(fault: BodyFault): readonly Upstream[] {
    const same = request.mirror.upstreams.filter((upstream) => upstream.url === current.upstream);
    const others = deps.order(request).filter((upstream) => upstream.url !== current.upstream);
    const order = fault.reason === "stalled" ? [...others, ...same] : [...same, ...others];
    return order.filter((upstream) => (breaks.get(upstream.url) ?? 0) < MAX_BREAKS);
  }

  function addBreaks(upstream: string, count: number): void {
    breaks.set(upstream, (breaks.get(upstream) ?? 0) + count);
  }

  /** Nothing was delivered, so nothing can be mixed. */
  function isUntouched(): boolean {
    return position === first && request.sameAs === undefined;
  }

  /** Not the one asked for: an upstream may have answered that with the whole. */
  function remainingRange(): Question["range"] {
    return end === undefined || end === version.size ? { first: position } : { first: position, last: end - 1 };
  }

  function join(upstream: Upstream): Promise<Joined> {
    return joinAt(
      position,
      { ...question, upstream, range: remainingRange() },
      {
        representation: version,
        trustedTag: tags.get(upstream.url),
        known: isUntouched() ? null : evidence,
        headBytes: request.sameAs === undefined ? Math.min(HEAD_BYTES, position) : headSize(request.sameAs),
        isWholeWelcome: false,
      },
      deps.ask,
    );
  }

  function goOn(joined: Extract<Joined, { kind: "body" }>): void {
    ({ body, end: sentEnd } = joined);
    if (ended !== undefined) return body.close("cancelled");
    end ??= joined.end;
    current = joined.representation;
    if (isUntouched()) {
      // A new start: what an upstream's tag meant before says nothing of the bytes to come.
      version = current;
      tags.clear();
    }
    trust(current);
    deps.onEvent({ kind: "resumed", upstream: current.upstream, path: request.path, position });
  }

  function fail(status: UpstreamFailure["status"], detail: string): void {
    ended ??= new SourceError({ kind: "failure", status, detail: `Cannot complete ${request.path}: ${detail}` });
  }

  function cancel(reason = "cancelled"): void {
    // A read under way must not take this for the end of the body.
    fail(502, reason);
    body.close(reason);
  }

  return { read, cancel, handOver: () => (ended === undefined ? body.handOver() : null) };
}
