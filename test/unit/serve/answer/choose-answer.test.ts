import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_RANGES } from "../../../../src/http/byte-ranges.ts";
import { parseContentRange } from "../../../../src/http/content-range.ts";
import { type Answerable, answerHead, chooseAnswer } from "../../../../src/serve/answer/choose-answer.ts";

const DATE = "Sun, 06 Nov 1994 08:49:37 GMT";
const LATER = "Sun, 06 Nov 1994 08:49:38 GMT";
const VERSION = "0123456789abcdef0123456789abcdef";
const ETAG = `"${VERSION}"`;
const OBJECT: Answerable = { version: VERSION, size: 100, contentType: "application/x-rpm", lastModified: DATE };
const TAINTED: Answerable = { ...OBJECT, tainted: true };
const EMPTY: Answerable = { ...OBJECT, size: 0 };

function get(headers: Record<string, string>, object = OBJECT, method = "GET") {
  const answered = chooseAnswer(object, { method, headers: new Headers(headers) });
  const head = answerHead(object, answered);
  return { kind: answered.kind, status: head.status, headers: Object.fromEntries(head.headers) };
}

describe("a plain GET or HEAD", () => {
  it("is the whole, with its true length, our strong tag, upstream's date verbatim, and no leave to transform it", () => {
    expect(get({})).toEqual({
      kind: "full",
      status: 200,
      headers: {
        "accept-ranges": "bytes",
        "cache-control": "no-transform",
        "content-length": "100",
        "content-type": "application/x-rpm",
        etag: ETAG,
        "last-modified": DATE,
      },
    });
  });

  it("keeps a Last-Modified that is no HTTP-date as it is, and sends none where there is none", () => {
    expect(get({}, { ...OBJECT, lastModified: "yesterday" }).headers["last-modified"]).toBe("yesterday");
    const { lastModified: _, ...dateless } = OBJECT;
    expect(get({}, dateless).headers).not.toHaveProperty("last-modified");
  });

  it("has the same headers for HEAD, where Range is ignored: only GET defines it", () => {
    expect(get({ Range: "bytes=0-9" }, OBJECT, "HEAD")).toEqual(get({}));
    expect(get({ Range: "bytes=0-9", "If-Range": ETAG }, OBJECT, "HEAD")).toEqual(get({}));
  });

  it("evaluates the conditions of HEAD as of GET", () => {
    expect(get({ "If-None-Match": ETAG }, OBJECT, "HEAD").status).toBe(304);
    expect(get({ "If-Match": '"x"' }, OBJECT, "HEAD").status).toBe(412);
  });
});

describe("one range", () => {
  it.each([
    ["bytes=0-0", "bytes 0-0/100", "1"],
    ["bytes=10-19", "bytes 10-19/100", "10"],
    ["bytes=90-", "bytes 90-99/100", "10"],
    ["bytes=90-1000", "bytes 90-99/100", "10"],
    ["bytes=-5", "bytes 95-99/100", "5"],
    ["bytes=-1000", "bytes 0-99/100", "100"],
    ["bytes=0-", "bytes 0-99/100", "100"],
  ])("%s is 206 with %s", (range, contentRange, length) => {
    const { status, headers } = get({ Range: range });
    expect(status).toBe(206);
    expect(headers).toMatchObject({
      "content-range": contentRange,
      "content-length": length,
      "content-type": "application/x-rpm",
      etag: ETAG,
      "last-modified": DATE,
      "accept-ranges": "bytes",
      "cache-control": "no-transform",
    });
  });

  it.each([["bytes=100-"], ["bytes=100-200"], ["bytes=-0"], ["bytes=100-,200-"]])("%s is 416 with the size", (range) => {
    const { status, headers } = get({ Range: range });
    expect(status).toBe(416);
    expect(headers).toMatchObject({ "content-range": "bytes */100", "content-length": "0" });
    expect(headers).not.toHaveProperty("content-type");
  });

  it.each([["bytes=5-4"], ["bytes=x"], ["lines=0-5"], [""]])("%s is ignored", (range) => {
    expect(get({ Range: range }).status).toBe(200);
  });

  it("is the whole of an empty object where it asks from the start, and 416 where it resumes something longer", () => {
    for (const range of ["bytes=0-", "bytes=0-499", "bytes=-5"]) {
      expect(get({ Range: range }, EMPTY)).toMatchObject({ status: 200, headers: { "content-length": "0" } });
    }
    for (const range of ["bytes=5-", "bytes=-0"]) {
      expect(get({ Range: range }, EMPTY)).toMatchObject({ status: 416, headers: { "content-range": "bytes */0" } });
    }
  });
});

describe("several ranges", () => {
  const contentRanges = (range: string) => {
    const answered = chooseAnswer(OBJECT, { method: "GET", headers: new Headers({ Range: range }) });
    return answered.kind === "multipart" ? answered.layout.parts.map(({ span }) => `${span.offset}+${span.length}`) : answered.kind;
  };

  it("are multipart/byteranges with the boundary last, and no Content-Range beside those of the parts", () => {
    const { status, headers } = get({ Range: "bytes=0-1,5-6" });
    expect(status).toBe(206);
    expect(headers["content-type"]).toMatch(/^multipart\/byteranges; boundary=[0-9a-f]{32}$/);
    expect(headers).not.toHaveProperty("content-range");
    expect(headers).toMatchObject({ etag: ETAG, "last-modified": DATE, "cache-control": "no-transform" });
  });

  it("come in request order, never merged, adjoining and overlapping ones included", () => {
    expect(contentRanges("bytes=50-59,0-9,10-19,5-14")).toEqual(["50+10", "0+10", "10+10", "5+10"]);
  });

  it("leave out the unsatisfiable ones; if a single one remains it is a plain 206", () => {
    expect(contentRanges("bytes=0-9,100-,20-29")).toEqual(["0+10", "20+10"]);
    expect(get({ Range: "bytes=100-,20-29" })).toMatchObject({
      status: 206,
      headers: { "content-range": "bytes 20-29/100", "content-length": "10" },
    });
  });

  it("may add up to the whole, and are the plain whole where they would be more", () => {
    expect(get({ Range: "bytes=50-99,0-49" }).kind).toBe("multipart");
    expect(get({ Range: "bytes=0-,0-0" }).kind).toBe("full");
    expect(get({ Range: `bytes=${Array.from({ length: 256 }, () => "0-").join(",")}` }).kind).toBe("full");
  });

  it("are served to the 256 of zchunk and ignored past the cap", () => {
    const big = { ...OBJECT, size: 1_000_000 };
    const range = (count: number) => `bytes=${Array.from({ length: count }, (_, i) => `${i * 10}-${i * 10 + 4}`).join(",")}`;
    expect(get({ Range: range(256) }, big).kind).toBe("multipart");
    expect(get({ Range: range(MAX_RANGES + 1) }, big).kind).toBe("full");
  });
});

describe("conditions and ranges together: RFC 9110 §13.2.2", () => {
  it("evaluates the conditions before the range", () => {
    expect(get({ Range: "bytes=0-9", "If-None-Match": ETAG }).status).toBe(304);
    expect(get({ Range: "bytes=100-", "If-None-Match": ETAG }).status).toBe(304);
    expect(get({ Range: "bytes=0-9", "If-Match": '"x"' }).status).toBe(412);
    expect(get({ Range: "bytes=0-9", "If-Match": ETAG }).status).toBe(206);
  });

  it("sends a 304 without length and type, with the validators", () => {
    expect(get({ "If-Modified-Since": DATE })).toEqual({
      kind: "not-modified",
      status: 304,
      headers: { "accept-ranges": "bytes", "cache-control": "no-transform", etag: ETAG, "last-modified": DATE },
    });
  });

  it("sends a 412 without a representation", () => {
    const { status, headers } = get({ "If-Match": '"x"' });
    expect(status).toBe(412);
    expect(headers).toMatchObject({ "content-length": "0" });
    expect(headers).not.toHaveProperty("content-type");
  });

  it("resumes for apt: bytes from N on with If-Range of the exact date", () => {
    expect(get({ Range: "bytes=40-", "If-Range": DATE })).toMatchObject({ status: 206, headers: { "content-range": "bytes 40-99/100" } });
  });

  it("resumes for dnf, which sends no If-Range", () => {
    expect(get({ Range: "bytes=40-" }).status).toBe(206);
  });

  it("gives the whole where If-Range does not hold, also where the range is unsatisfiable, with the full length and no Content-Range", () => {
    for (const ifRange of [LATER, '"x"', `W/${ETAG}`]) {
      expect(get({ Range: "bytes=40-", "If-Range": ifRange })).toEqual(get({}));
      expect(get({ Range: "bytes=100-", "If-Range": ifRange })).toEqual(get({}));
    }
  });

  it("ignores If-Range without Range", () => {
    expect(get({ "If-Range": '"x"' })).toEqual(get({}));
  });
});

describe("after a version went bad", () => {
  it("matches no date: apt would resume onto the bad beginning, or keep the bad file", () => {
    expect(get({ Range: "bytes=40-", "If-Range": DATE }, TAINTED).status).toBe(200);
    expect(get({ "If-Modified-Since": DATE }, TAINTED).status).toBe(200);
    expect(get({ Range: "bytes=40-", "If-Unmodified-Since": DATE }, TAINTED).status).toBe(412);
  });

  it("matches the tag of the current version, which no bad bytes ever bore, and no other", () => {
    expect(get({ Range: "bytes=40-", "If-Range": ETAG }, TAINTED).status).toBe(206);
    expect(get({ "If-None-Match": ETAG }, TAINTED).status).toBe(304);
    expect(get({ Range: "bytes=40-", "If-Range": '"bad"' }, TAINTED).status).toBe(200);
    expect(get({ "If-None-Match": '"bad"' }, TAINTED).status).toBe(200);
  });
});

describe("for any headers", () => {
  const latin1 = fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)) });
  const position = fc.option(fc.nat(120), { nil: "" });
  const range = fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .array(fc.tuple(position, position), { minLength: 1, maxLength: 8 })
        .map((pairs) => `bytes=${pairs.map((pair) => pair.join("-")).join(", ")}`),
    },
    latin1,
  );
  const validator = fc.oneof(fc.constantFrom(ETAG, `W/${ETAG}`, '"x"', "*", DATE, LATER), latin1);
  const conditions = fc.record(
    {
      "If-Match": validator,
      "If-None-Match": validator,
      "If-Modified-Since": validator,
      "If-Unmodified-Since": validator,
      "If-Range": validator,
    },
    { requiredKeys: [] },
  );
  const object = fc
    .record({ size: fc.nat(110), tainted: fc.boolean() })
    .map(({ size, tainted }): Answerable => ({ ...OBJECT, size, ...(tainted ? { tainted: true } : {}) }));

  it("never throws, declares the length of what it sends, and sends no more bytes of the object than it has", () => {
    fc.assert(
      fc.property(object, range, fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, conditions), (stored, rangeText, fields) => {
        const headers = new Headers({ ...fields, Range: rangeText });
        const answered = chooseAnswer(stored, { method: "GET", headers });
        const head = answerHead(stored, answered);
        const length = Number(head.headers.get("content-length"));
        expect([...head.headers.values()]).not.toContain("");
        switch (answered.kind) {
          case "full":
            expect(length).toBe(stored.size);
            break;
          case "partial": {
            const contentRange = parseContentRange(head.headers.get("content-range"));
            if (contentRange?.kind !== "range") throw new Error("A 206 must have a Content-Range");
            expect(contentRange.last - contentRange.first + 1).toBe(length);
            expect(contentRange.size).toBe(stored.size);
            expect(answered.span).toEqual({ offset: contentRange.first, length });
            break;
          }
          case "multipart": {
            const { parts, tail } = answered.layout;
            const sent = parts.reduce((sum, { span }) => sum + span.length, 0);
            expect(parts.length).toBeGreaterThan(1);
            expect(sent).toBeLessThanOrEqual(stored.size);
            expect(length).toBe(parts.reduce((sum, { head: partHead }) => sum + partHead.length, sent + tail.length));
            break;
          }
          case "unsatisfiable":
            expect(head.headers.get("content-range")).toBe(`bytes */${stored.size}`);
            break;
          case "not-modified":
            expect(head.headers.has("content-length")).toBe(false);
            break;
          case "precondition-failed":
            expect(length).toBe(0);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("gives no range to an If-Range other than the exact tag or, of an untainted object, the exact date", () => {
    fc.assert(
      fc.property(object, validator, (stored, ifRange) => {
        const headers = new Headers({ Range: "bytes=0-0", "If-Range": ifRange });
        const sent = headers.get("if-range");
        const isProof = sent === ETAG || (sent === DATE && stored.tainted !== true);
        expect(chooseAnswer(stored, { method: "GET", headers }).kind).toBe(isProof && stored.size > 0 ? "partial" : "full");
      }),
    );
  });
});
