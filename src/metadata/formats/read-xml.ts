import { Parser } from "htmlparser2";
import { createUtf8Decoder, MalformedError } from "./parsed-root.ts";

/** Receives the parts of a document in order. Names are as written, with their prefix; the outermost element has depth 1. */
export interface XmlHandler {
  open(name: string, attributes: Readonly<Record<string, string>>, depth: number): void;
  text(text: string): void;
  close(name: string, depth: number): void;
}

const MAX_DEPTH = 32;
const MAX_ATTRIBUTES = 64;
/** No tag, comment or attribute of real metadata is longer. Without this limit the parser would collect a gigabyte of one attribute in memory. */
const MAX_TOKEN_CHARACTERS = 1024 * 1024;
const MAX_CHARACTERS_AT_ONCE = 64 * 1024;

/**
 * Reads XML as it flows, in constant memory. DTDs are skipped and no entities are expanded but XML's own five and numeric ones: an entity bomb stays
 * the text that it is. Throws MalformedError for what is no XML document with `root` as its outermost element, and for one that is cut off.
 */
export async function readXml(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, root: string, handler: XmlHandler): Promise<void> {
  const decode = createUtf8Decoder();
  let depth = 0;
  let ended = false;
  let ending = false;
  let sinceEvent = 0;
  let attributes = 0;
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
        handler.open(name, values, depth);
      },
      ontext(text): void {
        sinceEvent = 0;
        if (depth > 0) handler.text(text);
        else if (text.trim() !== "") throw new MalformedError(`text stands outside <${root}>: ${JSON.stringify(text.trim().slice(0, 60))}`);
      },
      onclosetag(name): void {
        sinceEvent = 0;
        if (ending) throw new MalformedError(`<${name}> is never closed: it is cut off`);
        handler.close(name, depth);
        ended = --depth === 0;
      },
      oncomment: seen,
      onprocessinginstruction: seen,
    },
    { xmlMode: true, decodeEntities: true },
  );
  const write = (text: string): void => {
    for (let at = 0; at < text.length; at += MAX_CHARACTERS_AT_ONCE) {
      const piece = text.slice(at, at + MAX_CHARACTERS_AT_ONCE);
      sinceEvent += piece.length;
      parser.write(piece);
      if (sinceEvent > MAX_TOKEN_CHARACTERS)
        throw new MalformedError(`one tag, attribute or comment is longer than ${MAX_TOKEN_CHARACTERS} characters`);
    }
  };
  for await (const chunk of chunks) write(decode(chunk));
  write(decode());
  ending = true;
  parser.end();
  if (!ended) throw new MalformedError(`it holds no complete <${root}> element`);
}
