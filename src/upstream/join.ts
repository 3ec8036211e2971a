import { isStrongMatch, parseEntityTag } from "../http/entity-tag.ts";
import { BodyFault } from "./body-reader.ts";
import type { Region } from "./evidence.ts";
import { HEAD_BYTES, TAIL_BYTES, agreesWith } from "./evidence.ts";
import type { Outcome, Question } from "./exchange.ts";
import type { KnownBytes, Representation } from "./upstream.ts";

/** A body that begins earlier than wanted is read over up to here; a longer way is not worth its bytes. */
const SKIP_BYTES = 1_048_576;

/** The version that is to be gone on with. */
export interface Version {
  readonly representation: Representation;
  /** Strong entity tag by which the asked upstream is known to mean this version. */
  readonly trustedTag: string | undefined;
  /** Its bytes; null: none were delivered yet, so nothing can be mixed. */
  readonly known: KnownBytes | null;
  /** How much of the head must be proven, whatever the offset: other parts of the version may lie behind it. */
  readonly headBytes: number;
  /** The body may begin at 0 where the upstream ignores Range. */
  readonly isWholeWelcome: boolean;
}

export type Joined =
  | Outcome
  /** Another file, or one that could not be proven to be the same. */
  | { readonly kind: "differs"; readonly detail: string };

type BodyOutcome = Extract<Outcome, { kind: "body" }>;
type Ask = (question: Question) => Promise<Outcome>;

/**
 * Opens a body of the same version at `offset` (or at 0, see `isWholeWelcome`): by an equal strong entity tag of the same upstream, else by the
 * proof that the head of the file and the bytes before the offset are equal.
 * @param question its range says the last byte wanted; its first byte is `offset`.
 */
export async function joinAt(offset: number, question: Question, version: Version, ask: Ask): Promise<Joined> {
  const { trustedTag, representation } = version;
  if (trustedTag === undefined && version.known !== null) return proveAt(offset, question, version, ask);
  const outcome = await ask({ ...question, range: rangeFrom(offset, question.range?.last), ifRange: trustedTag });
  if (outcome.kind !== "body") return checkRefusal(outcome, representation);
  const isTrusted = version.known === null || isSameTag(outcome.representation.etag, trustedTag);
  // A total that was never told can only be vouched for by the tag.
  const isSized = representation.size === undefined ? isTrusted : haveSameSize(outcome.representation, representation);
  if (!isSized) return refuse(outcome, "has another size");
  // The reader was told the date: what comes under it must carry it.
  if (version.known === null && outcome.representation.lastModified !== representation.lastModified)
    return refuse(outcome, "has another date");
  if (isTrusted && (outcome.first === offset || version.isWholeWelcome)) return outcome;
  if (isTrusted && offset <= SKIP_BYTES) return skipTo(offset, outcome, []);
  outcome.body.close("at another position, or of another version");
  if (version.known === null) return { kind: "differs", detail: "ignores Range" };
  return proveAt(offset, question, version, ask);
}

async function proveAt(offset: number, question: Question, version: Version, ask: Ask): Promise<Joined> {
  const { representation, known } = version;
  const head = await readRegion(known, 0, version.headBytes);
  const tail = await readRegion(known, Math.max(0, offset - TAIL_BYTES), offset);
  const regions = [head, tail].filter((region) => region !== null);
  const isComplete = regions.length === 2;
  const mayBeDated = representation.upstream === question.upstream.url && representation.etag === undefined;
  if (!isComplete && !mayBeDated) return { kind: "differs", detail: "cannot be compared: no bytes of the version are at hand" };

  const start = offset <= HEAD_BYTES + TAIL_BYTES ? 0 : offset - TAIL_BYTES;
  const body = await ask({ ...question, range: rangeFrom(start, question.range?.last), ifRange: undefined });
  if (body.kind !== "body") return checkRefusal(body, representation);
  if (!haveSameSize(body.representation, representation)) return refuse(body, "has another size");
  if (!isComplete && !haveSameDate(body.representation, representation)) return refuse(body, "cannot be told from another version");
  if (body.first !== start && offset > SKIP_BYTES) {
    return version.isWholeWelcome && haveSameDate(body.representation, representation) ? body : refuse(body, "ignores Range");
  }
  const joined = await skipTo(offset, body, regions);
  const isCompared = head === null || (body.first === 0 && head.bytes.length <= offset);
  if (joined.kind !== "body" || isCompared) return joined;
  const differs = await compareHead(question, joined.representation, head, ask);
  if (differs === undefined) return joined;
  joined.body.close("of another version");
  return differs;
}

/** The head was not passed on the way: it is asked for by itself. Undefined: equal. */
async function compareHead(question: Question, of: Representation, head: Region, ask: Ask): Promise<Joined | undefined> {
  const outcome = await ask({ ...question, range: { first: 0, last: head.bytes.length - 1 }, ifRange: undefined });
  if (outcome.kind !== "body") return checkRefusal(outcome, of);
  const { representation } = outcome;
  if (
    outcome.first !== 0 ||
    !haveSameSize(representation, of) ||
    representation.etag !== of.etag ||
    representation.lastModified !== of.lastModified
  ) {
    return refuse(outcome, "changed while it was compared");
  }
  const compared = await skipTo(head.bytes.length, outcome, [head]);
  if (compared.kind === "body") compared.body.close("compared");
  return compared.kind === "body" ? undefined : compared;
}

/** Reads up to `offset`, comparing on the way; the body then goes on there. */
async function skipTo(offset: number, outcome: BodyOutcome, regions: readonly Region[]): Promise<Joined> {
  let position = outcome.first;
  try {
    while (position < offset) {
      const chunk = await outcome.body.read();
      if (chunk === null) return refuse(outcome, `ended at byte ${position} of ${outcome.end ?? "an unknown length"}`);
      const skipped = chunk.subarray(0, offset - position);
      if (!agreesWith(regions, position, skipped)) return refuse(outcome, "has other bytes in a file of the same name and size");
      outcome.body.unread(chunk.subarray(skipped.length));
      position += skipped.length;
    }
  } catch (error) {
    if (!(error instanceof BodyFault)) throw error;
    return { kind: error.reason === "stalled" ? "timeout" : "connection", detail: error.message };
  }
  return { ...outcome, first: position };
}

async function readRegion(known: KnownBytes | null, from: number, to: number): Promise<Region | null> {
  const bytes = to === from ? new Uint8Array() : ((await known?.read(from, to)) ?? null);
  return bytes?.length === to - from ? { from, bytes: bytes.slice() } : null;
}

function rangeFrom(first: number, last: number | undefined): Question["range"] {
  if (first === 0 && last === undefined) return undefined;
  return last === undefined ? { first } : { first, last };
}

/** 416 where the version says there are bytes: a file that became shorter. */
function checkRefusal(outcome: Exclude<Outcome, BodyOutcome>, version: Representation): Joined {
  return outcome.kind === "unsatisfiable" && outcome.size !== version.size ? { kind: "differs", detail: "has another size" } : outcome;
}

function refuse(outcome: BodyOutcome, detail: string): Joined {
  outcome.body.close(detail);
  return { kind: "differs", detail };
}

function haveSameSize(a: Representation, b: Representation): boolean {
  return a.size === b.size && a.contentEncoding === b.contentEncoding;
}

/** The weakest agreement, for a server that sends no entity tags: of one upstream, both without a tag, with the same date. */
function haveSameDate(a: Representation, b: Representation): boolean {
  const isTagless = a.etag === undefined && b.etag === undefined;
  return a.upstream === b.upstream && isTagless && a.lastModified !== undefined && a.lastModified === b.lastModified;
}

function isSameTag(a: string | undefined, b: string | undefined): boolean {
  const [left, right] = [parseEntityTag(a), parseEntityTag(b)];
  return left !== null && right !== null && isStrongMatch(left, right);
}

/** The tag, where it may carry trust: RFC 9110 §8.8.1, a weak one says nothing of bytes. */
export function strongTag(representation: Representation): string | undefined {
  const tag = parseEntityTag(representation.etag);
  return tag === null || tag.weak ? undefined : representation.etag;
}
