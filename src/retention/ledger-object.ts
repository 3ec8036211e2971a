import { DurableObject } from "cloudflare:workers";
import type { Config } from "../config/config.ts";
import { DAY_MS } from "../http/units.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { countRows } from "../store/row-count.ts";
import type { StoredObject } from "../store/stored-object.ts";
import type { CreateDigest } from "../verify/digest-ranges.ts";
import type { LedgerAllowance } from "./allowance.ts";
import { BOOK_SHARD, classifyKeys, quotasOf, type Batch } from "./batch.ts";
import type { Leftovers } from "./catch-up.ts";
import { createBookReports } from "./book-reports.ts";
import { createBook, type Book, type BudgetView, type Remote, type Reservation } from "./book.ts";
import type { NamedKey } from "../watch/named-key.ts";
import type { DayCount, RootLine, RootProtection, RootStanding } from "../watch/history.ts";
import { createLedger, type Ledger, type LedgerRow } from "./ledger.ts";
import type { Totals } from "./ledger-totals.ts";
import { describeRepositories, type RepositoryPage } from "./describe-repositories.ts";
import { createRepositoryList, retireUnused, type RepositoriesView, type RepositoryList } from "./repository-list.ts";
import { createScrub, type Scrub, type ScrubView } from "./scrub.ts";
import { createShard, type LedgerPage, type Shard, type SweepReport } from "./shard.ts";

/** The budget with each ledger's totals, and what the scrub has come to. */
export type BookView = ReturnType<Book["view"]> & { readonly scrub: ScrubView | null };

/** What a ledger's Durable Object works with. */
export interface LedgerObjectDependencies {
  readonly config: Config;
  /** The store without `watch` of createRetention: the ledger removes its own rows of what it deletes. */
  readonly store: ObjectStore;
  /** The Durable Object of this class with that name. */
  readonly ledger: (name: string) => DurableObjectStub<LedgerObjectBase<unknown>>;
  /** Has the Durable Object of the repository `<mirror>/<base>` forget all. Returns the roots that it had published. Rejects if it cannot be reached. */
  readonly retire: (name: string) => Promise<readonly string[]>;
  /** How fast stored bytes are compared with their digests when nothing asks for them; 0: they are not. */
  readonly scrubBytesPerSecond: number;
  readonly createDigest: CreateDigest;
  /** As in store/condemn.ts, over the store with `watch`. */
  readonly condemn: (key: string, object: StoredObject, reason: string) => Promise<void>;
  readonly log: (message: string) => void;
  readonly leftovers: Leftovers;
  /** Null on one machine, where a row costs nothing. */
  readonly allowance: LedgerAllowance | null;
}

/** How many objects one fill evicts at most on one machine: more would keep its client waiting for many seconds. */
const LOCAL_MAX_EVICTED = 10_000;
/** A scrub's turn that failed is tried again after this long. */
const SCRUB_RETRY_MS = 60_000;

/**
 * The Durable Object of one mirror's ledger, named like the mirror. The one named `BOOK_SHARD` has the content-addressed objects and keeps the book of
 * the budget. The work is done in shard.ts and book.ts. The subclass in worker.ts provides the dependencies.
 */
export abstract class LedgerObjectBase<Env> extends DurableObject<Env> {
  readonly #name = this.ctx.id.name ?? BOOK_SHARD;
  readonly #rows = countRows(this.ctx.storage.sql, Date.now);
  readonly #ledger: Ledger = createLedger(this.#rows.sql, () => this.#isSparing());
  readonly #reports = createBookReports({
    report: (...reported) => this.#toBook().report(this.#name, ...reported),
    isSparing: () => this.#isSparing(),
    now: Date.now,
  });
  #ownShard: Shard | null = null;
  #ownBook: Book | null = null;
  #ownRepositories: RepositoryList | null = null;
  #ownScrub: Scrub | null = null;

  protected abstract dependencies(): LedgerObjectDependencies;

  /** Takes in a batch about this shard's objects, and reports the new totals to the book. */
  async record(batch: Batch): Promise<BudgetView> {
    const totals = this.#shard().record(batch, Number(this.#ledger.notes.get("ageSeen") ?? 0));
    const arrived = batch.news.flatMap(({ kind, key }) => (kind === "stored" ? [key] : []));
    const view = await this.#reports.report(totals, arrived, batch.days ?? []);
    this.#seeAge(view.ageFactor);
    return { used: view.used, ageFactor: view.ageFactor, oneIn: view.oneIn ?? 1 };
  }

  report(shard: string, totals: Totals, arrived: readonly string[], days: readonly DayCount[] = []): BudgetView {
    return this.#book().report(shard, totals, arrived, days);
  }

  reserve(key: string, size: number, unreported: number, aheadFor?: string): Promise<Reservation> {
    return this.#book().reserve(key, size, unreported, aheadFor);
  }

  lowest(limit: number): { readonly rows: readonly LedgerRow[]; readonly end: boolean } {
    return this.#shard().lowest(limit);
  }

  evict(keys: readonly string[]): Promise<Totals> {
    return this.#shard().evict(keys);
  }

  reap(graceMs: number, bytes: number): Promise<Totals> {
    return this.#shard().reap(graceMs, bytes);
  }

  sweep(ageFactor: number): Promise<SweepReport> {
    return this.#shard().sweep(ageFactor);
  }

  known(versions: readonly string[]): readonly string[] {
    return this.#shard().known(versions);
  }

  /** One run of cron, for all ledgers; it also has a scrub begun that is due. Call it on the book's object. `isAsked`: an operator asks for a scrub now. */
  async sweepAll(isAsked = false): ReturnType<Book["sweep"]> {
    if (this.#scrub().begin(isAsked) && (await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now());
    const { config, retire, log } = this.dependencies();
    const list = this.#repositories();
    const { history } = this.#book();
    const forget = (name: string, roots: readonly string[]): void => {
      const [mirror = ""] = name.split("/", 1);
      for (const root of roots) {
        history.stand(mirror, root, null);
        history.protect(mirror, root, null);
      }
      this.#ledger.name(name, []);
      list.remove(name);
    };
    for (const name of list.unused(Date.now() - config.retentionDays * DAY_MS)) if (this.#ledger.isPinned(`${name}/`)) list.note(name);
    await retireUnused(list, { before: Date.now() - config.retentionDays * DAY_MS, retire, forget, log });
    return this.#book().sweep();
  }

  /** Whether nothing is left to find of what an earlier server left behind. Call it on the book's object. */
  isCaughtUp(): boolean {
    return this.#book().isCaughtUp();
  }

  /** One turn of the scrub, of the book's object alone. */
  override async alarm(): Promise<void> {
    const waitMs = await this.#scrub()
      .turn()
      .catch((error: unknown) => {
        this.dependencies().log(`Cannot go on with the scrub, will try again: ${String(error)}`);
        return SCRUB_RETRY_MS;
      });
    if (waitMs !== null) await this.ctx.storage.setAlarm(Date.now() + waitMs);
  }

  async next(limit: number): Promise<readonly LedgerRow[]> {
    return this.#book().next(limit);
  }

  view(): BookView {
    return { ...this.#book().view(), scrub: this.#scrub().view() };
  }

  /** The days and repositories of all mirrors. Call it on the book's object. */
  history(): { readonly days: readonly DayCount[]; readonly roots: readonly RootLine[] } {
    const { history } = this.#book();
    return { days: history.days(), roots: history.roots() };
  }

  /** Keeps how a repository's root stands; null: the root is no longer published. Call it on the book's object. */
  stand(mirror: string, root: string, standing: RootStanding | null): void {
    this.#book().history.stand(mirror, root, standing);
  }

  list(pattern: string, after: string, limit: number): LedgerPage {
    return this.#shard().list(pattern, after, limit);
  }

  /** Deletes a page of matching objects, and has the book know at once what room that makes. */
  async purge(pattern: string, after: string, limit: number, dryRun: boolean): Promise<LedgerPage> {
    const page = await this.#shard().purge(pattern, after, limit, dryRun);
    if (!dryRun) await this.#toBook().report(this.#name, this.#ledger.totals(), []);
    return page;
  }

  /** Rows whose key begins with `prefix` and comes after `after`, in the order of keys. */
  rowsFrom(prefix: string, after: string, limit: number): readonly LedgerRow[] {
    return this.#ledger.page(prefix, after, limit);
  }

  /** The rows of those of the keys that have one. */
  rowsOf(keys: readonly string[]): readonly LedgerRow[] {
    return keys.flatMap((key) => this.#ledger.get(key) ?? []);
  }

  /** Keeps whether packages of a root are bound to digests; null: the root is no more. Call it on the book's object. */
  protect(mirror: string, root: string, protection: RootProtection | null): void {
    this.#book().history.protect(mirror, root, protection);
  }

  row(key: string): LedgerRow | null {
    return this.#ledger.get(key);
  }

  pin(pattern: string): void {
    this.#ledger.pin(pattern);
  }

  unpin(pattern: string): boolean {
    return this.#ledger.unpin(pattern);
  }

  pins(): readonly string[] {
    return this.#ledger.pins();
  }

  /**
   * Keeps which keys a repository's published generation names: they are evicted last. Call it on the book's object, which has the content-addressed
   * keys. The method is not called `name`, as every stub already has a property of that name.
   */
  nameKeys(owner: string, named: readonly NamedKey[]): void {
    this.#ledger.name(owner, named);
    if (named.length === 0) this.#repositories().remove(owner);
    else this.#repositories().note(owner);
  }

  /** Whether the repository `<mirror>/<base>` has published anything; notes that clients use it. Call it on the book's object. */
  isRepository(name: string): boolean {
    return this.#repositories().use(name);
  }

  /** The names of the repositories that have published something and begin with `prefix`. Call it on the book's object. */
  repositoryNames(prefix: string): readonly string[] {
    return this.#repositories().names(prefix);
  }

  /** The repositories that have published something. Call it on the book's object. */
  repositories(): RepositoriesView {
    return this.#repositories().view();
  }

  /** A page of the repositories whose roots `written` (`parseKeyPattern`) reaches, in the order of names. Call it on the book's object. */
  repositoryPage(written: string, after: string, limit: number): RepositoryPage {
    const { history } = this.#book();
    return describeRepositories({ list: this.#repositories(), ledger: this.#ledger, history }, written, after, limit);
  }

  #isSparing(): boolean {
    const { allowance } = this.dependencies();
    return allowance !== null && this.#rows.today() >= allowance.freeRows;
  }

  #seeAge(ageFactor: number): void {
    if (this.#ledger.notes.get("ageSeen") !== String(ageFactor)) this.#ledger.notes.set("ageSeen", String(ageFactor));
  }

  #repositories(): RepositoryList {
    return (this.#ownRepositories ??= createRepositoryList(this.#rows.sql, this.#ledger.notes, Date.now));
  }

  #toBook(): Remote<Book, "report"> {
    return this.#name === BOOK_SHARD ? this.#book() : this.dependencies().ledger(BOOK_SHARD);
  }

  #shard(): Shard {
    const { config, store, leftovers } = this.dependencies();
    return (this.#ownShard ??= createShard({
      ledger: this.#ledger,
      store,
      now: Date.now,
      retentionMs: config.retentionDays * DAY_MS,
      startedAt: leftovers.startedAt,
      prefix: `${this.#name}/`,
      classOf: classifyKeys(config),
    }));
  }

  #book(): Book {
    const { config, store, ledger, log, leftovers, allowance } = this.dependencies();
    return (this.#ownBook ??= createBook({
      sql: this.#rows.sql,
      ledger: this.#ledger,
      store,
      now: Date.now,
      budget: config.budgetBytes,
      quotas: quotasOf(config),
      leftovers,
      usesADay: allowance?.usesADay ?? Infinity,
      // One machine counts no calls: a DVD image may take the place of thousands of packages.
      ...(allowance === null ? { maxEvicted: LOCAL_MAX_EVICTED } : {}),
      isSparing: () => this.#isSparing(),
      shardNames: [BOOK_SHARD, ...config.mirrors.keys()],
      shard: (name) => (name === this.#name ? this.#shard() : ledger(name)),
      log,
    }));
  }

  #scrub(): Scrub {
    const { config, store, ledger, scrubBytesPerSecond, createDigest, condemn, log } = this.dependencies();
    const shard = (name: string) => (name === this.#name ? this : ledger(name));
    return (this.#ownScrub ??= createScrub({
      notes: this.#ledger.notes,
      store,
      shardNames: [BOOK_SHARD, ...config.mirrors.keys()],
      rows: async (name, after, limit) => shard(name).rowsFrom("", after, limit),
      createDigest,
      bytesPerSecond: scrubBytesPerSecond,
      now: Date.now,
      condemn,
      log,
    }));
  }
}
