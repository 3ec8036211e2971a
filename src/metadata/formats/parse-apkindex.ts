import { createReporter, type IndexReport, type NamedPackage, type Reporter } from "./named-package.ts";
import { readLines } from "./read-lines.ts";
import { readTar } from "./read-tar.ts";

const INDEX_NAME = "APKINDEX";
/** `C:` of format 2: this mark, then a SHA-1 in base64. */
const SHA1_MARK = "Q1";

/**
 * Reads Alpine's APKINDEX.tar.gz, decompressed, as it flows (https://wiki.alpinelinux.org/wiki/Apk_spec): its file APKINDEX has a stanza for each
 * package, with lines of one letter, a colon and a value. `<P>-<V>.apk` lies beside the index. Throws MalformedError.
 */
export async function parseApkIndex(chunks: AsyncIterable<Uint8Array>, found: (named: NamedPackage) => void): Promise<IndexReport> {
  const reporter = createReporter(found);
  await readTar(chunks, async ({ name }, body) => {
    if (name !== INDEX_NAME) return;
    let fields = new Map<string, string>();
    const finish = (): void => {
      if (fields.size === 0) return;
      reportFields(fields, reporter);
      fields = new Map();
    };
    await readLines(body, (line) => {
      if (line === "") finish();
      else if (line[1] === ":") fields.set(line[0] ?? "", line.slice(2));
    });
    finish();
  });
  return reporter.report();
}

function reportFields(fields: ReadonlyMap<string, string>, reporter: Reporter): void {
  const [name, version, checksum = ""] = ["P", "V", "C"].map((field) => fields.get(field));
  if (name === undefined || version === undefined) return;
  const location = `${name}-${version}.apk`;
  const apkControl = checksum.startsWith(SHA1_MARK) ? hexOf(checksum.slice(SHA1_MARK.length)) : undefined;
  // apk shows the size and does not compare it: alone it binds nothing.
  const size = apkControl === undefined ? undefined : fields.get("S");
  reporter.add({ location, size, digests: [], apkControl, name, version, architecture: fields.get("A") });
}

/** The bytes that the base64 text stands for as 40 hex digits; undefined where it is no SHA-1. */
function hexOf(base64: string): string | undefined {
  if (!/^[A-Za-z0-9+/]{27}=$/.test(base64)) return undefined;
  return Array.from(atob(base64), (char) => (char.codePointAt(0) ?? 0).toString(16).padStart(2, "0")).join("");
}
