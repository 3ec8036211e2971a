const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const LONG_DAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day";
const MONTH = `(?<month>${MONTHS.join("|")})`;
const TIME = String.raw`(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)`;

/** RFC 9110 §5.6.7: the one form to send and the two obsolete ones that a recipient must accept. */
const FORMS = [
  new RegExp(String.raw`^${DAY}, (?<day>\d\d) ${MONTH} (?<year>\d{4}) ${TIME} GMT$`), // IMF-fixdate
  new RegExp(String.raw`^${LONG_DAY}, (?<day>\d\d)-${MONTH}-(?<year>\d\d) ${TIME} GMT$`), // RFC 850
  new RegExp(String.raw`^${DAY} ${MONTH} (?<day>\d\d| \d) ${TIME} (?<year>\d{4})$`), // asctime
];

/**
 * Two-digit years from this on are of the 20th century. The RFC's window (at most 50 years ahead) moves with the clock; this one needs none,
 * and agrees with it for any date between 1977 and today.
 */
const PIVOT_YEAR = 70;

/** Parses an HTTP-date (RFC 9110 §5.6.7) to milliseconds since the epoch. Null: absent, malformed, or no day of the calendar. */
export function parseHttpDate(text: string | null | undefined): number | null {
  if (text === null || text === undefined) return null;
  for (const form of FORMS) {
    const groups = form.exec(text)?.groups;
    if (groups !== undefined) return dateFromGroups(groups);
  }
  return null;
}

function dateFromGroups(groups: Record<string, string>): number | null {
  const part = (name: string) => Number(groups[name]);
  const year = groups["year"]?.length === 2 ? part("year") + (part("year") < PIVOT_YEAR ? 2000 : 1900) : part("year");
  const month = MONTHS.indexOf(groups["month"] ?? "");
  const day = part("day");
  // A second of 60 is a leap second.
  if (part("hour") > 23 || part("minute") > 59 || part("second") > 60) return null;
  const midnight = new Date(Date.UTC(year, month, day));
  // Date.UTC rolls 31 February over into March and takes the year 99 for 1999.
  if (midnight.getUTCFullYear() !== year || midnight.getUTCDate() !== day) return null;
  return midnight.getTime() + ((part("hour") * 60 + part("minute")) * 60 + part("second")) * 1000;
}

/** Whether both are valid HTTP-dates of the same second. Dates compare by equality only: mirrors go back in time as well as forward. */
export function isSameDate(a: string | null | undefined, b: string | null | undefined): boolean {
  const time = parseHttpDate(a);
  return time !== null && time === parseHttpDate(b);
}

/** Servers make entity tags of date and size too, and dates have whole seconds; clocks differ. */
const UNSETTLED_MS = 60_000;

/**
 * Whether validators that came with this Last-Modified may stand for the next change too: they were received right after the last one
 * (RFC 9110 §8.8.2.2, with its 60 seconds). A date far ahead is of a server with a wrong clock, and tells nothing of that. `receivedAt` in
 * milliseconds since the epoch.
 */
export function isUnsettled(lastModified: string | undefined, receivedAt: number): boolean {
  const changedAt = parseHttpDate(lastModified);
  return changedAt !== null && Math.abs(receivedAt - changedAt) < UNSETTLED_MS;
}
