/** One part as a client finds it in a multipart/byteranges body. */
export interface ReceivedPart {
  readonly headers: ReadonlyMap<string, string>;
  readonly bytes: Uint8Array;
}

/**
 * Reads a multipart/byteranges body by RFC 2046 §5.1.1 alone: splits it at its delimiters, knowing nothing of Content-Range. Written apart from
 * the code under test; throws on anything that is not well-formed.
 */
export function readByteranges(contentType: string, body: Uint8Array): readonly ReceivedPart[] {
  const boundary = /^multipart\/byteranges; boundary=([A-Za-z0-9]{1,70})$/.exec(contentType)?.[1];
  if (boundary === undefined) throw new Error(`Cannot read "${contentType}": a plain boundary must be its last parameter`);
  // Latin-1 holds one letter per byte, so that positions in the text are positions in the body.
  const text = `\r\n${Buffer.from(body).toString("latin1")}`;
  const [preamble, ...sections] = text.split(`\r\n--${boundary}`);
  const epilogue = sections.pop();
  if (preamble !== "" || epilogue !== "--\r\n") throw new Error("The body must begin with a delimiter and end with the closing one");
  return sections.map((section) => {
    const end = section.indexOf("\r\n\r\n");
    if (!section.startsWith("\r\n") || end === -1) throw new Error("A part must have a head that ends with an empty line");
    const headers = section
      .slice(2, end)
      .split("\r\n")
      .map((line): [string, string] => {
        const colon = line.indexOf(": ");
        if (colon < 1) throw new Error(`Cannot read the part header "${line}"`);
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 2)];
      });
    return { headers: new Map(headers), bytes: Buffer.from(section.slice(end + 4), "latin1") };
  });
}
