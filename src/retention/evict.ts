import { breathe } from "../clock/timer.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { sliceKey } from "../store/keys.ts";
import type { Ledger, LedgerRow } from "./ledger.ts";

/** How many store calls run at a time: Cloudflare lets a request wait for six answers at once. */
const PARALLEL = 6;
/** How many of them run in one turn: a disk answers at once, so that a long run would leave the event loop no time for requests. */
const PER_TURN = 4 * PARALLEL;
/** How many slices one call deletes at most; the next run deletes the rest of that version. */
const MAX_SLICES_PER_CALL = 1_000;

/**
 * Deletes the heads of `rows` from the store, then the rows. A kill in between leaves a row without an object, which the next run takes first. In the
 * other order a kill would leave an object without a row, which no longer counts against the budget.
 *
 * If a key has another version by now, its row is corrected and stays. Returns how many objects are gone. Rejects if the store fails.
 */
export async function evict(ledger: Ledger, store: ObjectStore, rows: readonly LedgerRow[], now: number): Promise<number> {
  const checked = await inParallel(rows, async (row) => ({ row, head: await store.head(row.key) }));
  const going = checked.filter(({ row, head }) => head === null || head.version === row.version);
  await store.delete(going.flatMap(({ row, head }) => (head === null ? [] : [row.key])));
  for (const { row, head } of checked) {
    // A fill may have stored a new version while the store was deleting: then the row describes that one.
    if (ledger.get(row.key)?.version !== row.version) continue;
    if (head === null || head.version === row.version) ledger.remove(row.key, now);
    else ledger.put({ ...row, ...head, sliceBytes: head.sliceBytes ?? null }, 0, now);
  }
  return going.length;
}

/**
 * Deletes the slices of versions that were evicted or replaced at or before `before`, the oldest first: at most so many `versions`, and no more once `bytes`
 * are freed. Returns the bytes of those done. Rejects if the store fails.
 */
export async function reap(
  ledger: Ledger,
  store: ObjectStore,
  before: number,
  limits: { readonly versions: number; readonly bytes?: number },
): Promise<number> {
  let bytes = 0;
  for (const dead of ledger.dead(before, limits.versions)) {
    if (bytes >= (limits.bytes ?? Infinity)) break;
    const left = Math.max(0, dead.slices - MAX_SLICES_PER_CALL);
    const keys = Array.from({ length: dead.slices - left }, (_, index) => sliceKey(dead.version, left + index));
    // One after the other, so that a kill leaves at most one version half deleted, with its row.
    await store.delete(keys);
    ledger.shrinkDead(dead.version, left);
    if (left === 0) bytes += dead.bytes;
    else break;
  }
  return bytes;
}

/** Runs `work` on all items, some at a time. Results are in the order of the items; rejects with the first failure. */
export async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  for (let from = 0; from < items.length; from += PARALLEL) {
    if (from > 0 && from % PER_TURN === 0) await breathe();
    results.push(...(await Promise.all(items.slice(from, from + PARALLEL).map(work))));
  }
  return results;
}
