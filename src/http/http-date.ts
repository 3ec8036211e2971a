const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const LONG_DAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day";
const MONTH = `(?<month>${MONTHS.join("|")})`;
const TIME = String.raw`(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)`;

/** RFC 9110 §5.6.7: the form that senders must use, and the two obsolete ones that recipients must accept. */
const FORMS = [
  new RegExp(String.raw`^${DAY}, (?<day>\d\d) ${MONTH} (?<year>\d{4}) ${TIME} GMT$`), // IMF-fixdate
  new RegExp(String.raw`^${LONG_DAY}, (?<day>\d\d)-${MONTH}-(?<year>\d\d) ${TIME} GMT$`), // RFC 850
  new RegExp(String.raw`^${DAY} ${MONTH} (?<day>\d\d| \d) ${TIME} (?<year>\d{4})$`), // asctime
];

/**
 * Two-digit years from this one on belong to the 20th century. The RFC's rule (at most 50 years ahead) needs a clock; this one does not, and gives
 * the same for every date between 1977 and today.
 */
const PIVOT_YEAR = 70;

/** Parses an HTTP-date (RFC 9110 §5.6.7) to milliseconds since the epoch; null when it is absent, malformed, or no day of the calendar. */
export function parseHttpDate(text: string | null | undefined): number | null {
  for (const form of FORMS) {
    const groups = form.exec(text ?? "")?.groups;
    if (groups !== undefined) return dateFromGroups(groups);
  }
  return null;
}

function dateFromGroups(groups: Record<string, string>): number | null {
  const part = (name: string) => Number(groups[name]);
  const year = groups["year"]?.length === 2 ? part("year") + (part("year") < PIVOT_YEAR ? 2000 : 1900) : part("year");
  const month = MONTHS.indexOf(groups["month"] ?? "");
  const day = part("day");
  // Second 60 is a leap second.
  if (part("hour") > 23 || part("minute") > 59 || part("second") > 60) return null;
  const midnight = new Date(Date.UTC(year, month, day));
  // `Date.UTC` makes 3 March of 31 February, and 1999 of the year 99.
  if (midnight.getUTCFullYear() !== year || midnight.getUTCDate() !== day) return null;
  return midnight.getTime() + ((part("hour") * 60 + part("minute")) * 60 + part("second")) * 1000;
}

/** Whether both are valid HTTP-dates of the same second. Equality decides, not order: mirrors also go back to older files. */
export function isSameDate(a: string | null | undefined, b: string | null | undefined): boolean {
  const time = parseHttpDate(a);
  return time !== null && time === parseHttpDate(b);
}

/** RFC 9110 §8.8.2.2: a Last-Modified at least this much older than the response counts as a strong validator. */
const UNSETTLED_MS = 60_000;

/**
 * Whether the file may change again without a change of its validators: they were received within 60 seconds of the last change (RFC 9110 §8.8.2.2),
 * dates have whole seconds, and servers make entity tags of date and size too. A date further ahead comes from a wrong clock and does not count.
 * @param receivedAt milliseconds since the epoch.
 */
export function isUnsettled(lastModified: string | undefined, receivedAt: number): boolean {
  const changedAt = parseHttpDate(lastModified);
  return changedAt !== null && Math.abs(receivedAt - changedAt) < UNSETTLED_MS;
}

/**
 * Parses Retry-After (RFC 9110 §10.2.3), a delay in seconds or a date. Returns whole seconds to wait from `now` (milliseconds since the epoch), 0 for a
 * date in the past; undefined when it is absent or malformed. The caller must limit it.
 */
export function parseRetryAfter(header: string | null, now: number): number | undefined {
  if (header !== null && /^\d+$/.test(header)) return Math.min(Number(header), Number.MAX_SAFE_INTEGER);
  const date = parseHttpDate(header);
  return date === null ? undefined : Math.max(0, Math.ceil((date - now) / 1000));
}
