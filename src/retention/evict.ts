import type { ObjectStore } from "../store/object-store.ts";
import { sliceKey } from "../store/keys.ts";
import type { Ledger, LedgerRow } from "./ledger.ts";

/** Store calls of one eviction at a time: a Worker may wait for six answers at once. */
const PARALLEL = 6;
/** Slices that one run deletes at most; what is left of a version goes with the next. */
const MAX_SLICES_PER_CALL = 1_000;

export interface Evicted {
  readonly objects: number;
  readonly bytes: number;
}

/**
 * Deletes the heads of `rows`, then forgets them. A kill in between leaves a row without an object: it comes first again in the next run.
 * Never the other way round: an object that no row knows would be outside the budget.
 *
 * A row whose key holds another version by now is corrected and stays.
 */
export async function evict(ledger: Ledger, store: ObjectStore, rows: readonly LedgerRow[], now: number): Promise<Evicted> {
  const checked = await inParallel(rows, async (row) => ({ row, head: await store.head(row.key) }));
  const going = checked.filter(({ row, head }) => head === null || head.version === row.version);
  await store.delete(going.flatMap(({ row, head }) => (head === null ? [] : [row.key])));
  for (const { row, head } of checked) {
    // It may have been replaced, or removed, while the store was deleting: then the row is another one's.
    if (ledger.get(row.key)?.version !== row.version) continue;
    if (head === null || head.version === row.version) ledger.remove(row.key, now);
    else ledger.put({ ...row, ...head, sliceBytes: head.sliceBytes ?? null }, 0, now);
  }
  return { objects: going.length, bytes: going.reduce((sum, { row }) => sum + row.size, 0) };
}

/** Deletes slices of versions that died at or before `before`, at most `limit` versions. Bytes given back. */
export async function reap(ledger: Ledger, store: ObjectStore, before: number, limit: number): Promise<number> {
  let bytes = 0;
  for (const dead of ledger.dead(before, limit)) {
    const left = Math.max(0, dead.slices - MAX_SLICES_PER_CALL);
    const keys = Array.from({ length: dead.slices - left }, (_, index) => sliceKey(dead.version, left + index));
    // oxlint-disable-next-line no-await-in-loop -- one after the other: a kill leaves one version half reaped, and its row
    await store.delete(keys);
    ledger.shrinkDead(dead.version, left);
    if (left === 0) bytes += dead.bytes;
    else break;
  }
  return bytes;
}

export async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  for (let from = 0; from < items.length; from += PARALLEL) {
    // oxlint-disable-next-line no-await-in-loop
    results.push(...(await Promise.all(items.slice(from, from + PARALLEL).map(work))));
  }
  return results;
}
