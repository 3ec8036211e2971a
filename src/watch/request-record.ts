/** One line of the request log. */
export interface RequestRecord {
  readonly method: string;
  readonly mirror: string | null;
  readonly path: string;
  readonly status: number;
  /** Body bytes that went out (or were handed to the runtime whole). */
  readonly bytes: number;
  /** The whole Cache-Status value, without our own name. */
  readonly cache: string | null;
  readonly ms: number;
  /** Why the body ended before its end. */
  readonly cut?: string;
  /** Kept out before anything was looked up: by a mirror's access, a limit, a path that is none, a loop. */
  readonly turnedAway?: true;
}
