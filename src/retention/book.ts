import type { ObjectStore } from "../store/object-store.ts";
import type { Sql } from "../store/sql.ts";
import { DAY_MS } from "../http/units.ts";
import { createHistory, dayOf, type DayCount } from "../watch/history.ts";
import type { Ledger, LedgerRow } from "./ledger.ts";
import type { Totals } from "./ledger-totals.ts";
import { shardOf } from "./batch.ts";
import { credibleStart, createCatchUp, type Leftovers } from "./catch-up.ts";
import {
  bytesMissing,
  bytesToEvict,
  chooseVictims,
  compareCandidates,
  hasRoom,
  isLarge,
  isStorableSize,
  raiseAge,
  type Holdings,
} from "./policy.ts";
import { orphansBefore, reapOrphans } from "./reconcile.ts";
import { createReservations } from "./reservations.ts";
import { createSecondRequests } from "./second-request.ts";
import { createShardTotals } from "./shard-totals.ts";
import type { Shard, SweepReport } from "./shard.ts";

/** How many candidates each shard names in one round of eviction. */
const PER_SHARD = 50;
/** How many objects one fill, or one run of cron, evicts at most, where `maxEvicted` says no other number. The next one goes on. */
const MAX_EVICTED = 400;
/**
 * Where room is short, freed slices are deleted in two rounds, by age in milliseconds: a request that still reads younger ones fetches them again, which
 * costs it time, and a new file that finds no room costs every client of it an upstream's time.
 */
const PRESSED_GRACES_MS = [15 * 60_000, 0] as const;
/** Members that a mirror's published generations name, and what is fetched ahead for the next ones, take at most this share of the budget. */
const AHEAD_SHARE = 0.25;

/** The state of the budget. */
export interface BudgetView {
  /** Bytes that count against the budget: stored, reserved, and slices of evicted objects. */
  readonly used: number;
  /** LFUDA's L (policy.ts). */
  readonly ageFactor: number;
  /** From now on isolates report one of so many uses, at random, and it counts as so many (sample-uses.ts). Absent: they report each. */
  readonly oneIn?: number;
}

/** Why a fill may not store its bytes: the file can never fit; it would push out most of what is stored for its first request; or nothing more may go for it. */
export type Refusal = "too-large" | "first-request" | "no-room";

/** The answer to a request for room. */
export interface Reservation extends BudgetView {
  /** Whether the fill may store its bytes. */
  readonly admitted: boolean;
  /** Why it may not; absent where it may. */
  readonly refusal?: Refusal;
}

/** Some methods of `T`, called on one in the same Durable Object or, as a stub, in another one. */
export type Remote<T, Method extends keyof T> = {
  readonly [Name in Method]: T[Name] extends (...parameters: infer Parameters) => infer Result
    ? (...parameters: Parameters) => Result | Promise<Awaited<Result>>
    : never;
};

/** What the book works with. */
export interface BookDependencies {
  readonly sql: Sql;
  /** The ledger of the book's own shard. Its notes keep L over restarts. */
  readonly ledger: Ledger;
  readonly store: ObjectStore;
  readonly now: () => number;
  /** Bytes. */
  readonly budget: number;
  /** Bytes that a mirror's own files may take, by the mirror's name; a mirror without one shares the budget with the others. */
  readonly quotas: ReadonlyMap<string, number>;
  readonly leftovers: Leftovers;
  /** How many objects one fill evicts at most; absent: as many as a Worker's calls allow. */
  readonly maxEvicted?: number;
  /** About as many uses a day are reported at most; absent: all are. */
  readonly usesADay?: number;
  /** Whether few rows are to be written for the rest of the day; absent: they need not be few. */
  readonly isSparing?: () => boolean;
  /** Names of every configured mirror, and `BOOK_SHARD`. */
  readonly shardNames: readonly string[];
  readonly shard: (name: string) => Remote<Shard, "lowest" | "evict" | "reap" | "sweep" | "known">;
  readonly log: (message: string) => void;
}

/** A limit, and what is to stay below it. */
interface Scope {
  /** The shard whose bytes count; null: all do. */
  readonly counted: string | null;
  /** Shards of which objects are evicted for it. */
  readonly losers: readonly string[];
  /** Bytes. */
  readonly limit: number;
}

/** The budget over all shards: decides which fill may store its bytes and which objects are evicted. */
export type Book = ReturnType<typeof createBook>;

/** Opens the book in `sql`, and makes its tables at the first start. */
export function createBook(deps: BookDependencies) {
  const { sql, ledger, now, budget, quotas, leftovers, usesADay = Infinity, isSparing = () => false, log, maxEvicted = MAX_EVICTED } = deps;
  const shards = createShardTotals(sql, deps.shardNames, now, isSparing);
  const reservations = createReservations(sql, now, credibleStart(leftovers.startedAt, now()), isSparing);
  const atFirst = shards.of(null);
  const catchUp = createCatchUp(ledger.notes, leftovers, atFirst.live + atFirst.dead);
  const history = createHistory(sql, now, isSparing);
  const largeRequests = createSecondRequests(ledger.notes, now);
  let ageFactor = Number(ledger.notes.get("ageFactor") ?? 0);
  /** Only one fill evicts at a time: two at once would evict twice as much as they need. */
  let making: Promise<void> | null = null;

  /** What counts against a limit; what no ledger knows yet can no more be evicted than freed slices can. */
  function holdings(counted: string | null, exceptKey = ""): Holdings {
    const { live, dead } = shards.of(counted);
    return { live: live + reservations.bytes(counted, exceptKey), dead: dead + (counted === null ? catchUp.uncounted() : 0) };
  }

  /** By the requests of yesterday, or of today where these are more already: no more uses than requests are reported. */
  function oneIn(): number {
    if (usesADay === Infinity) return 1;
    const requests = Math.max(...[now(), now() - DAY_MS].map((at) => history.requestsOn(dayOf(at))));
    return Math.max(1, Math.ceil(requests / usesADay));
  }

  function view(): BudgetView {
    const { live, dead } = holdings(null);
    return { used: live + dead, ageFactor, oneIn: oneIn() };
  }

  /**
   * The limits for a fill: that of the key's mirror, if it has one, then the budget. What is fetched ahead for a mirror evicts that mirror's own files
   * only.
   */
  function scopesOf(key: string, aheadFor?: string): readonly Scope[] {
    const own = shardOf(key);
    const quota = quotas.get(own);
    const all: Scope = { counted: null, losers: aheadFor === undefined ? shards.names() : [aheadFor], limit: budget };
    return quota === undefined ? [all] : [quotaScope(own, quota), all];
  }

  function quotaScope(mirror: string, quota: number): Scope {
    return { counted: mirror, losers: [mirror], limit: Math.min(quota, budget) };
  }

  /**
   * The lowest candidates over some shards. A shard that named only some of its rows may have others that come before the rows of other shards: so only
   * candidates up to the first such end are returned.
   */
  async function lowest(limit: number, names = shards.names()): Promise<readonly (LedgerRow & { readonly shard: string })[]> {
    const lists = await Promise.all(
      names.map(async (shard) => {
        const { rows, end } = await deps.shard(shard).lowest(limit);
        return { rows: rows.map((row) => ({ ...row, shard })), end };
      }),
    );
    const [horizon] = lists.flatMap(({ rows, end }) => (end ? [] : rows.slice(-1))).toSorted(compareCandidates);
    const all = lists.flatMap(({ rows }) => rows).toSorted(compareCandidates);
    return horizon === undefined ? all : all.filter((row) => compareCandidates(row, horizon) <= 0);
  }

  /** Evicts until `size` more bytes fit below the marks, at most `maxEvicted` objects, and deletes freed slices until they fit below the limit. */
  async function makeRoom({ counted, losers, limit }: Scope, key: string, size: number): Promise<void> {
    for (let evicted = 0; evicted < maxEvicted;) {
      const wanted = bytesToEvict(holdings(counted, key), size, limit);
      if (wanted <= 0) break;
      const victims = chooseVictims(await lowest(PER_SHARD, [...losers]), wanted).slice(0, maxEvicted - evicted);
      if (victims.length === 0) break;
      for (const [shard, rows] of Map.groupBy(victims, (victim) => victim.shard)) {
        shards.note(shard, await deps.shard(shard).evict(rows.map((row) => row.key)));
      }
      ageFactor = victims.reduce(raiseAge, ageFactor);
      ledger.notes.set("ageFactor", String(ageFactor));
      evicted += victims.length;
    }
    for (const graceMs of PRESSED_GRACES_MS) {
      for (const shard of counted === null ? shards.names() : [counted]) {
        const missing = bytesMissing(holdings(counted, key), size, limit);
        if (missing <= 0) return;
        if (shards.of(shard).dead > 0) shards.note(shard, await deps.shard(shard).reap(graceMs, missing));
      }
    }
  }

  async function makeRoomAlone(scope: Scope, key: string, size: number): Promise<void> {
    while (making !== null) await making;
    const held = holdings(scope.counted, key);
    if (bytesToEvict(held, size, scope.limit) <= 0 && hasRoom(held, size, scope.limit)) return;
    making = makeRoom(scope, key, size).finally(() => (making = null));
    await making;
  }

  async function known(versions: readonly string[]): Promise<ReadonlySet<string>> {
    const lists = await Promise.all(shards.names().map(async (shard) => deps.shard(shard).known(versions)));
    return new Set(lists.flat());
  }

  return {
    /** Takes in a shard's totals, ends the reservations of the keys that `arrived` in it, and adds `days` to the history. */
    report(shard: string, totals: Totals, arrived: readonly string[], days: readonly DayCount[] = []): BudgetView {
      shards.note(shard, totals);
      history.count(days);
      for (const key of arrived) reservations.end(key);
      return view();
    },
    /**
     * Reserves `size` bytes for one fill, and evicts if there is no room. Admits only what fits in the budget, and in the quota of its mirror, beside
     * everything stored or reserved and the slices of evicted objects. `unreported`: bytes of other fills that the calling isolate admitted and that no
     * ledger knows yet. `aheadFor`: the mirror for which it is fetched before a client asks for it; then no file of another mirror goes for it.
     */
    async reserve(key: string, size: number, unreported: number, aheadFor?: string): Promise<Reservation> {
      const scopes = scopesOf(key, aheadFor);
      const refuse = (refusal: Refusal): Reservation => ({ admitted: false, refusal, ...view() });
      const wantedIn = ({ counted }: Scope): number => size + (counted === null ? unreported : 0);
      if (scopes.some(({ limit }) => !isStorableSize(size, limit))) return refuse("too-large");
      if (aheadFor !== undefined && reservations.aheadBytes(aheadFor) + size > budget * AHEAD_SHARE) return refuse("no-room");
      const isCostly = scopes.some(
        (scope) => isLarge(size, scope.limit) && bytesToEvict(holdings(scope.counted, key), wantedIn(scope), scope.limit) > 0,
      );
      if (isCostly && (aheadFor !== undefined || !largeRequests.isSecond(key))) return refuse("first-request");
      try {
        for (const scope of scopes) await makeRoomAlone(scope, key, wantedIn(scope));
      } catch (error) {
        log(`Cannot make room for ${key}: ${String(error)}`);
      }
      const admitted = scopes.every((scope) => {
        const held = holdings(scope.counted, key);
        // Above the mark the next fill evicts files of any mirror: what is fetched ahead must not bring that about.
        const isBelowMark = aheadFor === undefined || bytesToEvict(held, wantedIn(scope), scope.limit) <= 0;
        return isBelowMark && hasRoom(held, wantedIn(scope), scope.limit);
      });
      if (!admitted) return refuse("no-room");
      reservations.take(key, size, aheadFor);
      largeRequests.forget(key);
      return { admitted, ...view() };
    },
    /** The objects that would be evicted next, in order. */
    next: async (limit: number): Promise<readonly LedgerRow[]> => (await lowest(limit)).slice(0, limit),
    /** One bounded run of housekeeping over all shards. Where some of them fail it does the others, and rejects with the first failure. */
    async sweep(): Promise<readonly (SweepReport & { readonly shard: string })[]> {
      const reports = [];
      const failures: unknown[] = [];
      for (const shard of shards.names()) {
        try {
          const report = await deps.shard(shard).sweep(ageFactor);
          shards.note(shard, report.totals);
          reports.push({ shard, ...report });
        } catch (error) {
          log(`Cannot keep house in ${shard}: ${String(error)}`);
          failures.push(error);
        }
      }
      for (const [mirror, quota] of quotas) await makeRoomAlone(quotaScope(mirror, quota), "", 0);
      await makeRoomAlone({ counted: null, losers: shards.names(), limit: budget }, "", 0);
      // A slice without a head is known for an orphan only by all of them.
      if (failures.length > 0) throw failures[0];
      const areCaughtUp = reports.every(({ isCaughtUp }) => isCaughtUp);
      const passesBegan = Math.min(...reports.map(({ passBegan }) => passBegan));
      const before = orphansBefore({ passesBegan, startedAt: credibleStart(leftovers.startedAt, now()), now: now() });
      const next = await reapOrphans(deps.store, { known, cursor: catchUp.sliceCursor(areCaughtUp), before, now: now() });
      catchUp.noteSlices(next, areCaughtUp);
      ledger.notes.set("sweptAt", String(now()));
      return reports;
    },
    /** Whether all that an earlier server left behind has been found. Until then `sweep` has more to do at once. */
    isCaughtUp: catchUp.isDone,
    /** The budget, with each shard's totals. `sweptAt`: when the last run of `sweep` without a failure ended; null: none has. */
    view: () => ({
      ...view(),
      sweptAt: Number(ledger.notes.get("sweptAt") ?? 0) || null,
      reserved: reservations.bytes(null),
      shards: shards.list(),
    }),
    /** Days and repositories of all mirrors. */
    history,
  };
}
