import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { evaluateConditions, isRangeWanted, type Validators } from "../../../src/http/conditions.ts";

const DATE = "Sun, 06 Nov 1994 08:49:37 GMT";
const EARLIER = "Sun, 06 Nov 1994 08:49:36 GMT";
const LATER = "Sun, 06 Nov 1994 08:49:38 GMT";
const CURRENT: Validators = { etag: { weak: false, opaque: "v" }, lastModified: DATE, datesRefused: false };
const REFUSED: Validators = { ...CURRENT, datesRefused: true };
const DATELESS: Validators = { ...CURRENT, lastModified: undefined };

const evaluate = (headers: Record<string, string>, current = CURRENT) => evaluateConditions(new Headers(headers), current);
const ranged = (ifRange: string, current = CURRENT) => isRangeWanted(new Headers({ "If-Range": ifRange }), current);

describe("If-Match: RFC 9110 §13.1.1", () => {
  it.each([['"v"'], ['"x", "v"'], ["*"]])("proceeds on %s", (value) => {
    expect(evaluate({ "If-Match": value })).toBe("proceed");
  });
  it.each([['"x"'], ['W/"v"'], ["v"], [""]])("fails on %s: comparison is strong, and a malformed list names nothing", (value) => {
    expect(evaluate({ "If-Match": value })).toBe("failed");
  });
  it("goes before If-Unmodified-Since, which is then ignored", () => {
    expect(evaluate({ "If-Match": '"v"', "If-Unmodified-Since": EARLIER })).toBe("proceed");
  });
  it("goes before If-None-Match", () => {
    expect(evaluate({ "If-Match": '"x"', "If-None-Match": '"v"' })).toBe("failed");
    expect(evaluate({ "If-Match": '"v"', "If-None-Match": '"v"' })).toBe("not-modified");
  });
});

describe("If-Unmodified-Since: RFC 9110 §13.1.4", () => {
  it("proceeds when the last modification is not later", () => {
    expect(evaluate({ "If-Unmodified-Since": DATE })).toBe("proceed");
    expect(evaluate({ "If-Unmodified-Since": LATER })).toBe("proceed");
  });
  it("fails when it is later", () => {
    expect(evaluate({ "If-Unmodified-Since": EARLIER })).toBe("failed");
  });
  it("is ignored with an invalid date, a list of dates, or where no date is known", () => {
    expect(evaluate({ "If-Unmodified-Since": "long ago" })).toBe("proceed");
    expect(evaluate({ "If-Unmodified-Since": `${EARLIER}, ${EARLIER}` })).toBe("proceed");
    expect(evaluate({ "If-Unmodified-Since": EARLIER }, DATELESS)).toBe("proceed");
  });
  it("fails after a version went bad, whatever the date: what the client holds may be the bad bytes", () => {
    for (const date of [EARLIER, DATE, LATER]) expect(evaluate({ "If-Unmodified-Since": date }, REFUSED)).toBe("failed");
  });
});

describe("If-None-Match: RFC 9110 §13.1.2", () => {
  it.each([['"v"'], ['W/"v"'], ['"x", W/"v"'], ["*"]])("is 304 on %s: comparison is weak", (value) => {
    expect(evaluate({ "If-None-Match": value })).toBe("not-modified");
  });
  it.each([['"x"'], ['"V"'], ["v"], [""]])("proceeds on %s", (value) => {
    expect(evaluate({ "If-None-Match": value })).toBe("proceed");
  });
  it("leaves If-Modified-Since ignored, matched or not", () => {
    expect(evaluate({ "If-None-Match": '"x"', "If-Modified-Since": DATE })).toBe("proceed");
    expect(evaluate({ "If-None-Match": '"v"', "If-Modified-Since": EARLIER })).toBe("not-modified");
  });
});

describe("If-Modified-Since: RFC 9110 §13.1.3, by equality", () => {
  it("is 304 on the exact date, in any of its forms", () => {
    expect(evaluate({ "If-Modified-Since": DATE })).toBe("not-modified");
    expect(evaluate({ "If-Modified-Since": "Sunday, 06-Nov-94 08:49:37 GMT" })).toBe("not-modified");
  });
  it("gives the whole on a later date as on an earlier one: mirrors go back", () => {
    expect(evaluate({ "If-Modified-Since": LATER })).toBe("proceed");
    expect(evaluate({ "If-Modified-Since": EARLIER })).toBe("proceed");
  });
  it("is ignored with an invalid date or where no date is known", () => {
    expect(evaluate({ "If-Modified-Since": "0" })).toBe("proceed");
    expect(evaluate({ "If-Modified-Since": DATE }, DATELESS)).toBe("proceed");
  });
  it("never matches after a version went bad", () => {
    expect(evaluate({ "If-Modified-Since": DATE }, REFUSED)).toBe("proceed");
  });
});

describe("If-Range: RFC 9110 §13.1.5", () => {
  it("holds without the header", () => {
    expect(isRangeWanted(new Headers(), REFUSED)).toBe(true);
  });
  it("holds for the exact strong tag and for the exact date", () => {
    expect(ranged('"v"')).toBe(true);
    expect(ranged(DATE)).toBe(true);
  });
  it.each([['W/"v"'], ['"x"'], ['"v", "x"'], ["*"], ["v"], [""], [EARLIER], [LATER], ["soon"]])("does not hold for %s", (value) => {
    expect(ranged(value)).toBe(false);
  });
  it("takes the current tag but no date after a version went bad", () => {
    expect(ranged('"v"', REFUSED)).toBe(true);
    expect(ranged(DATE, REFUSED)).toBe(false);
  });
});

describe("for any header text", () => {
  const text = fc.oneof(
    fc.constantFrom('"v"', 'W/"v"', '"x"', "*", DATE, EARLIER, LATER),
    fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)) }),
  );
  const names = ["if-match", "if-unmodified-since", "if-none-match", "if-modified-since", "if-range"] as const;
  const headers = fc
    .uniqueArray(fc.tuple(fc.constantFrom(...names), text), { selector: ([name]) => name })
    .map((fields) => new Headers(fields));

  it("never throws; 412 comes of If-Match or If-Unmodified-Since alone, 304 of If-None-Match or If-Modified-Since alone", () => {
    fc.assert(
      fc.property(headers, fc.constantFrom(CURRENT, REFUSED, DATELESS), (sent, current) => {
        const result = evaluateConditions(sent, current);
        isRangeWanted(sent, current);
        if (!sent.has("if-match") && !sent.has("if-unmodified-since")) expect(result).not.toBe("failed");
        if (!sent.has("if-none-match") && !sent.has("if-modified-since")) expect(result).not.toBe("not-modified");
      }),
    );
  });

  it("after a version went bad, 304 and a range come of the current tag or `*` alone", () => {
    fc.assert(
      fc.property(headers, (sent) => {
        if (evaluateConditions(sent, REFUSED) === "not-modified") expect(sent.get("if-none-match")).toMatch(/"v"|^\*$/);
        if (isRangeWanted(sent, REFUSED)) expect([null, '"v"']).toContain(sent.get("if-range"));
      }),
    );
  });
});
