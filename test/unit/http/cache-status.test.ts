import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatCacheStatus } from "../../../src/http/cache-status.ts";

describe("formatCacheStatus: RFC 9211 §2", () => {
  it("says hit with the freshness left, negative once stale", () => {
    expect(formatCacheStatus({ kind: "hit" })).toBe("lazy-mirror; hit");
    expect(formatCacheStatus({ kind: "hit", ttlSeconds: 376.9 })).toBe("lazy-mirror; hit; ttl=376");
    expect(formatCacheStatus({ kind: "hit", ttlSeconds: -412, detail: "stale-if-error" })).toBe(
      "lazy-mirror; hit; ttl=-412; detail=stale-if-error",
    );
  });

  it("says why a request went forward, and never hit beside it", () => {
    expect(formatCacheStatus({ kind: "forwarded", reason: "miss" })).toBe("lazy-mirror; fwd=miss");
    expect(formatCacheStatus({ kind: "forwarded", reason: "miss", status: 200, stored: true, collapsed: true })).toBe(
      "lazy-mirror; fwd=miss; fwd-status=200; stored; collapsed",
    );
    expect(formatCacheStatus({ kind: "forwarded", reason: "stale", status: 304, stored: false, collapsed: undefined })).toBe(
      "lazy-mirror; fwd=stale; fwd-status=304",
    );
  });

  it("quotes a detail that is no token, and lets no quote, line end or foreign letter out of it", () => {
    expect(formatCacheStatus({ kind: "hit", detail: 'a "b" \\ c\r\nX: ü' })).toBe('lazy-mirror; hit; detail="a \\"b\\" \\\\ c??X: ?"');
    expect(formatCacheStatus({ kind: "hit", detail: "" })).toBe('lazy-mirror; hit; detail=""');
    expect(formatCacheStatus({ kind: "hit", detail: "3rd" })).toBe('lazy-mirror; hit; detail="3rd"');
  });

  it("is a legal header value with one well-formed detail, for any detail", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (detail) => {
        const value = formatCacheStatus({ kind: "hit", detail });
        expect(new Headers({ "Cache-Status": value }).get("Cache-Status")).toBe(value);
        expect(value).toMatch(/^lazy-mirror; hit; detail=(?:[A-Za-z*][^\s",;=]*|"(?:[^"\\]|\\["\\])*")$/);
      }),
    );
  });
});
