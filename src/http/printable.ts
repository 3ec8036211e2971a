/**
 * Control characters of C0 and C1, those of bidirectional writing and other invisible ones, ends of lines and paragraphs (U+2028, U+2029), lone
 * surrogates. On a terminal they move the cursor, change colours and titles, hide what stands before them, or begin a line that looks like one of ours.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const VISIBLE = /^[\x20-\x7e]*$/;
const UNPRINTABLE_IN_LINES = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** A text of another's, as it may stand in a line of a log: what is no visible character is written as `\u001b`, as in JSON, so that JSON stays JSON. */
export function printable(text: string): string {
  // Nearly every line is ASCII, and is looked through twenty times as fast.
  return VISIBLE.test(text) ? text : text.replaceAll(UNPRINTABLE, escape);
}

/** The same of a text of several lines: the ends of its lines and its tabs stay. */
export function printableLines(text: string): string {
  return text.replaceAll(UNPRINTABLE_IN_LINES, escape);
}

function escape(character: string): string {
  return Array.from({ length: character.length }, (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`).join("");
}
