import { decompress, type DecompressOptions } from "./decompress.ts";
import type { IndexReport, NamedPackage } from "./named-package.ts";
import { parseApkIndex } from "./parse-apkindex.ts";
import { parsePackages } from "./parse-packages.ts";
import { parsePacmanDatabase } from "./parse-pacman-database.ts";
import { parsePrimary } from "./parse-primary.ts";

/** The largest index in the wild (a primary.xml of all of Fedora) is below 300 MB. */
const MAX_INDEX_BYTES = 1024 ** 3;

/** The kinds of repositories that have an index of packages. */
type IndexKind = "rpm-md" | "deb" | "pacman" | "apk";

/** What reading an index needs. */
export interface IndexOptions extends Pick<DecompressOptions, "xz" | "breathe"> {
  /** Bytes once it is open, where the root says it: more are malformed. */
  readonly openSize?: number | undefined;
}

/**
 * Opens and reads an index of packages as it flows, in constant memory and in short turns, and passes each package to `found`. Throws MalformedError for
 * what is no such index, does not decompress, or is over a limit; the limits count bytes and elements, since the edge's clock stands still while
 * JavaScript computes.
 */
export function parseIndex(
  kind: IndexKind,
  chunks: AsyncIterable<Uint8Array>,
  { openSize = MAX_INDEX_BYTES, xz, breathe }: IndexOptions,
  found: (named: NamedPackage) => void,
): Promise<IndexReport> {
  const open = decompress(chunks, { maxBytes: Math.min(openSize, MAX_INDEX_BYTES), xz, breathe });
  switch (kind) {
    case "rpm-md":
      return parsePrimary(open, found, breathe);
    case "deb":
      return parsePackages(open, found);
    case "pacman":
      return parsePacmanDatabase(open, found);
    case "apk":
      return parseApkIndex(open, found);
  }
}
