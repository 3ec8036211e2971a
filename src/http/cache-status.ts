/**
 * Why a request was forwarded (§2.2). `miss`: nothing was stored that could answer it, whether or not something was stored before. `stale`: a stored copy
 * was there, and had to be compared with the upstream's; with the status 304 it was sent, with any other status what the upstream has now.
 */
export type ForwardReason = "miss" | "stale";

/** How this cache handled a request: it answered from its store, or forwarded the request to an upstream (RFC 9211 §2). */
export type CacheStatus =
  /** `ttlSeconds`: freshness left, negative once stale (§2.4). */
  | { readonly kind: "hit"; readonly ttlSeconds?: number | undefined; readonly detail?: string | undefined }
  | {
      readonly kind: "forwarded";
      readonly reason: ForwardReason;
      /** Status code of the upstream's response (§2.3). */
      readonly status?: number | undefined;
      /** The response was stored (§2.5). */
      readonly stored?: boolean | undefined;
      /** The request was served by another client's fill (§2.6). */
      readonly collapsed?: boolean | undefined;
      readonly detail?: string | undefined;
    };

/** Formats a Cache-Status field of one member (RFC 9211 §2), such as `lazy-mirror; fwd=miss; fwd-status=200; stored`. */
export function formatCacheStatus(status: CacheStatus): string {
  let field = "lazy-mirror";
  if (status.kind === "hit") {
    field += "; hit";
    if (status.ttlSeconds !== undefined) field += `; ttl=${Math.floor(status.ttlSeconds)}`;
  } else {
    field += `; fwd=${status.reason}`;
    if (status.status !== undefined) field += `; fwd-status=${status.status}`;
    if (status.stored === true) field += "; stored";
    if (status.collapsed === true) field += "; collapsed";
  }
  return status.detail === undefined ? field : `${field}; detail=${formatTokenOrString(status.detail)}`;
}

/** RFC 9211 §2.8 takes either. A string holds printable ASCII alone (RFC 8941 §3.3.3): anything else, a line end above all, becomes `?`. */
function formatTokenOrString(text: string): string {
  if (/^[A-Za-z*][\w!#$%&'*+.^`|~:/-]*$/.test(text)) return text;
  return `"${text.replace(/[^\x20-\x7e]/g, "?").replace(/["\\]/g, String.raw`\$&`)}"`;
}
