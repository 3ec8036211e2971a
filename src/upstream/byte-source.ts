import type { Upstream } from "../config/config.ts";
import { parseContentCodings } from "../verify/content-coding.ts";
import { BodyFault } from "./body-reader.ts";
import { COMPARED_HEAD_BYTES, createEvidence, headSize } from "./evidence.ts";
import { fileOf, type Exchange, type ExchangeDependencies, type ExchangeRequest, type ExchangeResult } from "./exchange.ts";
import { joinAt, strongTag, type Joined } from "./join.ts";
import {
  SourceError,
  type ByteSource,
  type Representation,
  type UpstreamEvent,
  type UpstreamFailure,
  type UpstreamRequest,
} from "./upstream.ts";

/** Upstreams that one body may ask to resume it, however much progress it makes in between. */
const MAX_RESUMES = 10;
/** After this much progress since the last break, the next break counts as the first: every upstream may be asked again. */
const PROGRESS_BYTES = 1_048_576;
/** An upstream with this many breaks since the last progress is not asked again. */
const MAX_BREAKS = 2;

export interface SourceDependencies extends Pick<ExchangeDependencies, "record" | "random"> {
  readonly ask: Exchange;
  /** The mirror's upstreams in the order in which to ask them now. */
  readonly order: (request: UpstreamRequest) => readonly Upstream[];
  readonly onEvent: (event: UpstreamEvent) => void;
}

/**
 * The body of an upstream's response as a `ByteSource`, which resumes it when it breaks.
 * @param exchangeRequest what was asked of the upstream that answered with `opened`.
 */
export function createByteSource(
  request: UpstreamRequest,
  exchangeRequest: ExchangeRequest,
  opened: Extract<ExchangeResult, { kind: "body" }>,
  deps: SourceDependencies,
): ByteSource {
  const { first, representation } = opened;
  const evidence = createEvidence(first, representation.size, request.known);
  /** Upstream to the strong entity tag under which it sent this version. */
  const tags = new Map<string, string>();
  /** Upstream to its breaks since the last progress. */
  const breaks = new Map<string, number>();
  let { body, end, isEndVisible } = opened;
  /** Where the current response ends by its own headers; `end` is where the first one did. */
  let sentEnd = end;
  /** The version whose bytes were delivered, and the representation that the current upstream sends. */
  let [version, current] = [representation, representation];
  let position = first;
  let resumedAt = first;
  let resumes = 0;
  let ended: "whole" | SourceError | undefined;
  trust(representation);
  if (request.sameAs !== undefined) trust(request.sameAs);

  function trust(sent: Representation): void {
    const tag = strongTag(sent);
    // Servers whose If-Range is broken have answered with the middle of a newer InRelease: of a root, only equal bytes prove the version.
    if (tag !== undefined && request.class !== "root") tags.set(sent.upstream, tag);
  }

  async function read(): Promise<Uint8Array | null> {
    for (;;) {
      if (ended instanceof SourceError) throw ended;
      if (ended !== undefined) return null;
      try {
        return await readOnce();
      } catch (error) {
        if (!(error instanceof BodyFault)) throw error;
        await resume(error);
      }
    }
  }

  /** The next bytes, or null at the proven end of the body. Throws `BodyFault`. */
  async function readOnce(): Promise<Uint8Array | null> {
    if (position === end) return finish();
    const chunk = await body.read();
    if (chunk === null) {
      if (ended !== undefined) throw new BodyFault("broken", "given up by the request");
      if (end !== undefined) throw new BodyFault("broken", `ended at byte ${position} of ${end}`);
      return finish();
    }
    if (sentEnd !== undefined && position + chunk.length > sentEnd)
      throw new BodyFault("broken", `went on past byte ${sentEnd}, where it should end`);
    // An upstream that ignored Range sends more than the range that is being resumed.
    const wanted = end === undefined ? chunk : chunk.subarray(0, end - position);
    // No resume follows the last bytes, so none has to be compared with them.
    if (position + wanted.length !== end) evidence.add(wanted);
    position += wanted.length;
    return wanted;
  }

  function finish(): null {
    ended = "whole";
    deps.record(current.upstream, { kind: "success", path: fileOf(request) });
    // Now, not after the next read: the runtime may drop the request once its last byte is sent.
    body.complete();
    return null;
  }

  async function resume(fault: BodyFault): Promise<void> {
    body.close(fault.message);
    if (ended !== undefined) return;
    // Positions in an encoded body are none in the file, and the next response may be encoded in another way: it is begun anew. Under a version that was
    // prescribed, which is never an encoded one, the label is a mistake.
    const isResumable = isUntouched() || parseContentCodings(version.contentEncoding).length === 0 || request.sameAs !== undefined;
    const status = fault.reason === "stalled" ? 504 : 502;
    let detail = `${current.upstream} ${fault.message}`;
    deps.record(current.upstream, { kind: "failure", random: deps.random(), isBody: true, path: fileOf(request) });
    deps.onEvent({ kind: "broken", upstream: current.upstream, path: request.path, position, detail: fault.message });
    if (position - resumedAt >= PROGRESS_BYTES) breaks.clear();
    addBreaks(current.upstream, 1);
    resumedAt = position;
    for (const upstream of isResumable ? candidates(fault) : []) {
      if (ended !== undefined || ++resumes > MAX_RESUMES) break;
      const joined = await join(upstream);
      if (joined.kind === "body") return continueWith(joined);
      addBreaks(upstream.url, MAX_BREAKS);
      detail += `; ${upstream.url} ${"detail" in joined ? joined.detail : `is ${joined.kind}`}`;
    }
    fail(status, detail);
  }

  /** Which upstreams to ask to resume: after a lost connection the same one first, after a stall the others first. */
  function candidates(fault: BodyFault): readonly Upstream[] {
    const same = request.mirror.upstreams.filter((upstream) => upstream.url === current.upstream);
    const others = deps.order(request).filter((upstream) => upstream.url !== current.upstream);
    const order = fault.reason === "stalled" ? [...others, ...same] : [...same, ...others];
    return order.filter((upstream) => (breaks.get(upstream.url) ?? 0) < MAX_BREAKS);
  }

  function addBreaks(upstream: string, count: number): void {
    breaks.set(upstream, (breaks.get(upstream) ?? 0) + count);
  }

  /** Whether no byte was delivered and no version prescribed: then any version may be sent, since nothing can be mixed. */
  function isUntouched(): boolean {
    return position === first && request.sameAs === undefined;
  }

  /** What is still missing of the response, which is more than `exchangeRequest.range` where the upstream ignored that. */
  function remainingRange(): ExchangeRequest["range"] {
    return { first: position, last: end === undefined || end === version.size ? undefined : end - 1 };
  }

  function join(upstream: Upstream): Promise<Joined> {
    return joinAt(
      position,
      { ...exchangeRequest, upstream, range: remainingRange() },
      {
        representation: version,
        trustedTag: tags.get(upstream.url),
        known: isUntouched() ? null : evidence.read,
        headBytes: request.sameAs === undefined ? Math.min(COMPARED_HEAD_BYTES, position) : headSize(request.sameAs),
        isWholeWelcome: false,
      },
      deps.ask,
    );
  }

  function continueWith(joined: Extract<Joined, { kind: "body" }>): void {
    ({ body, end: sentEnd, isEndVisible } = joined);
    if (ended !== undefined) return body.close("cancelled");
    end ??= joined.end;
    current = joined.representation;
    if (isUntouched()) {
      // The new upstream may send another version: the tags seen before say nothing of its bytes.
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
    // Before the close: a pending read must throw, not take the closed stream for the end of the body.
    fail(502, reason);
    body.close(reason);
  }

  return {
    read,
    cancel,
    isEndProven: () => end !== undefined || isEndVisible,
    version: () => version,
    handOver: () => (ended === undefined ? body.handOver() : null),
  };
}
