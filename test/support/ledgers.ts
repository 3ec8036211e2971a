import { DatabaseSync } from "node:sqlite";
import { BOOK_SHARD } from "../../src/retention/batch.ts";
import { createBook, type Book } from "../../src/retention/book.ts";
import { type Leftovers, NO_START } from "../../src/retention/catch-up.ts";
import { createLedger, type Ledger } from "../../src/retention/ledger.ts";
import type { LedgerPort } from "../../src/retention/retention.ts";
import { createShard, type Shard } from "../../src/retention/shard.ts";
import type { ObjectStore } from "../../src/store/object-store.ts";
import { createMemorySql } from "./memory-sql.ts";

export const DAY_MS = 86_400_000;

export interface LedgersOptions {
  readonly store: ObjectStore;
  readonly now: () => number;
  readonly budget: number;
  readonly mirrors?: readonly string[];
  readonly quotas?: ReadonlyMap<string, number>;
  /** Whether few rows are to be written. */
  readonly isSparing?: () => boolean;
  readonly usesADay?: number;
}

/** All the ledgers of one mirror machine, as their Durable Objects would run them. `restart` is what a kill leaves: storage, no memory. */
export interface Ledgers {
  /** As an isolate calls the ledger of that name. */
  port(name: string): LedgerPort;
  readonly book: Book;
  shard(name: string): Shard;
  ledger(name: string): Ledger;
  restart(leftovers?: Leftovers): void;
}

export function createLedgers({ store, now, budget, mirrors = ["fedora"], quotas = new Map(), ...edge }: LedgersOptions): Ledgers {
  const { isSparing = () => false, usesADay = Infinity } = edge;
  const names = [BOOK_SHARD, ...mirrors];
  const databases = new Map(names.map((name) => [name, new DatabaseSync(":memory:")]));
  let running = start(NO_START);

  function start(leftovers: Leftovers) {
    const sqls = new Map([...databases].map(([name, database]) => [name, createMemorySql(database)]));
    const ledgers = new Map([...sqls].map(([name, sql]) => [name, createLedger(sql, isSparing)]));
    const shards = new Map(
      [...ledgers].map(([name, ledger]) => [
        name,
        createShard({
          ledger,
          store,
          now,
          retentionMs: 90 * DAY_MS,
          startedAt: leftovers.startedAt,
          prefix: `${name}/`,
          classOf: () => "package",
        }),
      ]),
    );
    const book = createBook({
      sql: need(sqls, BOOK_SHARD),
      ledger: need(ledgers, BOOK_SHARD),
      store,
      now,
      budget,
      quotas,
      leftovers,
      isSparing,
      usesADay,
      shardNames: names,
      log: () => {},
      shard: (name) => need(shards, name),
    });
    return { ledgers, shards, book };
  }

  return {
    get book() {
      return running.book;
    },
    shard: (name) => need(running.shards, name),
    ledger: (name) => need(running.ledgers, name),
    restart: (leftovers = NO_START) => void (running = start(leftovers)),
    port: (name) => ({
      async record(batch) {
        const totals = need(running.shards, name).record(batch, running.book.view().ageFactor);
        const arrived = batch.news.flatMap(({ kind, key }) => (kind === "stored" ? [key] : []));
        return running.book.report(name, totals, arrived, batch.days);
      },
      reserve: (key, size, unreported, aheadFor) => running.book.reserve(key, size, unreported, aheadFor),
    }),
  };
}

function need<T>(map: ReadonlyMap<string, T>, name: string): T {
  const value = map.get(name);
  if (value === undefined) throw new Error(`There is no ledger "${name}"`);
  return value;
}
