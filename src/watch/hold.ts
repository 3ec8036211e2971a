/**
 * Why what an upstream shows is not published, or why the published generation is not known to be current. docs/generations.md has a row for each:
 * what it protects, when it gives way, and what ends it before that.
 *
 * - `needed`: a file that clients cannot do without cannot be had.
 * - `sync`: another file that belongs to the root cannot be fetched just now, or belongs to another version of it.
 * - `cached`: caches of other data centres may still have packages that the root replaces.
 * - `older`, `future`: the root is dated before the published one, or more than a day ahead.
 * - `malformed`: no client could read it, and could read the published one.
 * - `expired`: it is past its Valid-Until, and the published one is not.
 * - `unsigned`: a signature that clients verify is gone.
 * - `gone`: no upstream that could be asked has the root.
 * - `unreachable`: no upstream gave a usable answer.
 */
export type HoldKind = "needed" | "sync" | "cached" | "older" | "future" | "malformed" | "expired" | "unsigned" | "gone" | "unreachable";

/** A state of waiting. Times are milliseconds since the epoch. */
export interface Hold {
  readonly kind: HoldKind;
  /** Configured URL of the upstream that shows it; null: all of them do. */
  readonly upstream: string | null;
  /** A sentence for the log and the status page. */
  readonly reason: string;
  readonly since: number;
  /** When it gives way: to what the upstream has, or to what another upstream confirms. */
  readonly until: number;
}

/** A file that the published root names and that no upstream has as named: it is asked for again at each request of a client. */
export interface Hole {
  /** Decoded path below the mirror. */
  readonly path: string;
  /** A sentence for the log and the status page. */
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
}
