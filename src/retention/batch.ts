import type { Config } from "../config/config.ts";
import { placeOf } from "../route/place.ts";
import type { DayCount } from "../watch/history.ts";

/** What the ledger keeps of an object that was stored. Times here are milliseconds since the epoch. */
export interface StoredRecord {
  readonly key: string;
  readonly version: string;
  /** Bytes of the whole object. */
  readonly size: number;
  /** Length of its slices; null for an object in one piece. */
  readonly sliceBytes: number | null;
  /** Class of its path (docs/configuration.md). */
  readonly class: string;
  readonly storedAt: number;
}

/** The uses of one object since the last batch. */
export interface UseRecord {
  readonly key: string;
  readonly uses: number;
  /** Bytes sent to clients. */
  readonly served: number;
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

/** The class of a stored key by its mirror's patterns; content-addressed keys are `member`. */
export function classifyKeys({ mirrors }: Config): (key: string) => string {
  return (key) => {
    const mirror = mirrors.get(shardOf(key));
    if (mirror === undefined) return "member";
    const [path = ""] = key.slice(mirror.name.length + 1).split("?", 1);
    return placeOf(mirror, path).class;
  };
}

/** The quotas of the mirrors that have one, in bytes, by name (`shardOf`). */
export function quotasOf({ mirrors }: Pick<Config, "mirrors">): ReadonlyMap<string, number> {
  return new Map([...mirrors.values()].flatMap(({ name, budgetBytes }) => (budgetBytes === undefined ? [] : [[name, budgetBytes]])));
}
