import { elapsedMs } from "../clock/elapsed.ts";
import type { ObjectStore } from "../store/object-store.ts";
import type { StoredObject } from "../store/stored-object.ts";
import { BOOK_SHARD, shardOf, type Batch, type News, type UseRecord } from "./batch.ts";
import { createBatchWait } from "./batch-wait.ts";
import type { BudgetView, Refusal, Reservation } from "./book.ts";
import { addDays, dayOf, emptyDay, type DayCount } from "../watch/history.ts";
import { inParallel } from "./evict.ts";
import { sumUses } from "./held-uses.ts";
import { isStorableSize } from "./policy.ts";
import { createUseSampler } from "./sample-uses.ts";

/** With uses of so many objects a batch is sent at once, where `flushUses` says no other number. */
const FLUSH_USES = 100;
/** With so many news they are sent at once: what is admitted meanwhile goes over all that are not reported. */
const FLUSH_NEWS = 100;
/** A batch that could not be delivered is kept for the next try, unless more entries than this have come since: then its counts are lost. */
const MAX_ENTRIES = 10_000;
/** Below this share of the budget a fill is admitted without a call of the ledger … */
const ASK_SHARE = 0.8;
/** … if the ledger's last answer is at most this old. */
const KNOWN_MS = 60_000;
/** After so long a fill that was admitted here and whose object was never reported must have failed. */
const PENDING_MS = 15 * 60_000;

/** One ledger's Durable Object, as an isolate calls it. Both methods reject if it cannot be reached or fails. */
export interface LedgerPort {
  /** Reports a batch of this ledger's objects (`shardOf`). Returns the budget as it is then. */
  record(batch: Batch): Promise<BudgetView>;
  /**
   * Asks for room for `size` bytes under `key`; it may evict. Call it on the book's object. `unreported`: bytes of other fills that this isolate admitted by
   * itself and has not reported yet. An admitted reservation ends when the object is reported, or after 15 minutes. `aheadFor`: as in `admit`.
   */
  reserve(key: string, size: number, unreported: number, aheadFor?: string): Promise<Reservation>;
}

/** What an isolate's retention works with. Times are milliseconds. */
export interface RetentionDependencies {
  /** By name (`shardOf`). */
  readonly ledger: (name: string) => LedgerPort;
  /** Bytes. */
  readonly budget: number;
  /** Bytes that a mirror's own files may take, by the mirror's name (`shardOf`). */
  readonly quotas?: ReadonlyMap<string, number>;
  /** The class of a stored key. */
  readonly classOf: (key: string) => string;
  readonly now: () => number;
  /** From 0 up to, but not including, 1; absent: Math.random. */
  readonly random?: () => number;
  /** How long uses and counts wait for company while requests come; absent, or 0: until the first look. */
  readonly maxWaitMs?: number;
  /** With uses of so many objects a batch is sent at once; absent: 100. An isolate that ends loses what it has not sent. */
  readonly flushUses?: number;
  readonly sleep: (ms: number) => Promise<void>;
  /** Keeps the isolate alive until `work` has settled, also after the current request has ended. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  readonly log: (message: string) => void;
  /** A file that a client asked for is passed on without being stored. Default: nothing happens. `limit`: the budget or quota in bytes that counts for it. */
  readonly onPassed?: (key: string, size: number, why: Refusal | "no-ledger", limit: number) => void;
}

/** An isolate's side of the retention. It collects uses and news, and calls the ledger as rarely as it can. */
export function createRetention(deps: RetentionDependencies) {
  const {
    ledger,
    budget,
    quotas,
    classOf,
    now,
    random = Math.random,
    maxWaitMs = 0,
    flushUses = FLUSH_USES,
    sleep,
    waitUntil,
    log,
    onPassed,
  } = deps;
  const sampler = createUseSampler({ random, now });
  /** Oldest first; of each version only the latest. */
  let news = new Map<string, News>();
  let uses = new Map<string, UseRecord>();
  let days = new Map<string, DayCount>();
  /** Of these, what could not be delivered: it waits for more, or for the next look, and is not sent again for each use. */
  let kept = { news: 0, uses: 0 };
  let known: { readonly used: number; readonly at: number } | null = null;
  /** Fills that were admitted here and that the ledger does not count yet. Each version of a key takes its own room. */
  const pending = new Set<{ readonly key: string; readonly size: number; readonly at: number }>();
  // The first batch goes early: until the ledger has answered, the isolate reports every use.
  const wait = createBatchWait({ now, sleep, waitUntil, maxWaitMs: () => (sampler.isInformed() ? maxWaitMs : 0), flush, flushNews });

  function collect(): void {
    if (uses.size - kept.uses >= flushUses) return waitUntil(flush());
    if (news.size - kept.news >= FLUSH_NEWS) return waitUntil(flushNews());
    wait.arm();
  }

  /** Reports what has been collected. Never rejects: what could not be delivered waits for the next report. */
  async function flush(): Promise<void> {
    const all = { news: [...news.values()], uses: [...uses.values()], days: [...days.values()] };
    news = new Map();
    uses = new Map();
    days = new Map();
    kept = { news: 0, uses: 0 };
    wait.sent();
    await deliverAll(all);
  }

  /** Reports what was stored or deleted, which cannot wait for as long as uses. Never rejects. */
  async function flushNews(): Promise<void> {
    const all = { news: [...news.values()], uses: [], days: [] };
    news = new Map();
    kept = { ...kept, news: 0 };
    await deliverAll(all);
  }

  async function deliverAll(all: Required<Batch>): Promise<void> {
    const shards = new Set([...all.news, ...all.uses].map(({ key }) => shardOf(key)));
    if (shards.size === 0 && all.days.length > 0) shards.add(BOOK_SHARD);
    // A batch for each ledger, once through: to look for the entries of each among all would take as many looks as there are of both.
    const batches = new Map(
      [...shards].map((shard) => [shard, { news: [] as News[], uses: [] as UseRecord[], days: [] as readonly DayCount[] }]),
    );
    for (const one of all.news) batches.get(shardOf(one.key))?.news.push(one);
    for (const use of all.uses) batches.get(shardOf(use.key))?.uses.push(use);
    // The days travel with the first batch, so that they cost no extra call.
    const [first] = batches.values();
    if (first !== undefined) first.days = all.days;
    // Some at a time: two hundred mirrors' ledgers at once would keep clients waiting.
    await inParallel([...batches], async ([shard, batch]) => deliver(shard, batch));
  }

  async function deliver(shard: string, batch: Required<Batch>): Promise<void> {
    try {
      const view = await ledger(shard).record(batch);
      for (const one of batch.news) if (one.kind === "stored") settle(one.record);
      known = { used: view.used, at: now() };
      sampler.follow(view.oneIn ?? 1);
    } catch (error) {
      log(`Cannot report to the ledger of ${shard}; will try again: ${String(error)}`);
      keep(batch);
    }
  }

  /** Puts a batch that could not be delivered back, before what has happened since. */
  function keep(batch: Required<Batch>): void {
    for (const day of batch.days) addDay(day);
    if (news.size + uses.size > MAX_ENTRIES) return;
    const since = news;
    news = new Map();
    for (const one of [...batch.news, ...since.values()]) addNews(one);
    for (const record of batch.uses) addUse(record);
    kept = { news: news.size, uses: uses.size };
  }

  function addDay(one: DayCount): void {
    const name = `${one.day} ${one.mirror}`;
    days.set(name, addDays(days.get(name), one));
  }

  function addNews(one: News): void {
    const name = one.kind === "stored" ? `${one.record.version} ${one.key}` : `gone ${one.key}`;
    news.delete(name);
    news.set(name, one);
  }

  function addUse(use: UseRecord): void {
    uses.set(use.key, sumUses(uses.get(use.key), use));
  }

  function noteStored(key: string, { version, size, sliceBytes, storedAt }: StoredObject): void {
    addNews({ kind: "stored", key, record: { key, version, size, sliceBytes: sliceBytes ?? null, class: classOf(key), storedAt } });
    collect();
  }

  /** The ledger has a row of this object now, and counts its bytes itself. */
  function settle({ key, size }: { readonly key: string; readonly size: number }): void {
    const own = [...pending].find((one) => one.key === key && one.size === size);
    if (own !== undefined) pending.delete(own);
  }

  /** Bytes of fills that the ledger does not count yet, without those of `except`. */
  function unreported(except?: object): number {
    for (const one of pending) if (elapsedMs(one.at, now()) >= PENDING_MS) pending.delete(one);
    return [...pending].reduce((bytes, one) => (one === except ? bytes : bytes + one.size), 0);
  }

  return {
    /** Notes that a stored object is used: `bytes` of its body go to a client. Returns at once. */
    use(key: string, bytes: number): void {
      const weight = sampler.weigh(key);
      if (weight === 0) return;
      addUse({ key, uses: weight, served: bytes * weight, lastUsedAt: now() });
      collect();
    },
    /** Adds to the mirror's counts of today. Returns at once. */
    count(mirror: string, what: Partial<Omit<DayCount, "mirror" | "day">>): void {
      addDay({ ...emptyDay(mirror, dayOf(now())), ...what });
      wait.arm();
    },
    /**
     * Whether a fill of `size` bytes may be stored under `key`. Calls the ledger only near the budget, if its last answer is older than a minute, or where
     * another limit than the budget counts. `aheadFor`: the mirror for which the file is fetched before a client asks for it: then only files of that mirror
     * are evicted for it. Never rejects: false if the ledger fails.
     */
    async admit(key: string, size: number, aheadFor?: string): Promise<boolean> {
      const quota = quotas?.get(shardOf(key));
      const limit = Math.min(budget, quota ?? budget);
      const pass = (why: Refusal | "no-ledger"): false => {
        if (aheadFor === undefined) onPassed?.(key, size, why, limit);
        return false;
      };
      if (!isStorableSize(size, limit)) return pass("too-large");
      const isOnlyBudget = quota === undefined && aheadFor === undefined;
      const isFar =
        isOnlyBudget && known !== null && elapsedMs(known.at, now()) < KNOWN_MS && known.used + unreported() + size <= budget * ASK_SHARE;
      const own = { key, size, at: now() };
      // Before the first await, so that other fills count it from now on.
      pending.add(own);
      if (isFar) return true;
      // First report what was stored: the ledger evicts only objects that it knows. Where uses are many, it chooses well without the last ones.
      await (sampler.isSampling() || uses.size > FLUSH_USES ? flushNews() : flush());
      try {
        const { admitted, refusal = "no-room", used } = await ledger(BOOK_SHARD).reserve(key, size, unreported(own), aheadFor);
        known = { used, at: now() };
        // If admitted, the ledger counts it from now on.
        pending.delete(own);
        return admitted || pass(refusal);
      } catch (error) {
        log(`Cannot reserve ${size} bytes for ${key}: ${String(error)}`);
        pending.delete(own);
        return pass("no-ledger");
      }
    },
    /** The same store, but everything that is stored in it or deleted from it is reported to the ledger. */
    watch: (store: ObjectStore): ObjectStore => ({
      ...store,
      async put(key, object, bytes, options) {
        const put = await store.put(key, object, bytes, options);
        if (put === "stored") noteStored(key, object);
        return put;
      },
      async delete(keys) {
        await store.delete(keys);
        for (const key of keys) addNews({ kind: "gone", key });
        if (keys.length > 0) collect();
      },
    }),
    /** Reports an object that was not stored through `watch`. */
    noteStored,
    flush,
  };
}
