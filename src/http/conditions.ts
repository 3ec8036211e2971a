import { type EntityTag, isStrongMatch, isWeakMatch, parseEntityTag, parseEntityTags } from "./entity-tag.ts";
import { isSameDate, parseHttpDate } from "./http-date.ts";

/** What a request's conditions are held against. */
export interface Validators {
  readonly etag: EntityTag;
  /** Last-Modified as sent, or undefined where there is none. */
  readonly lastModified: string | undefined;
  /** Bytes that went bad were once sent with this date: no date may count as proof of what a client holds. */
  readonly datesRefused: boolean;
}

/**
 * Evaluates the preconditions of a GET or HEAD in the order of RFC 9110 §13.2.2, all but If-Range (`isRangeWanted`).
 * @returns `proceed`: the method is performed; `not-modified`: 304; `failed`: 412.
 */
export function evaluateConditions(headers: Headers, current: Validators): "proceed" | "not-modified" | "failed" {
  const ifMatch = headers.get("if-match");
  const ifNoneMatch = headers.get("if-none-match");
  if (ifMatch !== null) {
    // RFC 9110 §13.2.2 step 1.
    if (!namesTag(ifMatch, current.etag, isStrongMatch)) return "failed";
  } else if (isModifiedSince(headers.get("if-unmodified-since"), current)) {
    // RFC 9110 §13.2.2 step 2: only without If-Match.
    return "failed";
  }
  if (ifNoneMatch !== null) {
    // RFC 9110 §13.2.2 step 3. Whatever it says, If-Modified-Since is not looked at.
    return namesTag(ifNoneMatch, current.etag, isWeakMatch) ? "not-modified" : "proceed";
  }
  // RFC 9110 §13.2.2 step 4. By equality, not `≥`: a mirror that goes back to an older file has modified it, and a client told 304
  // would keep the newer one for ever.
  return isCurrentDate(headers.get("if-modified-since"), current) ? "not-modified" : "proceed";
}

/**
 * RFC 9110 §13.2.2 step 5: whether a Range may be honoured as far as If-Range is concerned. Only an exact strong entity tag or the exact date
 * is proof (§13.1.5); on anything else the client gets the whole representation, else it would join two versions.
 */
export function isRangeWanted(headers: Headers, current: Validators): boolean {
  const ifRange = headers.get("if-range");
  if (ifRange === null) return true;
  const tag = parseEntityTag(ifRange);
  return tag === null ? isCurrentDate(ifRange, current) : isStrongMatch(tag, current.etag);
}

function namesTag(header: string, tag: EntityTag, isMatch: (a: EntityTag, b: EntityTag) => boolean): boolean {
  const list = parseEntityTags(header);
  return list === "*" || list.some((listed) => isMatch(listed, tag));
}

function isCurrentDate(header: string | null, current: Validators): boolean {
  return !current.datesRefused && isSameDate(header, current.lastModified);
}

/** RFC 9110 §13.1.4: an invalid date, or a representation without one, leaves the condition ignored. */
function isModifiedSince(header: string | null, current: Validators): boolean {
  const since = parseHttpDate(header);
  if (since === null) return false;
  const modified = parseHttpDate(current.lastModified);
  return current.datesRefused || (modified !== null && modified > since);
}
