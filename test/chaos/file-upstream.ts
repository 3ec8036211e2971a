import { parseRange, resolveRange } from "../../src/http/byte-ranges.ts";

/** How an upstream labels one file. `changing`: another value with each response; `per-upstream`: constant, and another one at each upstream. */
export interface Labels {
  readonly tag: "strong" | "weak" | "weak-content" | "changing" | "changing-weak" | "suffixed" | "per-upstream" | "none";
  readonly date: "constant" | "changing" | "none";
  readonly takesRanges: boolean;
}

export interface UpstreamFile {
  readonly bytes: Uint8Array;
  /** Names the content: another one has another strong tag. */
  readonly content: string;
}

export interface FileUpstreamOptions {
  readonly name: string;
  readonly labels: Labels;
  readonly file: () => UpstreamFile;
  /** Where the next body breaks off, as a share of its length; null: it does not. */
  readonly breakAt: () => number | null;
  readonly bytesPerSecond: number;
  /** Milliseconds since the epoch; default: a constant. */
  readonly dateOf?: () => number;
  /** Counts the responses, where the upstream is made anew for each one. */
  readonly responses?: () => number;
}

const CHUNK_BYTES = 16_384;

/** An upstream of one file that labels it well or badly, and may break off. RFC 9110 §13.1.5: only an equal strong tag satisfies If-Range. */
export function createFileUpstream(options: FileUpstreamOptions) {
  const { name, labels, file, breakAt, bytesPerSecond, dateOf = () => Date.UTC(2026, 0, 1) } = options;
  let responses = 0;
  return async (headers: Headers, signal: AbortSignal | null): Promise<Response> => {
    await sleep(5);
    const { bytes, content } = file();
    responses = options.responses?.() ?? responses + 1;
    const tag = tagOf(content, responses);
    const sent = new Headers({ "content-type": "application/octet-stream" });
    if (tag !== undefined) sent.set("etag", tag);
    if (labels.date !== "none")
      sent.set("last-modified", new Date(dateOf() + (labels.date === "changing" ? responses * 1000 : 0)).toUTCString());
    if (labels.takesRanges) sent.set("accept-ranges", "bytes");
    // RFC 9110 §13.2.2: If-None-Match before If-Modified-Since; a changing label matches nothing.
    const isSame = headers.has("if-none-match")
      ? headers.get("if-none-match") === tag
      : headers.get("if-modified-since") === sent.get("last-modified");
    if (isSame && (headers.has("if-none-match") || headers.has("if-modified-since")))
      return new Response(null, { status: 304, headers: sent });
    const wanted = labels.takesRanges ? parseRange(headers.get("range"))?.[0] : undefined;
    const ifRange = headers.get("if-range");
    const isPart = wanted !== undefined && (ifRange === null || (ifRange === tag && !ifRange.startsWith("W/")));
    const span = isPart ? resolveRange(wanted, bytes.length) : { offset: 0, length: bytes.length };
    if (isPart && span.length === 0) return new Response(null, { status: 416, headers: { "content-range": `bytes */${bytes.length}` } });
    if (isPart) sent.set("content-range", `bytes ${span.offset}-${span.offset + span.length - 1}/${bytes.length}`);
    sent.set("content-length", String(span.length));
    const share = breakAt();
    const end = span.offset + (share === null ? span.length : Math.floor(span.length * share));
    const body = flow(bytes, span.offset, end, share !== null, signal);
    return new Response(body, { status: isPart ? 206 : 200, headers: sent });
  };

  function tagOf(content: string, response: number): string | undefined {
    switch (labels.tag) {
      case "strong":
        return `"${content}"`;
      case "weak":
        return 'W/"same"';
      case "weak-content":
        return `W/"${content}"`;
      case "changing":
        return `"${name}-${response}"`;
      case "changing-weak":
        return `W/"${name}-${response}"`;
      case "suffixed":
        return response % 2 === 0 ? `"${content}-gzip"` : `"${content}"`;
      case "per-upstream":
        return `"${name}-${content}"`;
      case "none":
        return undefined;
    }
  }

  function flow(bytes: Uint8Array, from: number, to: number, breaks: boolean, signal: AbortSignal | null): ReadableStream<Uint8Array> {
    let position = from;
    return new ReadableStream({
      type: "bytes",
      async pull(controller) {
        const chunk = bytes.slice(position, Math.min(to, position + CHUNK_BYTES));
        if (chunk.length > 0) await sleep((chunk.length * 1000) / bytesPerSecond);
        if (signal?.aborted === true) return controller.error(new Error("aborted"));
        position += chunk.length;
        if (chunk.length > 0) controller.enqueue(chunk);
        if (position < to) return;
        if (breaks) return controller.error(new Error("the connection was reset"));
        controller.close();
        controller.byobRequest?.respond(0);
      },
    });
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
