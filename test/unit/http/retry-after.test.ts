import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseRetryAfter } from "../../../src/http/retry-after.ts";

const NOW = Date.UTC(1999, 11, 31, 23, 59, 0);

describe("parseRetryAfter: RFC 9110 §10.2.3", () => {
  it("takes a delay in seconds", () => {
    expect(parseRetryAfter("120", NOW)).toBe(120);
    expect(parseRetryAfter("0", NOW)).toBe(0);
  });

  it("takes a date as the seconds until then, rounded up, and a date gone by as 0", () => {
    expect(parseRetryAfter("Fri, 31 Dec 1999 23:59:59 GMT", NOW)).toBe(59);
    expect(parseRetryAfter("Fri, 31 Dec 1999 23:59:59 GMT", NOW + 1)).toBe(59);
    expect(parseRetryAfter("Fri, 31 Dec 1999 23:58:59 GMT", NOW)).toBe(0);
  });

  it.each([[null], [""], ["-5"], ["1.5"], ["5s"], ["soon"], ["5, 10"]])("passes over %s", (header) => {
    expect(parseRetryAfter(header, NOW)).toBeUndefined();
  });

  it("gives a safe whole number or nothing, for any text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.bigInt({ min: 0n }).map(String)), (text) => {
        const seconds = parseRetryAfter(text, NOW);
        expect(seconds === undefined || (Number.isSafeInteger(seconds) && seconds >= 0)).toBe(true);
      }),
    );
  });
});
