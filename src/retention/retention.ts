import type { ObjectStore } from "../store/object-store.ts";
import type { StoredObject } from "../store/stored-object.ts";
import { BOOK_SHARD, shardOf, type Batch, type News, type UseRecord } from "./batch.ts";
import type { BudgetView, Reservation } from "./book.ts";
import { addDays, dayOf, emptyDay, type DayCount } from "../watch/history.ts";
import { isStorableSize } from "./policy.ts";

/** The first use of a batch waits this long for company … */
const FLUSH_MS = 10_000;
/** … unless so many come before. */
const FLUSH_USES = 100;
/** A batch that cannot be delivered is kept up to this many entries; beyond it, uses are lost. */
const MAX_ENTRIES = 10_000;
/** Below this share of the budget a fill is admitted without asking … */
const ASK_SHARE = 0.8;
/** … on the ledger's word of at most this long ago. */
const KNOWN_MS = 60_000;
/** A fill that was admitted here and never told of: it failed. */
const PENDING_MS = 15 * 60_000;

/** The ledger as an isolate sees it. Calls may fail. */
export interface LedgerPort {
  record(shard: string, batch: Batch): Promise<BudgetView>;
  /** `untold`: bytes of other fills that this isolate has admitted by itself. */
  reserve(key: string, size: number, untold: number): Promise<Reservation>;
}

export interface RetentionDependencies {
  readonly ledger: LedgerPort;
  readonly budget: number;
  readonly classOf: (key: string) => string;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** Keeps work alive after the request at hand. */
  readonly waitUntil: (work: Promise<unknown>) => void;
  readonly log: (message: string) => void;
}

/** An isolate's side of the retention: it collects, and asks as little as it can. */
export interface Retention {
  /** A body (or a part of one) of a stored object goes out. Never waits. */
  use(key: string, bytes: number): void;
  /** Whether a fill of this size may be stored. Asks the ledger only near the limit, or when it has not heard from it for a minute. */
  admit(key: string, size: number): Promise<boolean>;
  /** Something happened at a mirror, for the history of its days. Never waits. */
  count(mirror: string, what: Partial<Omit<DayCount, "mirror" | "day">>): void;
  /** The store, with everything stored and deleted told to the ledger. */
  watch(store: ObjectStore): ObjectStore;
  /** Delivers what has been collected. Never throws. */
  flush(): Promise<void>;
}

export function createRetention(deps: RetentionDependencies): Retention {
  const { ledger, budget, classOf, now, sleep, waitUntil, log } = deps;
  /** By what they tell, oldest first: of each version the latest. */
  let news = new Map<string, News>();
  let uses = new Map<string, UseRecord>();
  let days = new Map<string, DayCount>();
  let collected = 0;
  /** When the wait of this batch began; 0: not yet. */
  let armedAt = 0;
  let known: { readonly used: number; readonly at: number } | null = null;
  /** Admitted here, and not yet in what the ledger told; each version of a key takes room of its own. */
  const pending = new Set<{ readonly key: string; readonly size: number; readonly at: number }>();

  function collect(): void {
    if (++collected >= FLUSH_USES) return waitUntil(flush());
    arm();
  }

  function arm(): void {
    // The request that armed the wait may have died with it.
    if (now() - armedAt < 2 * FLUSH_MS) return;
    armedAt = now();
    waitUntil(sleep(FLUSH_MS).then(flush));
  }

  async function flush(): Promise<void> {
    const all = { news: [...news.values()], uses: [...uses.values()], days: [...days.values()] };
    news = new Map();
    uses = new Map();
    days = new Map();
    collected = 0;
    armedAt = 0;
    const shards = new Set([...all.news, ...all.uses].map(({ key }) => shardOf(key)));
    if (shards.size === 0 && all.days.length > 0) shards.add(BOOK_SHARD);
    // The days go along with the first: they cost no call of their own.
    await Promise.all([...shards].map((shard, at) => deliver(shard, at === 0 ? all : { ...all, days: [] })));
  }

  async function deliver(shard: string, all: Required<Batch>): Promise<void> {
    const isOurs = ({ key }: { readonly key: string }) => shardOf(key) === shard;
    const batch = { news: all.news.filter(isOurs), uses: all.uses.filter(isOurs), days: all.days };
    try {
      const view = await ledger.record(shard, batch);
      for (const one of batch.news) if (one.kind === "stored") settle(one.record);
      known = { used: view.used, at: now() };
    } catch (error) {
      log(`Cannot tell the ledger of ${shard}: ${String(error)}`);
      keep(batch);
    }
  }

  /** What could not be delivered waits for the next batch, before what has happened since. */
  function keep(batch: Required<Batch>): void {
    for (const day of batch.days) addDay(day);
    if (news.size + uses.size > MAX_ENTRIES) return;
    const since = news;
    news = new Map();
    for (const one of [...batch.news, ...since.values()]) addNews(one);
    for (const record of batch.uses) addUse(record);
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

  function addUse({ key, uses: count, served, lastUsedAt }: UseRecord): void {
    const before = uses.get(key);
    uses.set(key, {
      key,
      uses: (before?.uses ?? 0) + count,
      served: (before?.served ?? 0) + served,
      lastUsedAt: Math.max(before?.lastUsedAt ?? 0, lastUsedAt),
    });
  }

  function noteStored(key: string, { version, size, sliceBytes, storedAt }: StoredObject): void {
    addNews({ kind: "stored", key, record: { key, version, size, sliceBytes: sliceBytes ?? null, class: classOf(key), storedAt } });
    collect();
  }

  /** The ledger knows of an object now: what was admitted for it counts there. */
  function settle({ key, size }: { readonly key: string; readonly size: number }): void {
    const own = [...pending].find((one) => one.key === key && one.size === size);
    if (own !== undefined) pending.delete(own);
  }

  /** What the ledger has not been told of, but for one. */
  function untold(except?: object): number {
    for (const one of pending) if (now() - one.at >= PENDING_MS) pending.delete(one);
    return [...pending].reduce((bytes, one) => (one === except ? bytes : bytes + one.size), 0);
  }

  return {
    use(key, bytes) {
      addUse({ key, uses: 1, served: bytes, lastUsedAt: now() });
      collect();
    },
    count(mirror, what) {
      addDay({ ...emptyDay(mirror, dayOf(now())), ...what });
      arm();
    },
    async admit(key, size) {
      if (!isStorableSize(size, budget)) return false;
      const isFar = known !== null && now() - known.at < KNOWN_MS && known.used + untold() + size <= budget * ASK_SHARE;
      const own = { key, size, at: now() };
      // From here on others are to count it.
      pending.add(own);
      if (isFar) return true;
      // The ledger cannot weigh what it has not been told of.
      await flush();
      try {
        const { admitted, used } = await ledger.reserve(key, size, untold(own));
        known = { used, at: now() };
        // Told, it counts there; refused, nowhere.
        pending.delete(own);
        return admitted;
      } catch (error) {
        log(`Cannot reserve ${size} bytes for ${key}: ${String(error)}`);
        pending.delete(own);
        return false;
      }
    },
    watch: (store) => ({
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
    flush,
  };
}
