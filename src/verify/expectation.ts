/** What is known of a file before it is fetched, from an index or from its own name. */
export interface Expectation {
  readonly algorithm: "md5" | "sha1" | "sha256" | "sha384" | "sha512";
  /** Lower-case hex. */
  readonly digest: string;
  readonly size?: number;
  /** Where the digest comes from: the file's own name (by-hash, hash-prefixed repodata) or a published index. */
  readonly source: "name" | "index";
}
