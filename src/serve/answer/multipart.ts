import type { ByteSpan } from "../../http/byte-ranges.ts";
import { safeContentType } from "../../http/content-type.ts";
import { formatContentRange } from "../../http/content-range.ts";
import type { StoredObject } from "../../store/stored-object.ts";

/** A multipart/byteranges body by position: for each part its `head`, then the bytes of its `span`; last the `tail`. */
export interface MultipartLayout {
  readonly parts: readonly { readonly head: Uint8Array; readonly span: ByteSpan }[];
  readonly tail: Uint8Array;
  /** Length of the whole body in bytes: heads, spans and tail. */
  readonly contentLength: number;
  readonly contentType: string;
}

/**
 * Lays out the answer to several ranges (RFC 9110 §14.6, RFC 2046 §5.1.1): one part a span, in the order given.
 *
 * The boundary is the object's version: 32 hex digits do not occur in the content by accident, and equal requests get equal bytes. It stands
 * unquoted at the very end of Content-Type: zchunk takes all that follows `boundary=` up to the line end for the boundary.
 */
export function layoutMultipart(
  object: Pick<StoredObject, "version" | "size" | "contentType">,
  spans: readonly ByteSpan[],
): MultipartLayout {
  const boundary = object.version;
  const encoder = new TextEncoder();
  const parts = spans.map((span, index) => {
    const lines = [
      ...(index === 0 ? [] : [""]),
      `--${boundary}`,
      `Content-Type: ${safeContentType(object.contentType)}`,
      `Content-Range: ${formatContentRange(span, object.size)}`,
      "",
      "",
    ];
    return { head: encoder.encode(lines.join("\r\n")), span };
  });
  const tail = encoder.encode(`\r\n--${boundary}--\r\n`);
  const contentLength = parts.reduce((sum, { head, span }) => sum + head.byteLength + span.length, tail.byteLength);
  return { parts, tail, contentLength, contentType: `multipart/byteranges; boundary=${boundary}` };
}
