import { type EntityTag, isStrongMatch, isWeakMatch, parseEntityTag, parseEntityTags } from "./entity-tag.ts";
import { isSameDate, parseHttpDate } from "./http-date.ts";

/** The validators of the current representation, with which a request's conditions are compared. */
export interface Validators {
  readonly etag: EntityTag;
  /** Last-Modified as we send it; undefined where we send none. */
  readonly lastModified: string | undefined;
  /** Set where bad bytes were once sent under this name: a client's date then does not prove which bytes it holds, so no date matches. */
  readonly datesRefused: boolean;
}

/**
 * Evaluates the preconditions of a GET or HEAD in the order of RFC 9110 §13.2.2, except If-Range (see `isRangeWanted`).
 * @returns `proceed`: answer as if there were no conditions; `not-modified`: answer 304; `failed`: answer 412.
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
    // RFC 9110 §13.2.2 step 3. With If-None-Match present, If-Modified-Since is ignored.
    return namesTag(ifNoneMatch, current.etag, isWeakMatch) ? "not-modified" : "proceed";
  }
  // RFC 9110 §13.2.2 step 4. Compared by equality, not by `≥`: a mirror that goes back to an older file has modified it, and a client that
  // gets 304 would keep the newer file for ever.
  return isCurrentDate(headers.get("if-modified-since"), current) ? "not-modified" : "proceed";
}

/**
 * RFC 9110 §13.2.2 step 5: whether If-Range allows the Range to be applied. Only the exact strong entity tag or the exact date allows it (§13.1.5);
 * otherwise the client must get the whole representation, or it would join parts of two versions.
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

/** If-Unmodified-Since. RFC 9110 §13.1.4: it is ignored where its date is invalid or the representation has none. */
function isModifiedSince(header: string | null, current: Validators): boolean {
  const since = parseHttpDate(header);
  if (since === null) return false;
  const modified = parseHttpDate(current.lastModified);
  return current.datesRefused || (modified !== null && modified > since);
}
