import { env, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { createBook } from "../../src/retention/book.ts";
import { createLedger, type Ledger } from "../../src/retention/ledger.ts";
import { createShard } from "../../src/retention/shard.ts";
import { newVersion } from "../../src/store/keys.ts";
import { createR2Store } from "../../src/store/r2-store.ts";
import { countRows } from "../../src/store/row-count.ts";
import { emptyDay } from "../../src/watch/history.ts";
import type { LedgerObject } from "../../src/worker.ts";
import { createMeteredWorker } from "../support/metered-worker.ts";

const { LEDGER, BUCKET } = env as unknown as { readonly LEDGER: DurableObjectNamespace<LedgerObject>; readonly BUCKET: R2Bucket };

const NOON = Date.UTC(2026, 10, 27, 12);
const DAY_MS = 86_400_000;
const SIZE = 3_000_000;

/** A ledger with its book in the SQLite of a real Durable Object, which counts rows as Cloudflare bills them. */
interface Counted {
  readonly ledger: Ledger;
  readonly book: ReturnType<typeof createBook>;
  readonly clock: { now: number };
  /** What a restart of the Durable Object does. */
  readonly start: () => void;
  /** Rows that `run` writes. */
  rows(run: () => Promise<void> | void): Promise<number>;
}

let objects = 0;

/** `freeRows`: so many rows are written freely. */
async function inLedger(freeRows: number, test: (counted: Counted) => Promise<void>): Promise<void> {
  await runInDurableObject(LEDGER.get(LEDGER.idFromName(`rows-${objects++}`)), async (_object, { storage }) => {
    const clock = { now: NOON };
    const now = (): number => clock.now;
    // Of the class's own tables nothing is used.
    for (const table of ["objects", "dead", "pins", "named", "totals", "notes"]) storage.sql.exec(`DROP TABLE IF EXISTS ${table}`);
    const counted = countRows(storage.sql, now);
    const isSparing = (): boolean => counted.today() >= freeRows;
    const store = createR2Store(BUCKET);
    const ledger = createLedger(counted.sql, isSparing);
    const limits = { now, retentionMs: 90 * DAY_MS, startedAt: 0, prefix: "-/", classOf: () => "member" };
    const shard = createShard({ ledger, store, ...limits });
    const openBook = () =>
      createBook({
        sql: counted.sql,
        ledger,
        store,
        now,
        budget: 1e9,
        quotas: new Map(),
        leftovers: { startedAt: 0, bytes: 0 },
        isSparing,
        shardNames: ["-"],
        shard: () => shard,
        log: () => {},
      });
    const book = openBook();
    await test({
      ledger,
      book,
      clock,
      start() {
        createLedger(counted.sql, isSparing);
        openBook();
      },
      async rows(run) {
        const before = counted.today();
        await run();
        return counted.today() - before;
      },
    });
  });
}

const keyOf = (at: number): string => `-/sha256/${String(at).padStart(64, "0")}`;

const recordOf = (at: number) => ({ key: keyOf(at), version: newVersion(), size: SIZE, sliceBytes: null, class: "member" });

/** What an isolate's batch does to the ledger and the book. */
function record({ ledger, book, clock }: Counted, batch: { readonly stored?: number; readonly uses?: readonly number[] }): void {
  const key = keyOf(batch.stored ?? 0);
  const object = { ...recordOf(batch.stored ?? 0), storedAt: clock.now };
  const news = batch.stored === undefined ? [] : [{ kind: "stored" as const, key, record: object }];
  const uses = (batch.uses ?? []).map((at) => ({ key: keyOf(at), uses: 1, served: SIZE, lastUsedAt: clock.now }));
  ledger.apply({ news, uses }, 0, clock.now);
  const days = [{ ...emptyDay("fedora", new Date(clock.now).toISOString().slice(0, 10)), requests: uses.length }];
  book.report(
    "-",
    ledger.totals(),
    news.map(() => key),
    days,
  );
}

/** The rows of 1 use, of 100 uses of one object, and of 100 uses of 100 objects, a minute apart, on the day after they were stored. */
async function rowsOfUses(freeRows: number): Promise<Record<string, number>> {
  const rows: Record<string, number> = {};
  await inLedger(freeRows, async (counted) => {
    for (let at = 0; at < 103; at++) record(counted, { stored: at });
    counted.clock.now += DAY_MS;
    if (freeRows < 10_000) await counted.rows(() => record(counted, { uses: [102] }));
    const minuteLater = (...uses: readonly number[]): void => {
      counted.clock.now += 60_000;
      record(counted, { uses });
    };
    rows["one use"] = await counted.rows(() => minuteLater(0));
    rows["100 uses of one object"] = await counted.rows(() => {
      for (let use = 0; use < 100; use++) minuteLater(1);
    });
    rows["100 uses of 100 objects"] = await counted.rows(() => {
      for (let use = 0; use < 100; use++) minuteLater(use + 2);
    });
  });
  return rows;
}

describe("rows that uses write", () => {
  it("are two an object and one for the day's count of each batch, while they are free", async () => {
    expect(await rowsOfUses(10_000)).toEqual({ "one use": 3, "100 uses of one object": 300, "100 uses of 100 objects": 300 });
  });

  it("are two a day for each object, and one a minute for the day's counts, once rows are spared", async () => {
    expect(await rowsOfUses(1)).toEqual({ "one use": 3, "100 uses of one object": 102, "100 uses of 100 objects": 300 });
  });
});

/** The rows of a fill, with the room that it reserved, and of the eviction of its object. */
async function rowsOfFill(freeRows: number): Promise<{ stored: number; evicted: number }> {
  const rows = { stored: 0, evicted: 0 };
  await inLedger(freeRows, async (counted) => {
    const { ledger, book, clock } = counted;
    const fill = async (at: number): Promise<void> => {
      await book.reserve(keyOf(at), SIZE, 0);
      ledger.apply(
        { news: [{ kind: "stored", key: keyOf(at), record: { ...recordOf(at), storedAt: clock.now } }], uses: [] },
        0,
        clock.now,
      );
      book.report("-", ledger.totals(), [keyOf(at)]);
    };
    // The first of a minute writes what is written once a minute.
    await fill(500);
    rows.stored = await counted.rows(() => fill(501));
    rows.evicted = await counted.rows(() => ledger.remove(keyOf(501), clock.now));
  });
  return rows;
}

describe("rows that an object writes", () => {
  it("are seven when it is stored and two when it goes, while they are free, and four in all once they are saved", async () => {
    expect(await rowsOfFill(10_000)).toEqual({ stored: 7, evicted: 2 });
    expect(await rowsOfFill(1)).toEqual({ stored: 3, evicted: 1 });
  });

  it("are none for a pass over the store that finds all as it is", async () => {
    await inLedger(1, async (counted) => {
      for (let at = 0; at < 20; at++) {
        const object = { version: newVersion(), size: 3, contentType: "x", upstream: "u", storedAt: NOON, verified: "none" } as const;
        await createR2Store(BUCKET).put(keyOf(at), object, new Uint8Array(3));
        counted.ledger.put({ key: keyOf(at), ...object, sliceBytes: null, class: "member" }, 0, NOON);
      }
      counted.clock.now += DAY_MS;
      // Notes of where the run stopped, and totals.
      expect(await counted.rows(async () => void (await counted.book.sweep()))).toBeLessThan(10);
      expect(counted.ledger.totals().objects).toBe(20);
    });
  });
});

it("a start of a ledger that has its tables writes no row", async () => {
  await inLedger(10_000, async (counted) => {
    record(counted, { stored: 600 });
    expect(await counted.rows(counted.start)).toBe(0);
  });
});

it("the ledger's answer to a batch says of how many uses isolates report one, by the requests of the day and the plan", async () => {
  const { fetch } = createMeteredWorker({ vars: { MIRRORS: { fedora: { distro: "fedora", upstreams: ["http://origin.test/fedora"] } } } });
  // The first request of an isolate puts its parts together, those of its Durable Objects too.
  await fetch("/none/x.rpm");
  const today = { ...emptyDay("fedora", new Date().toISOString().slice(0, 10)), requests: 1_000_001 };
  const { oneIn } = await LEDGER.get(LEDGER.idFromName("fedora")).record({ news: [], uses: [], days: [today] });
  expect(oneIn).toBe(5);
});
