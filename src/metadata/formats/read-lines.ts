/** The longest real line (a Depends or Built-Using) is some 50 KB. Of a longer one only the beginning is passed on. */
const MAX_LINE_CHARACTERS = 64 * 1024;

/**
 * Passes on each line of a text as it flows, without its end (LF or CRLF). Each character is looked at once, and no more than one line is held. What is
 * not UTF-8 becomes U+FFFD: of an index only names and digests matter, which are ASCII.
 */
export async function readLines(chunks: AsyncIterable<Uint8Array>, read: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  let isCut = false;
  const finish = (line: string): void => {
    // The beginning was passed on when the limit was reached.
    if (isCut) isCut = false;
    else read(line.endsWith("\r") ? line.slice(0, -1) : line);
  };
  for await (const chunk of chunks) {
    const text = decoder.decode(chunk, { stream: true });
    let from = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
      finish(rest + text.slice(from, end));
      rest = "";
      from = end + 1;
    }
    if (isCut) continue;
    rest += text.slice(from);
    if (rest.length <= MAX_LINE_CHARACTERS) continue;
    read(rest.slice(0, MAX_LINE_CHARACTERS));
    [rest, isCut] = ["", true];
  }
  if (rest !== "") finish(rest);
}
