// workerd has zstd and brotli in node:zlib alone (nodejs_compat). Its gunzip also reads several members, and reports a cut.
import type { Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw, createZstdDecompress } from "node:zlib";
import { type Coding, isGzip, isLabelMistaken, LABEL_SNIFF_BYTES, parseContentCodings } from "../verify/content-coding.ts";
import { HTML_SNIFF_BYTES, isPageInPlaceOf } from "../verify/html.ts";
import { SourceError, type ByteSource, type Representation } from "./upstream.ts";

/** Bytes given to a decoder at once, and bytes that it gives back at once. */
const STEP_BYTES = 64 * 1024;
/** A coding that brings more than this, and more than MAX_RATIO times its own length, is a bomb. */
const FREE_BYTES = 16 * 1024 * 1024;
/** Repeated text packs by 20 to 50; DEFLATE can at most by 1,032. */
const MAX_RATIO = 200;
const MAX_DECODED_BYTES = 4 * 1024 ** 3;
/** Wire bytes within which a decoder must have given a byte, or the label counts as mistaken: neither brotli nor raw DEFLATE has a magic. */
const TRIAL_BYTES = 64 * 1024;

/** A body with no coding left: the file's own bytes. */
export interface IdentityBody {
  readonly source: ByteSource;
  /** Bytes of the whole file where that is known; of a decoded body the Content-Length says nothing. */
  readonly size: number | undefined;
  /**
   * The upstream had encoded the body, and it comes decoded. Its end is proven by the coding itself. It cannot be gone on with at an offset: lengths and
   * positions of the upstream are those of the encoded form.
   */
  readonly isDecoded: boolean;
}

/** What is known of the body; `namedSizes`: lengths that an index or a root names for the file, any of which it may have. */
export interface Labelled {
  readonly path: string;
  readonly representation: Pick<Representation, "contentEncoding" | "size" | "upstream">;
  readonly namedSizes?: readonly number[];
}

/**
 * The file's own bytes of a body from its first byte on. Content-Encoding is only a label: where the length or the first bytes show that the body is the
 * file itself, it stays as it is; otherwise it is decoded, within bounds. Reads some of the source. Throws SourceError, as the source it gives does.
 */
export async function identityBody(source: ByteSource, { path, representation, namedSizes = [] }: Labelled): Promise<IdentityBody> {
  const { contentEncoding, size, upstream } = representation;
  const codings = parseContentCodings(contentEncoding);
  const asSent: IdentityBody = { source, size, isDecoded: false };
  if (codings.length === 0 || (size !== undefined && namedSizes.includes(size))) return asSent;
  const begun = await readUpTo(source, LABEL_SNIFF_BYTES);
  let wire = replay(begun, source);
  const first = firstBytesOf(begun);
  if (isLabelMistaken(path, codings, first)) {
    // An encoded page under the name of a packed file begins as that file does.
    if (codings[0] !== "gzip" || !isGzip(first)) return { ...asSent, source: wire };
    const trial = await readUpTo(wire, HTML_SNIFF_BYTES);
    wire = replay(trial, wire);
    const opened = await openSome(trial, codings);
    const isPage = opened !== null && isPageInPlaceOf(path.slice(0, path.lastIndexOf(".")), opened, null);
    if (!isPage) return { ...asSent, source: wire };
  }
  // Behind the magic of gzip or zstd what does not open is broken, and no mistake of the label. The others have no magic.
  if (codings[0] === "br" || codings[0] === "deflate") {
    const trial = await readUpTo(wire, TRIAL_BYTES);
    wire = replay(trial, wire);
    if ((await openSome(trial, codings)) === null) return { ...asSent, source: wire };
  }
  return { source: decoded(wire, codings, path, upstream), size: undefined, isDecoded: true };
}

/** The first bytes to which the beginning of a body opens; null where the decoders do not take it. */
async function openSome(beginning: readonly Uint8Array[], codings: readonly Coding[]): Promise<Uint8Array | null> {
  const trial = chain(replay(beginning, null), codings);
  try {
    return (await trial.read()) ?? new Uint8Array(0);
  } catch {
    return null;
  } finally {
    trial.cancel("tried");
  }
}

/** The decoded body, which is refused where a decoder cannot read it, where it ends early, and where it is a bomb. */
function decoded(source: ByteSource, codings: readonly Coding[], path: string, upstream: string): ByteSource {
  let [packed, open] = [0, 0];
  const counted: ByteSource = {
    async read() {
      const chunk = await source.read();
      packed += chunk?.length ?? 0;
      return chunk;
    },
    cancel: (reason) => source.cancel(reason),
  };
  const flow = chain(counted, codings);
  function refuse(detail: string): never {
    flow.cancel(detail);
    throw new SourceError({ kind: "failure", status: 502, detail: `Cannot decode ${path} from ${upstream}: ${detail}`, isRefused: true });
  }
  return {
    async read() {
      let chunk: Uint8Array | null;
      try {
        chunk = await flow.read();
      } catch (error) {
        if (error instanceof SourceError) throw error;
        return refuse(error instanceof Error ? error.message : String(error));
      }
      open += chunk?.length ?? 0;
      if (open > MAX_DECODED_BYTES || open > Math.max(FREE_BYTES, packed * MAX_RATIO))
        return refuse(`its ${packed} bytes open to more than ${Math.max(FREE_BYTES, packed * MAX_RATIO)}`);
      return chunk;
    },
    cancel: (reason) => flow.cancel(reason),
    // A decoder that reached the end of its coding has seen the end of the body.
    isEndProven: () => true,
  };
}

/** `source` through one decoder for each coding. Reading throws what a decoder says of bytes that it cannot read, and what the source throws. */
function chain(source: ByteSource, codings: readonly Coding[]): ByteSource {
  return codings.reduce(decodeOne, source);
}

function decodeOne(source: ByteSource, coding: Coding): ByteSource {
  const flow = decode(source, coding);
  return {
    async read() {
      const { value, done } = await flow.next();
      return done === true ? null : value;
    },
    cancel(reason) {
      source.cancel(reason);
      void flow.return(undefined).catch(() => {});
    },
  };
}

async function* decode(source: ByteSource, coding: Coding): AsyncGenerator<Uint8Array, undefined> {
  // A chunk may be a single byte, and only two show which form of deflate it is.
  const begun = await readUpTo(source, LABEL_SNIFF_BYTES);
  if (begun.length === 0) return;
  const decoder = createDecoder(coding, firstBytesOf(begun));
  const fed = feed(replay(begun, source), decoder);
  fed.catch((error: unknown) => decoder.destroy(error instanceof Error ? error : new Error(String(error))));
  try {
    for await (const chunk of decoder as AsyncIterable<Uint8Array>) if (chunk.length > 0) yield chunk;
    // To its own end, so that the source counts as whole.
    await fed;
  } finally {
    decoder.destroy();
  }
}

function createDecoder(coding: Coding, start: Uint8Array): Transform {
  const options = { chunkSize: STEP_BYTES };
  switch (coding) {
    case "gzip":
      return createGunzip(options);
    case "br":
      return createBrotliDecompress(options);
    case "zstd":
      return createZstdDecompress(options);
    case "deflate":
      return isZlib(start) ? createInflate(options) : createInflateRaw(options);
  }
}

/** RFC 9110 §8.4.1.2: deflate is the zlib format; "some non-conformant implementations send the "deflate" compressed data without the zlib wrapper". */
function isZlib([first = 0, second = 0]: Uint8Array): boolean {
  return (first & 0x0f) === 8 && (first * 256 + second) % 31 === 0;
}

async function feed(source: ByteSource, decoder: Transform): Promise<void> {
  let isOver = false;
  const over = new Promise<void>((resolve) => {
    for (const event of ["close", "end", "error"]) decoder.once(event, resolve);
  }).then(() => void (isOver = true));
  for (let chunk = await source.read(); chunk !== null; chunk = await source.read()) {
    const bytes = chunk.slice();
    for (let at = 0; at < bytes.length && !isOver; at += STEP_BYTES) {
      // Called once the decoder has given out all that these bytes open to.
      const taken = new Promise<void>((resolve) => decoder.write(bytes.subarray(at, at + STEP_BYTES), () => resolve()));
      await Promise.race([taken, over]);
    }
    if (decoder.destroyed) return;
  }
  decoder.end();
}

async function readUpTo(source: ByteSource, wanted: number): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for (let length = 0; length < wanted;) {
    const chunk = await source.read();
    if (chunk === null) break;
    parts.push(chunk.slice());
    length += chunk.length;
  }
  return parts;
}

function firstBytesOf(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(
    Math.min(
      LABEL_SNIFF_BYTES,
      parts.reduce((sum, part) => sum + part.length, 0),
    ),
  );
  let at = 0;
  for (const part of parts) {
    bytes.set(part.subarray(0, bytes.length - at), at);
    at += Math.min(part.length, bytes.length - at);
  }
  return bytes;
}

/** The bytes that were read already, then the rest of the source. */
function replay(read: readonly Uint8Array[], rest: ByteSource | null): ByteSource {
  const parts = [...read];
  return {
    read: async () => parts.shift() ?? (await rest?.read()) ?? null,
    cancel: (reason) => rest?.cancel(reason),
    isEndProven: () => rest?.isEndProven?.() ?? true,
  };
}
