import { identityBody } from "../../upstream/identity-body.ts";
import {
  type ByteSource,
  type Representation,
  SourceError,
  type UpstreamAnswer,
  type UpstreamRequest,
  type Upstreams,
} from "../../upstream/upstream.ts";
import { isLabelMistaken, LABEL_SNIFF_BYTES, parseContentCodings } from "../../verify/content-coding.ts";
import { contentTypeOf } from "../../verify/html.ts";
import type { Fill, Run } from "../shared/fill.ts";
import type { AskExpected } from "./dependencies.ts";

export type OpenedBody = Extract<UpstreamAnswer, { kind: "body" }>;

/** The file's own bytes, whatever the labels of the response said. */
export interface PlainBody {
  /** Of the file, not of its encoded form: `size` is undefined where the body was decoded. The validators are what the upstream compares with. */
  readonly representation: Representation;
  /** The type to store and send, should the bytes prove to be the file; the upstream's own helps to tell a page. */
  readonly contentType: string | undefined;
  readonly source: ByteSource;
  /** Whether the body was decoded. */
  readonly isDecoded: boolean;
}

/** Whether the answer is a part of what may be an encoded file: only the whole shows, and only the whole can be decoded. */
export function isPartOfEncoded({ representation }: OpenedBody, { object }: Fill, { slice, last }: Pick<Run, "slice" | "last">): boolean {
  return object === null && (slice > 0 || last !== null) && parseContentCodings(representation.contentEncoding).length > 0;
}

/** Whether the beginning of the file shows that its label is a mistake: a few bytes, in place of all that lie before a part. */
export async function isLabelMistakenOf({ representation }: OpenedBody, request: UpstreamRequest, upstreams: Upstreams): Promise<boolean> {
  const answer = await upstreams.open({ ...request, range: { first: 0, last: LABEL_SNIFF_BYTES - 1 } });
  if (answer.kind !== "body") return false;
  try {
    const beginning = await answer.source.read();
    const codings = parseContentCodings(representation.contentEncoding);
    return answer.first === 0 && beginning !== null && isLabelMistaken(request.path, codings, beginning.subarray(0, LABEL_SNIFF_BYTES));
  } catch (error) {
    if (error instanceof SourceError) return false;
    throw error;
  } finally {
    answer.source.cancel("seen");
  }
}

/**
 * A body without its labels. Of a version that is known already the bytes were proven to go on in it, so that the label is a mistake. Throws SourceError.
 * @param isAsSent take the bytes as they came: decoded they were not the file.
 */
export async function plainBody(
  { representation, source }: OpenedBody,
  fill: Fill,
  expected: AskExpected,
  isAsSent: boolean,
): Promise<PlainBody> {
  const { path } = fill.target;
  const codings = parseContentCodings(representation.contentEncoding);
  const named = codings.length === 0 || fill.object !== null || isAsSent ? null : await expected(0);
  const namedSizes = named?.kind === "known" ? named.expectations.flatMap(({ size }) => size ?? []) : [];
  const body =
    named === null
      ? { source, size: representation.size, isDecoded: false }
      : await identityBody(source, { path, representation, namedSizes });
  return {
    representation: { ...representation, size: body.size, contentEncoding: undefined },
    contentType: body.isDecoded ? representation.contentType : contentTypeOf(path, representation.contentType, codings.length > 0),
    source: body.source,
    isDecoded: body.isDecoded,
  };
}
