import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSameDate, isUnsettled, parseHttpDate, parseRetryAfter } from "../../../src/http/http-date.ts";

const EXAMPLE = Date.UTC(1994, 10, 6, 8, 49, 37);

describe("parseHttpDate: RFC 9110 §5.6.7", () => {
  it.each([
    ["Sun, 06 Nov 1994 08:49:37 GMT", "IMF-fixdate"],
    ["Sunday, 06-Nov-94 08:49:37 GMT", "RFC 850"],
    ["Sun Nov  6 08:49:37 1994", "asctime"],
  ])("takes %s (%s)", (text) => {
    expect(parseHttpDate(text)).toBe(EXAMPLE);
  });

  it("takes a two-digit year that lies more than 50 years ahead as one of the past", () => {
    expect(parseHttpDate("Thursday, 01-Jan-99 00:00:00 GMT")).toBe(Date.UTC(1999, 0, 1));
    expect(parseHttpDate("Thursday, 01-Jan-26 00:00:00 GMT")).toBe(Date.UTC(2026, 0, 1));
  });

  it("takes a leap second and a leap day", () => {
    expect(parseHttpDate("Sat, 31 Dec 2016 23:59:60 GMT")).toBe(Date.UTC(2017, 0, 1));
    expect(parseHttpDate("Thu, 29 Feb 2024 00:00:00 GMT")).toBe(Date.UTC(2024, 1, 29));
  });

  it.each([
    [undefined],
    [null],
    [""],
    ["0"],
    ["-1"],
    ["now"],
    ["1994-11-06T08:49:37Z"],
    ["Sun, 6 Nov 1994 08:49:37 GMT"],
    ["Sun, 06 Nov 1994 08:49:37"],
    ["Sun, 06 Nov 1994 08:49:37 UTC"],
    ["Sun, 06 Nov 1994 08:49:37 +0000"],
    ["sun, 06 nov 1994 08:49:37 gmt"],
    ["Sun, 06 Nov 1994 24:00:00 GMT"],
    ["Sun, 06 Nov 1994 08:60:00 GMT"],
    ["Sun, 06 Nov 1994 08:49:61 GMT"],
    ["Sun, 00 Nov 1994 08:49:37 GMT"],
    ["Sun, 31 Nov 1994 08:49:37 GMT"],
    ["Wed, 29 Feb 2023 00:00:00 GMT"],
    ["Sun, 06 Nov 0094 08:49:37 GMT"],
    ["Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT"],
  ])("refuses %s: no HTTP-date, a list of them, or no day of the calendar", (text) => {
    expect(parseHttpDate(text)).toBeNull();
  });

  it("reads back every second that a Date prints", () => {
    fc.assert(
      fc.property(fc.date({ min: new Date(0), max: new Date("9999-12-31T23:59:59Z"), noInvalidDate: true }), (date) => {
        expect(parseHttpDate(date.toUTCString())).toBe(Math.floor(date.getTime() / 1000) * 1000);
      }),
    );
  });

  it("never throws", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void parseHttpDate(text)));
  });
});

describe("isSameDate", () => {
  it("compares instants, whatever their form", () => {
    expect(isSameDate("Sun, 06 Nov 1994 08:49:37 GMT", "Sun Nov  6 08:49:37 1994")).toBe(true);
  });

  it("tells neighbouring seconds apart, in both directions", () => {
    expect(isSameDate("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT")).toBe(false);
    expect(isSameDate("Sun, 06 Nov 1994 08:49:38 GMT", "Sun, 06 Nov 1994 08:49:37 GMT")).toBe(false);
  });

  it("holds for no invalid date, not even for two equal ones", () => {
    expect(isSameDate("yesterday", "yesterday")).toBe(false);
    expect(isSameDate(null, undefined)).toBe(false);
  });
});

describe("isUnsettled", () => {
  const DATE = "Sun, 06 Nov 1994 08:49:37 GMT";
  const AT = Date.UTC(1994, 10, 6, 8, 49, 37);
  it.each([
    [0, true],
    [59_999, true],
    [60_000, false],
    // Clocks differ a little, …
    [-59_999, true],
    // … or one is wrong.
    [-3_600_000, false],
  ])("of what was received %i ms after its date is %s", (after, unsettled) => expect(isUnsettled(DATE, AT + after)).toBe(unsettled));

  it("is false where there is no date", () => {
    expect(isUnsettled(undefined, AT)).toBe(false);
    expect(isUnsettled("yesterday", AT)).toBe(false);
  });
});

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
