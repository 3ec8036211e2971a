import { describe, expect, it } from "vitest";
import { BOOK_SHARD, type Batch } from "../../../src/retention/batch.ts";
import { createHistory, dayOf, emptyDay, HISTORY_DAYS } from "../../../src/watch/history.ts";
import { createRetention } from "../../../src/retention/retention.ts";
import { createLedgers, DAY_MS } from "../../support/ledgers.ts";
import { createMemorySql } from "../../support/memory-sql.ts";
import { createMemoryStore } from "../../support/memory-store.ts";

const NOW = Date.UTC(2026, 10, 22, 12);

describe("the history", () => {
  it("adds up a mirror's day, whichever isolates tell of it, and forgets days past the last fourteen", () => {
    let now = NOW;
    const history = createHistory(createMemorySql(), () => now);
    for (const served of [100, 20]) history.count([{ ...emptyDay("debian", dayOf(now)), requests: 1, served }]);
    expect(history.days()).toEqual([{ ...emptyDay("debian", "2026-11-22"), requests: 2, served: 120 }]);
    now += (HISTORY_DAYS - 1) * DAY_MS;
    history.count([emptyDay("debian", dayOf(now))]);
    expect(history.days().map(({ day }) => day)).toEqual(["2026-11-22", "2026-12-05"]);
    now += DAY_MS;
    history.count([emptyDay("debian", dayOf(now))]);
    expect(history.days().map(({ day }) => day)).toEqual(["2026-12-05", "2026-12-06"]);
  });

  it("keeps how a root stands as last reported, and drops one that is no longer published", () => {
    const history = createHistory(createMemorySql(), () => NOW);
    const standing = { adoptedAt: 1, confirmedAt: 2, behindSince: null, trouble: null, hold: null, holes: [] };
    const hold = { kind: "needed", upstream: "https://one.example", reason: "primary.xml is not there", since: 3, until: 4 } as const;
    const holes = [{ path: "dists/a/Packages", reason: "not there", since: 1 }];
    history.stand("debian", "dists/a", standing);
    history.stand("debian", "dists/a", { ...standing, behindSince: 3, trouble: "half-way", hold, holes });
    history.stand("debian", "dists/b", standing);
    history.stand("debian", "dists/b", null);
    expect(history.roots()).toEqual([
      { mirror: "debian", root: "dists/a", adoptedAt: 1, confirmedAt: 2, behindSince: 3, trouble: "half-way", hold, holes },
    ]);
  });

  it("opens what a version without holds and holes kept", () => {
    const sql = createMemorySql();
    sql.exec(
      `CREATE TABLE roots (mirror TEXT, root TEXT, adoptedAt INTEGER NOT NULL, confirmedAt INTEGER NOT NULL, behindSince INTEGER,
        trouble TEXT, PRIMARY KEY (mirror, root)) WITHOUT ROWID`,
    );
    sql.exec("INSERT INTO roots VALUES ('debian', 'dists/a', 1, 2, 3, 'half-way')");
    for (let starts = 0; starts < 2; starts++) {
      expect(createHistory(sql, () => NOW).roots()).toEqual([
        { mirror: "debian", root: "dists/a", adoptedAt: 1, confirmedAt: 2, behindSince: 3, trouble: "half-way", hold: null, holes: [] },
      ]);
    }
  });
});

describe("an isolate", () => {
  function createIsolate() {
    const ledgers = createLedgers({ store: createMemoryStore(() => NOW), now: () => NOW, budget: 1_000, mirrors: ["debian", "fedora"] });
    const batches: [shard: string, batch: Batch][] = [];
    const state = { isDown: false };
    const retention = createRetention({
      ledger: (shard) => ({
        ...ledgers.port(shard),
        async record(batch) {
          batches.push([shard, batch]);
          if (state.isDown) throw new Error("down");
          return ledgers.port(shard).record(batch);
        },
      }),
      budget: 1_000,
      classOf: () => "package",
      now: () => NOW,
      sleep: () => new Promise(() => {}),
      waitUntil: () => {},
      log: () => {},
    });
    return { ledgers, batches, state, retention };
  }

  it("tells of its days along with what it tells anyway, and once", async () => {
    const { ledgers, batches, retention } = createIsolate();
    retention.use("debian/a.deb", 10);
    retention.use("fedora/a.rpm", 10);
    retention.count("debian", { requests: 1, served: 10, saved: 10 });
    retention.count("debian", { fetched: 7 });
    retention.count("fedora", { requests: 1 });
    await retention.flush();
    await retention.flush();
    expect(batches.map(([shard]) => shard)).toEqual(["debian", "fedora"]);
    const today = dayOf(NOW);
    expect(ledgers.book.history.days()).toEqual([
      { ...emptyDay("debian", today), requests: 1, served: 10, saved: 10, fetched: 7 },
      { ...emptyDay("fedora", today), requests: 1 },
    ]);
    ledgers.restart();
    expect(ledgers.book.history.days()).toHaveLength(2);
  });

  it("tells the book of requests that used nothing", async () => {
    const { ledgers, batches, retention } = createIsolate();
    retention.count("debian", { turnedAway: 1 });
    await retention.flush();
    expect(batches.map(([shard]) => shard)).toEqual([BOOK_SHARD]);
    expect(ledgers.book.history.days()[0]?.turnedAway).toBe(1);
  });

  it("keeps its days while the ledger is away", async () => {
    const { ledgers, state, retention } = createIsolate();
    state.isDown = true;
    retention.count("debian", { requests: 1 });
    await retention.flush();
    retention.count("debian", { requests: 2 });
    state.isDown = false;
    await retention.flush();
    expect(ledgers.book.history.days()[0]?.requests).toBe(3);
  });
});
