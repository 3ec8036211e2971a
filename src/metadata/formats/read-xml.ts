import { Parser } from "htmlparser2";
import { concatBytes } from "../../verify/concat-bytes.ts";
import { createPace, type Breathe } from "./pace.ts";
import { MalformedError } from "./parsed-root.ts";

/** Receives the parts of a document in order. Names are as written, with their prefix; the outermost element has depth 1. */
export interface XmlHandler {
  open(name: string, attributes: Readonly<Record<string, string>>, depth: number): void;
  text(text: string): void;
  close(name: string, depth: number): void;
}

export interface XmlOptions {
  /** Bytes that are not of the document's encoding become U+FFFD. Without it they are malformed. */
  readonly isLenient?: boolean;
  /** Without it the whole document is read in one turn. */
  readonly breathe?: Breathe;
}

const MAX_DEPTH = 32;
const MAX_ATTRIBUTES = 64;
/** No tag, comment or attribute of real metadata is longer. Without this limit the parser would collect a gigabyte of one attribute in memory. */
const MAX_TOKEN_CHARACTERS = 1024 * 1024;
const MAX_CHARACTERS_AT_ONCE = 64 * 1024;
/** An element costs as much as so many characters of text. */
const UNITS_PER_ELEMENT = 16;
/**
 * Beyond FREE_ELEMENTS a document has an element for each so many characters at most. Real ones have one for each 30 to 60; `<a/>` over and over would
 * keep the parser busy for minutes.
 */
const MIN_CHARACTERS_PER_ELEMENT = 12;
const FREE_ELEMENTS = 100_000;

/**
 * Reads XML as it flows, in constant memory. DTDs are skipped and no entities are expanded but XML's own five and numeric ones: an entity bomb stays
 * the text that it is. Throws MalformedError for what is no XML document with `root` as its outermost element, and for one that is cut off.
 */
export async function readXml(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  root: string,
  handler: XmlHandler,
  { isLenient = false, breathe }: XmlOptions = {},
): Promise<void> {
  const decode = createXmlDecoder(isLenient);
  const pace = breathe === undefined ? () => undefined : createPace(breathe);
  let depth = 0;
  let ended = false;
  let ending = false;
  let sinceEvent = 0;
  let attributes = 0;
  let [elements, characters, unpaid] = [0, 0, 0];
  const seen = (): void => void (sinceEvent = 0);
  const parser = new Parser(
    {
      onopentagname(): void {
        attributes = sinceEvent = 0;
      },
      onattribute(): void {
        sinceEvent = 0;
        if (++attributes > MAX_ATTRIBUTES) throw new MalformedError(`an element has more than ${MAX_ATTRIBUTES} attributes`);
      },
      onopentag(name, values): void {
        if (depth === 0 && (ended || name !== root)) throw new MalformedError(`<${name.slice(0, 60)}> stands where <${root}> should`);
        if (++depth > MAX_DEPTH) throw new MalformedError(`elements are nested more than ${MAX_DEPTH} deep`);
        elements++;
        unpaid += UNITS_PER_ELEMENT;
        if (elements > FREE_ELEMENTS && elements * MIN_CHARACTERS_PER_ELEMENT > characters) {
          throw new MalformedError(`it has an element for less than ${MIN_CHARACTERS_PER_ELEMENT} characters`);
        }
        handler.open(name, values, depth);
      },
      ontext(text): void {
        sinceEvent = 0;
        if (depth > 0) handler.text(text);
        else if (text.trim() !== "") throw new MalformedError(`text stands outside <${root}>: ${JSON.stringify(text.trim().slice(0, 60))}`);
      },
      onclosetag(name): void {
        sinceEvent = 0;
        if (ending) throw new MalformedError(`<${name.slice(0, 60)}> is never closed: it is cut off`);
        handler.close(name, depth);
        ended = --depth === 0;
      },
      oncomment: seen,
      onprocessinginstruction: seen,
    },
    { xmlMode: true, decodeEntities: true },
  );
  const write = async (text: string): Promise<void> => {
    for (let at = 0; at < text.length; at += MAX_CHARACTERS_AT_ONCE) {
      const piece = text.slice(at, at + MAX_CHARACTERS_AT_ONCE);
      sinceEvent += piece.length;
      characters += piece.length;
      parser.write(piece);
      if (sinceEvent > MAX_TOKEN_CHARACTERS)
        throw new MalformedError(`one tag, attribute or comment is longer than ${MAX_TOKEN_CHARACTERS} characters`);
      await pace(unpaid + piece.length);
      unpaid = 0;
    }
  };
  for await (const chunk of chunks) await write(decode(chunk));
  await write(decode());
  ending = true;
  parser.end();
  if (!ended) throw new MalformedError(`it holds no complete <${root}> element`);
}

/** `<?xml version="1.0" encoding="…"?>` is shorter. */
const DECLARATION_BYTES = 128;

/**
 * A decoder that takes a document chunk by chunk, and without a chunk at its end. The encoding is what its byte order mark or its declaration says
 * (XML 1.0, appendix F), else UTF-8. It throws MalformedError.
 */
function createXmlDecoder(isLenient: boolean): (chunk?: Uint8Array) => string {
  let decoder: TextDecoder | null = null;
  let start = new Uint8Array();
  return (chunk) => {
    let bytes = chunk;
    if (decoder === null) {
      start = concatBytes(start, chunk ?? new Uint8Array());
      if (chunk !== undefined && start.length < DECLARATION_BYTES) return "";
      bytes = start;
      decoder = openDecoder(start, isLenient);
    }
    try {
      return decoder.decode(bytes, { stream: chunk !== undefined });
    } catch {
      throw new MalformedError(`it is not ${decoder.encoding.toUpperCase()}`);
    }
  };
}

function openDecoder(start: Uint8Array, isLenient: boolean): TextDecoder {
  const declaration = new TextDecoder("latin1").decode(start.subarray(0, DECLARATION_BYTES));
  const isUtf16 = declaration.startsWith("\xff\xfe") || declaration.startsWith("\xfe\xff");
  const [, declared = "utf-8"] = /^<\?xml [^>]{0,64}encoding=["']([A-Za-z0-9._-]{1,40})["']/.exec(declaration) ?? [];
  const label = isUtf16 ? (declaration.startsWith("\xff") ? "utf-16le" : "utf-16be") : declared;
  try {
    return new TextDecoder(label, { fatal: !isLenient, ignoreBOM: false });
  } catch {
    throw new MalformedError(`its encoding ${JSON.stringify(label)} is not known here`);
  }
}
