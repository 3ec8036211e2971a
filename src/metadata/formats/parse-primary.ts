import { createReporter, type IndexReport, type NamedPackage } from "./named-package.ts";
import { MalformedError } from "./parsed-root.ts";
import { readXml } from "./read-xml.ts";

const MAX_CHECKSUM_CHARACTERS = 256;

/**
 * Reads a primary.xml (https://github.com/rpm-software-management/createrepo_c) as it flows. Left out are packages that lie elsewhere (xml:base),
 * that have no SHA-256, or whose path the mirror rewrites (koji's `toplink/`). Throws MalformedError.
 */
export async function parsePrimary(chunks: AsyncIterable<Uint8Array>, found: (named: NamedPackage) => void): Promise<IndexReport> {
  const reporter = createReporter(found);
  let href: string | undefined;
  let [size, sha256, inChecksum] = ["", "", false];
  await readXml(chunks, "metadata", {
    open(name, attributes, depth) {
      inChecksum = false;
      if (depth === 2) [href, size, sha256] = [undefined, "", ""];
      if (depth !== 3) return;
      if (name === "checksum" && attributes["type"] === "sha256") [inChecksum, sha256] = [true, ""];
      if (name === "size") size = attributes["package"] ?? "";
      if (name === "location" && attributes["xml:base"] === undefined) href = attributes["href"];
    },
    text(text) {
      if (!inChecksum) return;
      sha256 += text;
      if (sha256.length > MAX_CHECKSUM_CHARACTERS) throw new MalformedError("a checksum is longer than a SHA-256");
    },
    close(name, depth) {
      inChecksum = false;
      const isHere = name === "package" && href?.startsWith("toplink/") === false;
      if (depth === 2 && isHere) reporter.add({ location: href, size, digests: [["sha256", sha256.trim()]] });
    },
  });
  return reporter.report();
}
