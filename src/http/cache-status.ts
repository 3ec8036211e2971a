/** How this cache names itself in Cache-Status (RFC 9211 §2). */
const CACHE_NAME = "lazy-mirror";

/** Why a request went forward (RFC 9211 §2.2). */
export type ForwardReason = "bypass" | "method" | "uri-miss" | "vary-miss" | "miss" | "request" | "stale" | "partial";

/** How this cache handled a request: it answered from its store, or forwarded the request to an upstream (RFC 9211 §2). */
export type CacheStatus = StoredStatus | ForwardedStatus;

interface StoredStatus {
  readonly kind: "hit";
  /** Seconds of freshness left; negative once stale (RFC 9211 §2.4). */
  readonly ttlSeconds?: number | undefined;
  readonly detail?: string | undefined;
}

interface ForwardedStatus {
  readonly kind: "forwarded";
  readonly reason: ForwardReason;
  /** Status code of the upstream's response (RFC 9211 §2.3). */
  readonly status?: number | undefined;
  readonly ttlSeconds?: number | undefined;
  /** The response was stored (RFC 9211 §2.5). */
  readonly stored?: boolean | undefined;
  /** The request was served by another client's fill (RFC 9211 §2.6). */
  readonly collapsed?: boolean | undefined;
  readonly detail?: string | undefined;
}

/** Formats a Cache-Status field of one member (RFC 9211 §2), such as `lazy-mirror; fwd=miss; fwd-status=200; stored`. */
export function formatCacheStatus(status: CacheStatus): string {
  const parameters: string[] = [CACHE_NAME];
  if (status.kind === "hit") parameters.push("hit");
  else {
    parameters.push(`fwd=${status.reason}`);
    if (status.status !== undefined) parameters.push(`fwd-status=${status.status}`);
  }
  if (status.ttlSeconds !== undefined) parameters.push(`ttl=${Math.floor(status.ttlSeconds)}`);
  if (status.kind === "forwarded" && status.stored === true) parameters.push("stored");
  if (status.kind === "forwarded" && status.collapsed === true) parameters.push("collapsed");
  if (status.detail !== undefined) parameters.push(`detail=${formatTokenOrString(status.detail)}`);
  return parameters.join("; ");
}

/** RFC 9211 §2.8 takes either. A string holds printable ASCII alone (RFC 8941 §3.3.3): anything else, a line end above all, becomes `?`. */
function formatTokenOrString(text: string): string {
  if (/^[A-Za-z*][\w!#$%&'*+.^`|~:/-]*$/.test(text)) return text;
  return `"${text.replace(/[^\x20-\x7e]/g, "?").replace(/["\\]/g, String.raw`\$&`)}"`;
}
