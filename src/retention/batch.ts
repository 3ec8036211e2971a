import type { DayCount } from "../watch/history.ts";

/** What the ledger is told of one object that was stored. */
export interface StoredRecord {
  readonly key: string;
  readonly version: string;
  readonly size: number;
  readonly sliceBytes: number | null;
  readonly class: string;
  readonly storedAt: number;
}

/** Uses of one object since the last batch. */
export interface UseRecord {
  readonly key: string;
  readonly uses: number;
  /** Bytes that went out. */
  readonly served: number;
  readonly lastUsedAt: number;
}

/** An object was stored, or its head deleted. */
export type News =
  | { readonly kind: "stored"; readonly key: string; readonly record: StoredRecord }
  | { readonly kind: "gone"; readonly key: string };

/** What one isolate has to tell of one mirror's objects; the news in the order in which they happened. */
export interface Batch {
  readonly news: readonly News[];
  readonly uses: readonly UseRecord[];
  /** What happened since the last batch, in one of a delivery's batches: for the book. Absent: nothing. */
  readonly days?: readonly DayCount[];
}

/** The shard of content-addressed objects, which also keeps the books of the whole budget. */
export const BOOK_SHARD = "-";

/** The ledger that knows of a key: its mirror's, by the key's first part. */
export function shardOf(key: string): string {
  const slash = key.indexOf("/");
  return slash <= 0 ? BOOK_SHARD : key.slice(0, slash);
}
