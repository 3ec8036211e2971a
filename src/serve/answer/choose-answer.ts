import { type ByteSpan, type ByteRange, parseRange, resolveRanges } from "../../http/byte-ranges.ts";
import { evaluateConditions, isRangeWanted, type Validators } from "../../http/conditions.ts";
import { safeContentType } from "../../http/content-type.ts";
import { formatContentRange, formatUnsatisfiedRange } from "../../http/content-range.ts";
import { type EntityTag, formatEntityTag } from "../../http/entity-tag.ts";
import type { StoredObject } from "../../store/stored-object.ts";
import { layoutMultipart, type MultipartLayout } from "./multipart.ts";

/** What an answer needs to know of an object. */
export type Answerable = Pick<StoredObject, "version" | "size" | "contentType" | "lastModified" | "tainted">;

/** What a client gets of an object that is there. For HEAD the body of `full` is left out, nothing else. */
export type Answer =
  | { readonly kind: "full" }
  | { readonly kind: "partial"; readonly span: ByteSpan }
  | { readonly kind: "multipart"; readonly layout: MultipartLayout }
  | { readonly kind: "not-modified" }
  | { readonly kind: "precondition-failed" }
  | { readonly kind: "unsatisfiable" };

/** Chooses the answer to a GET or HEAD by its conditions and ranges (RFC 9110 §13.2.2, §14.2). Never throws, whatever the headers. */
export function chooseAnswer(object: Answerable, request: { readonly method: string; readonly headers: Headers }): Answer {
  const validators = validatorsOf(object);
  switch (evaluateConditions(request.headers, validators)) {
    case "failed":
      return { kind: "precondition-failed" };
    case "not-modified":
      return { kind: "not-modified" };
    case "proceed":
  }
  // RFC 9110 §14.2: "A server MUST ignore a Range header field received with a request method that is unrecognized or for which
  // range handling is not defined. For this specification, GET is the only method for which range handling is defined."
  const ranges = request.method === "GET" ? parseRange(request.headers.get("range")) : null;
  if (ranges === null || !isRangeWanted(request.headers, validators)) return { kind: "full" };
  return answerRanges(object, ranges);
}

export type AnswerWithBody = Extract<Answer, { readonly kind: "full" | "partial" | "multipart" }>;

export function hasBody(answered: Answer): answered is AnswerWithBody {
  return answered.kind === "full" || answered.kind === "partial" || answered.kind === "multipart";
}

/** Bytes of the body of an answer, of an object of `size` bytes. */
export function lengthOf(answered: AnswerWithBody, size: number): number {
  switch (answered.kind) {
    case "full":
      return size;
    case "partial":
      return answered.span.length;
    case "multipart":
      return answered.layout.contentLength;
  }
}

function answerRanges(object: Answerable, ranges: readonly ByteRange[]): Answer {
  const spans = resolveRanges(ranges, object.size);
  const [first, second] = spans;
  if (first === undefined) {
    // RFC 9110 §14.2: Range may be ignored when there is no content. A range from the start asks for all there is, which no Content-Range
    // can say, and is unsatisfied by an empty object alone. One from further on resumes something longer: 416 makes apt and pacman start over.
    return ranges.some(isFromStart) ? { kind: "full" } : { kind: "unsatisfiable" };
  }
  if (second === undefined) return { kind: "partial", span: first };
  // RFC 9110 §17.15: overlapping ranges must not make us send more than the whole.
  const wanted = spans.reduce((sum, span) => sum + span.length, 0);
  return wanted > object.size ? { kind: "full" } : { kind: "multipart", layout: layoutMultipart(object, spans) };
}

function isFromStart(range: ByteRange): boolean {
  return "suffix" in range ? range.suffix > 0 : range.first === 0;
}

/**
 * Status and headers of an answer: all that follow from the object. Content-Length is that of the body to send (none on a 304).
 * Age, Cache-Status and a life in Cache-Control are the caller's to add.
 */
export function answerHead(object: Answerable, answered: Answer): { readonly status: number; readonly headers: Headers } {
  // A CDN that compresses or minifies would break the length, the ranges and every digest.
  const headers = new Headers({ "Cache-Control": "no-transform", "Accept-Ranges": "bytes" });
  switch (answered.kind) {
    case "full":
      setRepresentation(headers, object, object.size);
      return { status: 200, headers };
    case "partial":
      setRepresentation(headers, object, answered.span.length);
      headers.set("Content-Range", formatContentRange(answered.span, object.size));
      return { status: 206, headers };
    case "multipart":
      setRepresentation(headers, object, answered.layout.contentLength);
      // RFC 9110 §15.3.7.2: no Content-Range beside the parts' own.
      headers.set("Content-Type", answered.layout.contentType);
      return { status: 206, headers };
    case "not-modified":
      // RFC 9110 §15.4.5 asks for ETag. Last-Modified guides caches that hold these bytes under an earlier date: ours must match exactly.
      setValidators(headers, object);
      return { status: 304, headers };
    case "precondition-failed":
      headers.set("Content-Length", "0");
      return { status: 412, headers };
    case "unsatisfiable":
      headers.set("Content-Range", formatUnsatisfiedRange(object.size));
      headers.set("Content-Length", "0");
      return { status: 416, headers };
  }
}

function setRepresentation(headers: Headers, object: Answerable, contentLength: number): void {
  headers.set("Content-Type", safeContentType(object.contentType));
  headers.set("Content-Length", String(contentLength));
  setValidators(headers, object);
}

function setValidators(headers: Headers, object: Answerable): void {
  headers.set("ETag", formatEntityTag(entityTagOf(object)));
  // Verbatim: reformatted, it would no longer be the date that clients got from another mirror.
  if (object.lastModified !== undefined) headers.set("Last-Modified", object.lastModified);
}

function validatorsOf(object: Answerable): Validators {
  return { etag: entityTagOf(object), lastModified: object.lastModified, datesRefused: object.tainted === true };
}

function entityTagOf(object: Answerable): EntityTag {
  return { weak: false, opaque: object.version };
}
