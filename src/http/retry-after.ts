import { parseHttpDate } from "./http-date.ts";

/**
 * Parses Retry-After (RFC 9110 §10.2.3), a delay in seconds or a date.
 * @param now milliseconds since the epoch.
 * @returns whole seconds to wait from `now`, 0 for a date in the past; undefined when it is absent or malformed. The caller must limit it.
 */
export function parseRetryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header)) return Math.min(Number(header), Number.MAX_SAFE_INTEGER);
  const date = parseHttpDate(header);
  return date === null ? undefined : Math.max(0, Math.ceil((date - now) / 1000));
}
