import { isStrongMatch, parseEntityTag } from "../http/entity-tag.ts";
import { BodyFault } from "./body-reader.ts";
import { agreesWith, COMPARED_HEAD_BYTES, COMPARED_TAIL_BYTES, type Region } from "./evidence.ts";
import type { Exchange, ExchangeRequest, ExchangeResult } from "./exchange.ts";
import type { KnownBytes, NearbyBytes, Representation } from "./upstream.ts";

/** A body that begins at most this far before the offset is read and dropped up to it; beyond that the bytes would be wasted. */
const SKIP_BYTES = 1_048_576;
/** As much is dropped where slices of the version are stored, and nothing but the bytes proves it: without them the file would be begun anew. */
const SKIP_FOR_PROOF_BYTES = 67_108_864;

/** The version that the next body must continue. */
export interface Version {
  readonly representation: Representation;
  /** Strong entity tag under which the asked upstream sent this version before; undefined: none is known. */
  readonly trustedTag: string | undefined;
  /** Its bytes, to compare with; null: none were delivered yet, so nothing can be mixed. */
  readonly known: KnownBytes | null;
  /** Known bytes elsewhere in the file, as near to the wanted ones as there are any; asked where those directly before the offset are not known. */
  readonly nearby?: NearbyBytes | undefined;
  /** How many first bytes of the file to compare, also where the offset lies among them: slices after the offset may be stored already. */
  readonly headBytes: number;
  /** Whether the body may begin at 0 where the upstream ignores Range. */
  readonly isWholeWelcome: boolean;
}

/** A body of the same version, or why the upstream has none. */
export type Joined =
  | ExchangeResult
  /** The upstream has another version or, where `isUnproven` is set, nothing can show whether it has the same one. */
  | Differs;

interface Differs {
  readonly kind: "differs";
  readonly detail: string;
  readonly isUnproven?: true;
}

type BodyResult = Extract<ExchangeResult, { kind: "body" }>;

/**
 * Opens a body of the same version at `offset` (or at 0, see `isWholeWelcome`). The proof is an equal strong entity tag of the same upstream, else
 * that the head of the file and the bytes before the offset are equal. Where one of these is not known, an equal date and those bytes that are known
 * prove it too; without any, an equal date of the same upstream, whose entity tags do not contradict it.
 * @param request `range.last` is the last byte wanted; `offset` takes the place of `range.first`.
 */
export async function joinAt(offset: number, request: ExchangeRequest, version: Version, ask: Exchange): Promise<Joined> {
  const { trustedTag, representation } = version;
  if (trustedTag === undefined && version.known !== null) return proveAt(offset, request, version, ask);
  const knownSize = representation.size;
  const result = await ask({ ...request, range: rangeFrom(offset, request.range?.last), ifRange: trustedTag, knownSize });
  if (result.kind !== "body") return checkRefusal(result, representation);
  const isTrusted = version.known === null || isSameTag(result.representation.etag, trustedTag);
  // Where the first upstream stated no size, only the tag proves that the sizes are equal.
  const isSized = representation.size === undefined ? isTrusted : haveSameSize(result.representation, representation);
  if (!isSized) return closeAsDifferent(result, "has another size");
  // The client has a Last-Modified already: bytes of another date must not follow it.
  if (version.known === null && result.representation.lastModified !== representation.lastModified)
    return closeAsDifferent(result, "has another date");
  if (isTrusted && (result.first === offset || version.isWholeWelcome)) return result;
  if (isTrusted && offset <= SKIP_BYTES) return skipTo(offset, result, []);
  result.body.close("at another position, or of another version");
  if (version.known === null) return unproven("ignores Range");
  return proveAt(offset, request, version, ask);
}

async function proveAt(offset: number, request: ExchangeRequest, version: Version, ask: Exchange): Promise<Joined> {
  const { representation, known } = version;
  const head = await readRegion(known, 0, version.headBytes);
  const tail = await readRegion(known, Math.max(0, offset - COMPARED_TAIL_BYTES), offset);
  const isComplete = head !== null && tail !== null;
  const nearby = isComplete ? null : ((await version.nearby?.()) ?? null);
  const regions = [head, tail, nearby].filter((region) => region !== null && region.bytes.length > 0) as readonly Region[];

  const start = offset <= COMPARED_HEAD_BYTES + COMPARED_TAIL_BYTES ? 0 : offset - COMPARED_TAIL_BYTES;
  const knownSize = representation.size;
  const body = await ask({ ...request, range: rangeFrom(start, request.range?.last), ifRange: undefined, knownSize });
  if (body.kind !== "body") return checkRefusal(body, representation);
  if (!haveSameSize(body.representation, representation)) return closeAsDifferent(body, "has another size");
  const isDated = regions.length > 0 ? haveSameDate(body.representation, representation) : agree(body.representation, representation);
  if (!isComplete && !isDated) return closeAsUnproven(body, "neither its date nor bytes of this version can show that it has the same one");

  const ignoresRange = body.first !== start && offset > SKIP_BYTES;
  const isSkipped = isComplete && version.isWholeWelcome && offset <= SKIP_FOR_PROOF_BYTES;
  if (ignoresRange && !isSkipped && !(version.isWholeWelcome && isDated)) return closeAsUnproven(body, "ignores Range");
  const joined = ignoresRange && !isSkipped ? body : await skipTo(offset, body, regions);
  if (joined.kind !== "body") return joined;
  for (const region of regions) {
    const isSkippedOver = joined !== body && body.first <= region.from && region.from + region.bytes.length <= offset;
    const difference = isSkippedOver ? undefined : await compareRegion(request, representation, region, isComplete, ask);
    if (difference === undefined) continue;
    joined.body.close("of another version");
    return difference;
  }
  return joined;
}

/** Fetches a region by itself, where the body to continue with does not contain it. Undefined: it is equal. */
async function compareRegion(
  request: ExchangeRequest,
  of: Representation,
  region: Region,
  isComplete: boolean,
  ask: Exchange,
): Promise<Joined | undefined> {
  const end = region.from + region.bytes.length;
  const result = await ask({ ...request, range: { first: region.from, last: end - 1 }, ifRange: undefined, knownSize: of.size });
  if (result.kind !== "body") return checkRefusal(result, of);
  const isDated = isComplete || haveSameDate(result.representation, of) || agree(result.representation, of);
  if (!haveSameSize(result.representation, of) || !isDated) return closeAsDifferent(result, "changed while it was compared");
  if (region.from - result.first > SKIP_FOR_PROOF_BYTES) return closeAsUnproven(result, "ignores Range");
  const compared = await skipTo(end, result, [region]);
  if (compared.kind === "body") compared.body.close("compared");
  return compared.kind === "body" ? undefined : compared;
}

/** Reads and drops the bytes before `offset`, and compares those that lie in `regions`. The next read returns the byte at `offset`. */
async function skipTo(offset: number, result: BodyResult, regions: readonly Region[]): Promise<Joined> {
  let position = result.first;
  try {
    while (position < offset) {
      const chunk = await result.body.read();
      if (chunk === null) return closeAsDifferent(result, `ended at byte ${position} of ${result.end ?? "an unknown length"}`);
      const skipped = chunk.subarray(0, offset - position);
      if (!agreesWith(regions, position, skipped)) return closeAsDifferent(result, "has other bytes in a file of the same name and size");
      result.body.unread(chunk.subarray(skipped.length));
      position += skipped.length;
    }
  } catch (error) {
    if (!(error instanceof BodyFault)) throw error;
    return { kind: error.reason === "stalled" ? "timeout" : "connection", detail: error.message };
  }
  return { ...result, first: position };
}

async function readRegion(known: KnownBytes | null, from: number, to: number): Promise<Region | null> {
  const bytes = to === from ? new Uint8Array() : ((await known?.(from, to)) ?? null);
  return bytes?.length === to - from ? { from, bytes: bytes.slice() } : null;
}

function rangeFrom(first: number, last: number | undefined): ExchangeRequest["range"] {
  return first === 0 && last === undefined ? undefined : { first, last };
}

/** A 416 with another size than the version's: the file became shorter, so it is another version. */
function checkRefusal(result: Exclude<ExchangeResult, BodyResult>, version: Representation): Joined {
  return result.kind === "unsatisfiable" && result.size !== version.size ? { kind: "differs", detail: "has another size" } : result;
}

function closeAsDifferent(result: BodyResult, detail: string): Joined {
  result.body.close(detail);
  return { kind: "differs", detail };
}

function closeAsUnproven(result: BodyResult, detail: string): Differs {
  result.body.close(detail);
  return unproven(detail);
}

function unproven(detail: string): Differs {
  return { kind: "differs", detail, isUnproven: true };
}

function haveSameSize(a: Representation, b: Representation): boolean {
  // A stored version has lost its label, where that was a mistake: of equal length the bytes are compared, or the tag is equal.
  return a.size === b.size && (a.size !== undefined || a.contentEncoding === b.contentEncoding);
}

function haveSameDate(a: Representation, b: Representation): boolean {
  return a.lastModified !== undefined && a.lastModified === b.lastModified;
}

/** The weakest proof: both come from one upstream, of one date, and have no entity tag or the same one, which may be weak. */
function agree(a: Representation, b: Representation): boolean {
  return a.upstream === b.upstream && haveSameDate(a, b) && a.etag === b.etag;
}

function isSameTag(a: string | undefined, b: string | undefined): boolean {
  const [left, right] = [parseEntityTag(a), parseEntityTag(b)];
  return left !== null && right !== null && isStrongMatch(left, right);
}

/** The entity tag if it is strong, else undefined: equal weak tags do not prove equal bytes (RFC 9110 §8.8.1). */
export function strongTag(representation: Representation): string | undefined {
  const tag = parseEntityTag(representation.etag);
  return tag === null || tag.weak ? undefined : representation.etag;
}
