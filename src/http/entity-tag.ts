/** An entity tag (RFC 9110 §8.8.3); `opaque` is the opaque-tag without its quotes. */
export interface EntityTag {
  readonly weak: boolean;
  readonly opaque: string;
}

const ENTITY_TAG = String.raw`(?<weak>W/)?"(?<opaque>[\x21\x23-\x7e\x80-\xff]*)"`;
const WHOLE = new RegExp(`^${ENTITY_TAG}$`);
/** One element of a list, which may be empty. An opaque-tag may contain commas, so the list must not be split at commas. */
const LIST_ELEMENT = String.raw`[ \t]*(?:${ENTITY_TAG}[ \t]*)?(?:,|$)`;

/** Parses one entity tag, as in ETag and If-Range; null when it is absent or anything else, such as a date or a list. */
export function parseEntityTag(text: string | null | undefined): EntityTag | null {
  const match = WHOLE.exec(text ?? "");
  return match === null ? null : tagFromMatch(match);
}

/** Parses If-Match or If-None-Match (RFC 9110 §13.1.1, §13.1.2): `*`, or tags. A malformed list names no tag: it is empty, and matches nothing. */
export function parseEntityTags(text: string): "*" | readonly EntityTag[] {
  if (text === "*") return "*";
  const element = new RegExp(LIST_ELEMENT, "y");
  const tags: EntityTag[] = [];
  while (element.lastIndex < text.length) {
    const match = element.exec(text);
    if (match === null) return [];
    if (match.groups?.["opaque"] !== undefined) tags.push(tagFromMatch(match));
  }
  return tags;
}

function tagFromMatch(match: RegExpExecArray): EntityTag {
  return { weak: match.groups?.["weak"] !== undefined, opaque: match.groups?.["opaque"] ?? "" };
}

/** Strong comparison (RFC 9110 §8.8.3.2): equal and both strong. For If-Range and If-Match. */
export function isStrongMatch(a: EntityTag, b: EntityTag): boolean {
  return !a.weak && !b.weak && a.opaque === b.opaque;
}

/** Weak comparison (RFC 9110 §8.8.3.2): equal, weak or strong. For If-None-Match. */
export function isWeakMatch(a: EntityTag, b: EntityTag): boolean {
  return a.opaque === b.opaque;
}

/** The tag as a header carries it. */
export function formatEntityTag(tag: EntityTag): string {
  return `${tag.weak ? "W/" : ""}"${tag.opaque}"`;
}
