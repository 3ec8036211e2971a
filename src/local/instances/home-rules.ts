/**
 * Where a request has its home: its decoded path, with its mirror's name in front, is rewritten by the rules of this file, and requests with one result go to
 * one instance. haproxy and nginx apply the rules; the tests compare them with what the mirror itself takes for one repository.
 */

/** A rewriting of a path: the first match of `pattern` becomes `replacement`, where `\1` stands for a group. Both are written as PCRE has them, too. */
export interface Rule {
  readonly pattern: string;
  readonly replacement: string;
  /** Every match, not only the first. */
  readonly isGlobal?: boolean;
}

/** What signs a file goes where the file goes. */
const SIGNATURE = "[.](?:asc|gpg|key|sig|sign|minisig)";
const COMPRESSION = "[.](?:gz|bz2|xz|lzma|lz4|zst)";

/** Names of the files that make a repository out of the folder that they lie in (`src/route/place.ts` has them more exactly). */
const METADATA_NAMES = [
  "InRelease",
  "Release",
  `(?:Packages|Sources|Contents|Translation)(?:-[^/.]+)?(?:${COMPRESSION})?`,
  "[^/]+[.](?:db|files)(?:[.]tar(?:[.][a-z0-9]+)?)?",
  "APKINDEX[.]tar[.]gz",
  "(?:APKINDEX|[Pp]ackages)[.]adb",
  "summary",
  "(?:[^/]*[-_.])?(?i:MD5|SHA1|SHA224|SHA256|SHA384|SHA512|B2|BLAKE2)(?i:SUMS?)(?:[.]txt)?",
  "(?:[^/]*-)?(?i:CHECKSUMS?)(?:[.]txt)?",
];

/** Other ways to write the path of one file. They come first; what is the same file has the same home. */
export const SPELLING_RULES: readonly Rule[] = [
  { pattern: "//+", replacement: "/", isGlobal: true },
  { pattern: "(?:/repos/[^/]+/[^/]+/[^/]+/toplink)+/", replacement: "/" },
];

/**
 * All metadata of a repository becomes the path of one folder, so that one instance serves it: a client never gets the root of one instance's generation and
 * an index of another's. Any other path stays as it is.
 */
export const REPOSITORY_RULES: readonly Rule[] = [
  { pattern: "^/-/(?:metalink|mirrorlist)(/.*[^/])/*$", replacement: "\\1/repodata" },
  { pattern: "^(.*/repodata)/.*$", replacement: "\\1" },
  { pattern: "^(.*/dists/[^/]+)/.*$", replacement: "\\1" },
  { pattern: "^(.*)/by-hash/[^/]+/[^/]+$", replacement: "\\1" },
  { pattern: `^(.*)/(?:${METADATA_NAMES.join("|")})(?:${SIGNATURE})?$`, replacement: "\\1" },
];

/** What signs a package goes where the package goes: for paths that no rule above has changed. */
export const SIGNATURE_RULE: Rule = { pattern: `${SIGNATURE}$`, replacement: "" };
