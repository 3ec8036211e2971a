/** One line of the request log. */
export interface RequestRecord {
  readonly method: string;
  /** Null for a refused request that names no mirror. */
  readonly mirror: string | null;
  /** Below the mirror; without a mirror the request target. */
  readonly path: string;
  readonly status: number;
  /** Bytes of the body that were sent to the client, or handed to the runtime as one body. */
  readonly bytes: number;
  /** The value of Cache-Status without our own name. */
  readonly cache: string | null;
  /** Milliseconds until the answer had ended. */
  readonly ms: number;
  /** Why the body ended early; absent if it did not. */
  readonly cut?: string;
  /** Refused before anything was looked up: by the mirror's `access`, a rate limit, a bad path, or a loop of mirrors. */
  readonly turnedAway?: true;
}
