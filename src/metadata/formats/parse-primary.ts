import { isContained } from "./repository-path.ts";
import { MalformedError } from "./parsed-root.ts";
import { readXml } from "./read-xml.ts";

/** A package as an index names it. */
export interface NamedPackage {
  /** Relative to the folder that the index's paths are relative to; never leads out of it. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

const MAX_CHECKSUM_CHARACTERS = 256;

/**
 * Reads a primary.xml (https://github.com/rpm-software-management/createrepo_c) as it flows. Left out are packages that lie elsewhere (xml:base),
 * that have no SHA-256, or whose path the mirror rewrites (koji's `toplink/`). Throws MalformedError.
 */
export async function parsePrimary(chunks: AsyncIterable<Uint8Array>, found: (named: NamedPackage) => void): Promise<void> {
  let href: string | undefined;
  let size: number | undefined;
  let sha256: string | null = null;
  let inChecksum = false;
  await readXml(chunks, "metadata", {
    open(name, attributes, depth) {
      inChecksum = false;
      if (depth === 2) [href, size, sha256] = [undefined, undefined, null];
      if (depth !== 3) return;
      if (name === "checksum" && attributes["type"] === "sha256") [inChecksum, sha256] = [true, ""];
      if (name === "size") size = Number(attributes["package"]);
      if (name === "location" && attributes["xml:base"] === undefined) href = attributes["href"];
    },
    text(text) {
      if (!inChecksum) return;
      sha256 += text;
      if ((sha256?.length ?? 0) > MAX_CHECKSUM_CHARACTERS) throw new MalformedError("a checksum is longer than a SHA-256");
    },
    close(name, depth) {
      inChecksum = false;
      if (depth !== 2 || name !== "package" || href === undefined || href.startsWith("toplink/")) return;
      const path = href.replace(/^(\.\/)+/, "");
      if (!isContained(path)) throw new MalformedError(`href ${JSON.stringify(href.slice(0, 120))} leads out of the repository`);
      const digest = sha256?.trim().toLowerCase() ?? "";
      if (/^[0-9a-f]{64}$/.test(digest) && Number.isSafeInteger(size) && (size ?? -1) >= 0)
        found({ path, size: size ?? 0, sha256: digest });
    },
  });
}
