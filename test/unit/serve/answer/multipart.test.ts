import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ByteSpan } from "../../../../src/http/byte-ranges.ts";
import { layoutMultipart, type MultipartLayout } from "../../../../src/serve/answer/multipart.ts";
import { readByteranges } from "./byteranges-reader.ts";

const VERSION = "0123456789abcdef0123456789abcdef";

function bodyOf(layout: MultipartLayout, content: Uint8Array): Uint8Array {
  const pieces = layout.parts.flatMap(({ head, span }) => [head, content.subarray(span.offset, span.offset + span.length)]);
  return Buffer.concat([...pieces, layout.tail]);
}

const contentAndSpans = fc.uint8Array({ minLength: 1, maxLength: 300 }).chain((content) => {
  const span = fc
    .tuple(fc.nat(content.length - 1), fc.nat(content.length - 1))
    .map(([a, b]): ByteSpan => ({ offset: Math.min(a, b), length: Math.abs(a - b) + 1 }));
  return fc.tuple(fc.constant(content), fc.array(span, { minLength: 2, maxLength: 20 }));
});

describe("layoutMultipart: RFC 9110 §14.6", () => {
  it("writes delimiter, Content-Type and Content-Range of each part as RFC 2046 has them", () => {
    const layout = layoutMultipart({ version: VERSION, size: 10, contentType: "application/x-rpm" }, [
      { offset: 7, length: 3 },
      { offset: 0, length: 1 },
    ]);
    expect(layout.contentType).toBe(`multipart/byteranges; boundary=${VERSION}`);
    expect(Buffer.from(bodyOf(layout, Buffer.from("ABCDEFGHIJ"))).toString()).toBe(
      `--${VERSION}\r\nContent-Type: application/x-rpm\r\nContent-Range: bytes 7-9/10\r\n\r\nHIJ` +
        `\r\n--${VERSION}\r\nContent-Type: application/x-rpm\r\nContent-Range: bytes 0-0/10\r\n\r\nA` +
        `\r\n--${VERSION}--\r\n`,
    );
  });

  it("declares the length that the body has, also with letters of several bytes in the type", () => {
    fc.assert(
      fc.property(contentAndSpans, fc.constantFrom("text/plain", 'text/plain; name="ü"'), ([content, spans], contentType) => {
        const layout = layoutMultipart({ version: VERSION, size: content.length, contentType }, spans);
        expect(layout.contentLength).toBe(bodyOf(layout, content).length);
      }),
    );
  });

  it("is read by an independent parser as exactly the spans asked for, in that order, overlapping or not", () => {
    fc.assert(
      fc.property(contentAndSpans, ([content, spans]) => {
        const layout = layoutMultipart({ version: VERSION, size: content.length, contentType: "application/octet-stream" }, spans);
        const parts = readByteranges(layout.contentType, bodyOf(layout, content));
        expect(parts.map(({ headers }) => headers.get("content-range"))).toEqual(
          spans.map(({ offset, length }) => `bytes ${offset}-${offset + length - 1}/${content.length}`),
        );
        parts.forEach(({ bytes }, index) => {
          const { offset, length } = spans[index] ?? { offset: 0, length: 0 };
          expect(Buffer.from(bytes)).toEqual(Buffer.from(content.subarray(offset, offset + length)));
        });
      }),
    );
  });

  it("lays out the 256 ranges of zchunk", () => {
    const content = Buffer.alloc(1024, "zchunk");
    const spans = Array.from({ length: 256 }, (_, i) => ({ offset: i * 4, length: 3 }));
    const layout = layoutMultipart({ version: VERSION, size: content.length, contentType: "application/zstd" }, spans);
    expect(readByteranges(layout.contentType, bodyOf(layout, content))).toHaveLength(256);
  });

  it("gives the same bytes for the same request, so that a cut answer can be compared with the next", () => {
    const layout = () => layoutMultipart({ version: VERSION, size: 10, contentType: "a/b" }, [{ offset: 0, length: 1 }]);
    expect(layout()).toEqual(layout());
  });
});
