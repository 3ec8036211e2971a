import { createReporter, type IndexReport, type NamedPackage, type Reporter } from "./named-package.ts";
import { MalformedError } from "./parsed-root.ts";

/** The longest real line (a Depends or Built-Using) is some 50 KB. */
const MAX_LINE_CHARACTERS = 1024 * 1024;

/**
 * Reads a deb Packages or Sources file as it flows (https://wiki.debian.org/DebianRepository/Format); a source package names its files in `Directory`
 * and `Checksums-Sha256`. Files without SHA-256 are left out. Throws MalformedError.
 */
export async function parsePackages(chunks: AsyncIterable<Uint8Array>, found: (named: NamedPackage) => void): Promise<IndexReport> {
  const reporter = createReporter(found);
  let stanza = emptyStanza();
  let inChecksums = false;
  const readLine = (line: string): void => {
    if (line === "" || line === "\r") {
      reportStanza(stanza, reporter);
      [stanza, inChecksums] = [emptyStanza(), false];
    } else if (line.startsWith(" ")) {
      if (inChecksums) stanza.sources.push(line);
    } else {
      inChecksums = false;
      // Only the lines that are needed are cut apart, for speed: nine of ten are descriptions and dependencies.
      if (line.startsWith("Filename:")) stanza.path = line.slice(9).trim();
      else if (line.startsWith("Size:")) stanza.size = line.slice(5).trim();
      else if (line.startsWith("SHA256:")) stanza.sha256 = line.slice(7).trim();
      else if (line.startsWith("Directory:")) stanza.folder = line.slice(10).trim();
      else if (line.startsWith("Checksums-Sha256:")) inChecksums = true;
      else if (!/^[!-9;-~]+:/.test(line))
        throw new MalformedError(`line ${JSON.stringify(line.slice(0, 60))} is no field of a Packages file`);
    }
  };
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    const text = rest + decoder.decode(chunk, { stream: true });
    let from = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
      readLine(text.slice(from, end));
      from = end + 1;
    }
    rest = text.slice(from);
    if (rest.length > MAX_LINE_CHARACTERS) throw new MalformedError(`a line is longer than ${MAX_LINE_CHARACTERS} characters`);
  }
  if (rest !== "") readLine(rest);
  reportStanza(stanza, reporter);
  return reporter.report();
}

type Stanza = ReturnType<typeof emptyStanza>;

function emptyStanza(): { path?: string; folder?: string; size: string; sha256: string; readonly sources: string[] } {
  return { size: "", sha256: "", sources: [] };
}

function reportStanza(stanza: Stanza, reporter: Reporter): void {
  reporter.add({ location: stanza.path, size: stanza.size, digests: [["sha256", stanza.sha256]] });
  if (stanza.folder === undefined) return;
  for (const line of stanza.sources) {
    const [sha256 = "", size = "", name = ""] = line.trim().split(/\s+/);
    reporter.add({ location: `${stanza.folder}/${name}`, size, digests: [["sha256", sha256]] });
  }
}
