/** The digest that a file must have, known before it is fetched. */
export interface Expectation {
  readonly algorithm: "md5" | "sha1" | "sha256" | "sha384" | "sha512";
  /** Lower-case hex. */
  readonly digest: string;
  /** Bytes of the file, where the index states them. */
  readonly size?: number;
  /** Where the digest comes from: the file's own name (by-hash, hash-prefixed repodata) or a published index. */
  readonly source: "name" | "index";
}
