import type { DayCount } from "../watch/history.ts";

/** What the ledger keeps of an object that was stored. */
export interface StoredRecord {
  readonly key: string;
  readonly version: string;
  /** Bytes of the whole object. */
  readonly size: number;
  /** Length of its slices; null for an object in one piece. */
  readonly sliceBytes: number | null;
  /** Class of its path (docs/configuration.md). */
  readonly class: string;
  /** Milliseconds since the epoch. */
  readonly storedAt: number;
}

/** The uses of one object since the last batch. */
export interface UseRecord {
  readonly key: string;
  readonly uses: number;
  /** Bytes sent to clients. */
  readonly served: number;
  /** Milliseconds since the epoch. */
  readonly lastUsedAt: number;
}

/** An object was stored (`stored`), or its head was deleted (`gone`). */
export type News =
  | { readonly kind: "stored"; readonly key: string; readonly record: StoredRecord }
  | { readonly kind: "gone"; readonly key: string };

/** One isolate's report on the objects of one mirror. */
export interface Batch {
  /** In the order in which it happened. */
  readonly news: readonly News[];
  readonly uses: readonly UseRecord[];
  /** Counts of all mirrors since the last report, for the book. Only one batch of each report carries them. */
  readonly days?: readonly DayCount[];
}

/** Name of the ledger of content-addressed objects, which also keeps the book: the budget over all ledgers. */
export const BOOK_SHARD = "-";

/** Name of the ledger that has a key's row: the key's first part, which is the mirror's name. */
export function shardOf(key: string): string {
  const slash = key.indexOf("/");
  return slash <= 0 ? BOOK_SHARD : key.slice(0, slash);
}
