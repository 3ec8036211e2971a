import { elapsedMs, isAhead } from "../clock/elapsed.ts";
import { DAY_MS } from "../http/units.ts";
import { parseSliceKey, SLICE_PREFIX } from "../store/keys.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { inParallel } from "./evict.ts";
import type { Ledger } from "./ledger.ts";

/** Objects on one page of a listing. Each one without a row costs a read of its head. */
const PAGE = 500;
/** Rows that are compared with one page at most. */
const MAX_ROWS = 2 * PAGE;
/** A pass over the store begins so long after the last one began. */
const PASS_INTERVAL_MS = DAY_MS;
/** Slices without a head are deleted after so long: requests that read them have ended by then, or fetch them again. */
export const SLICE_GRACE_MS = DAY_MS;
/** A fill publishes its head moments after its first slice. Within this margin a slice without a head may belong to a fill under way. */
const PUBLISH_MARGIN_MS = 60 * 60_000;

/**
 * One shard's pass over its mirror's objects in the store, page by page; its state survives restarts. The store lists in the order of keys, as the rows lie:
 * so a page adds rows for objects without one, and removes rows whose key would stand on it and whose object the store does not have. A page that lists a key
 * out of order makes the pass look at more, never remove what is there. `after`: rows up to this key have been compared.
 */
type Pass =
  | { readonly step: "listing"; readonly began: number; readonly cursor?: string; readonly after: string }
  | { readonly step: "done"; readonly began: number };

const NOTE = "pass";

/** What one page came to. */
export interface Reconciled {
  /** The pass is over. The next one begins a day after this one began. */
  readonly isDone: boolean;
  /** Objects without a row. */
  readonly found: number;
  /** Rows without an object. */
  readonly lost: number;
}

/**
 * Does one page of the pass. `prefix`: what this shard's keys begin with. `startedAt`: a pass that began before it begins anew. Rejects if the store fails;
 * the next call repeats the page.
 */
export async function reconcilePage(
  ledger: Ledger,
  store: ObjectStore,
  {
    prefix,
    classOf,
    ageFactor,
    startedAt,
    now,
  }: {
    readonly prefix: string;
    readonly classOf: (key: string) => string;
    readonly ageFactor: number;
    readonly startedAt: number;
    readonly now: number;
  },
): Promise<Reconciled> {
  const pass = nextPass(readPass(ledger), { startedAt, now });
  if (pass.step === "done") return { isDone: true, found: 0, lost: 0 };
  const page = await store.list({ prefix, limit: PAGE, ...(pass.cursor === undefined ? {} : { cursor: pass.cursor }) });
  const keys = page.objects.flatMap(({ key }) => (key.startsWith(SLICE_PREFIX) ? [] : [key]));
  // Slices come last.
  const cursor = keys.length < page.objects.length ? undefined : page.cursor;
  const end = cursor === undefined ? null : (keys.at(-1) ?? pass.after);
  const rows = ledger.rowsBetween(pass.after, end, MAX_ROWS);

  const known = new Set(rows.map(({ key }) => key));
  const unknown = keys.filter((key) => !known.has(key) && ledger.get(key) === null);
  const found = await inParallel(unknown, async (key) => ({ key, head: await store.head(key) }));
  for (const { key, head } of found) {
    // Without a head it is an upload by hand without our metadata: it is never served, and we leave it to the operator.
    if (head === null || ledger.get(key) !== null) continue;
    const { version, size, sliceBytes = null, storedAt } = head;
    ledger.put({ key, version, size, sliceBytes, class: classOf(key), storedAt }, ageFactor, now);
  }

  const listed = new Set(keys);
  const missing = rows.filter(({ key, storedAt }) => storedAt < pass.began && !listed.has(key));
  const due = missing.slice(0, PAGE);
  const lost = await removeLost(
    ledger,
    store,
    due.map(({ key }) => key),
    now,
  );
  // With more rows than that the page comes again, for those behind.
  const stop = due.length < missing.length ? due.at(-1) : rows.length === MAX_ROWS ? rows.at(-1) : undefined;
  if (stop !== undefined) save(ledger, { ...pass, after: stop.key });
  else save(ledger, cursor === undefined ? { step: "done", began: pass.began } : { ...pass, cursor, after: end ?? pass.after });
  return { isDone: stop === undefined && cursor === undefined, found: found.length, lost };
}

/** Removes the rows of those keys that have no object in the store. Returns how many there were. */
async function removeLost(ledger: Ledger, store: ObjectStore, keys: readonly string[], now: number): Promise<number> {
  const heads = await inParallel(keys, async (key) => ({ key, head: await store.head(key) }));
  const lost = heads.filter(({ head }) => head === null);
  for (const { key } of lost) ledger.remove(key, now);
  return lost.length;
}

/** When the last completed pass began (0: none has completed). The ledger has rows for all heads that were stored before. */
export function lastPassBegan(ledger: Ledger): number {
  const pass = readPass(ledger);
  return pass?.step === "done" ? pass.began : Number(ledger.notes.get("passBefore") ?? 0);
}

function nextPass(pass: Pass | null, { startedAt, now }: { readonly startedAt: number; readonly now: number }): Pass {
  // A pass of an earlier version may lack the key up to which it has come.
  const isOurs = pass !== null && (pass.step === "done" || (pass.after as string | undefined) !== undefined);
  if (isOurs && pass.began >= startedAt && (pass.step !== "done" || elapsedMs(pass.began, now) < PASS_INTERVAL_MS)) return pass;
  return { step: "listing", began: Math.max(now, startedAt), after: "" };
}

function readPass(ledger: Ledger): Pass | null {
  const text = ledger.notes.get(NOTE);
  return text === null ? null : (JSON.parse(text) as Pass);
}

function save(ledger: Ledger, pass: Pass): void {
  if (pass.step === "done") {
    ledger.recount();
    ledger.notes.set("passBefore", String(pass.began));
  }
  ledger.notes.set(NOTE, JSON.stringify(pass));
}

/**
 * Slices that were stored before this time belong to no fill under way: a day has gone by, and every ledger has completed a pass that began after the slice
 * and its head were stored (`passesBegan`); or they come from before the start, and every ledger has completed a pass since. Milliseconds since the epoch.
 */
export function orphansBefore({
  passesBegan,
  startedAt,
  now,
}: {
  readonly passesBegan: number;
  readonly startedAt: number;
  readonly now: number;
}): number {
  if (isAhead(passesBegan, now)) return 0;
  // A disk gives times in whole seconds.
  const fromBefore = passesBegan >= startedAt ? Math.floor(startedAt / 1_000) * 1_000 : 0;
  return Math.max(fromBefore, Math.min(now - SLICE_GRACE_MS, passesBegan - PUBLISH_MARGIN_MS));
}

/**
 * Looks at the page of slices behind `cursor`, and deletes those whose version no ledger knows, if they were stored before `before` or a wrong clock dated them
 * ahead. Returns the next cursor; empty: this was the last page.
 */
export async function reapOrphans(
  store: ObjectStore,
  {
    known,
    cursor,
    before,
    now,
  }: {
    readonly known: (versions: readonly string[]) => Promise<ReadonlySet<string>>;
    readonly cursor: string;
    /** See `orphansBefore`. */
    readonly before: number;
    /** Milliseconds since the epoch. */
    readonly now: number;
  },
): Promise<string> {
  const page = await store.list({ prefix: SLICE_PREFIX, limit: 2 * PAGE, ...(cursor === "" ? {} : { cursor }) });
  const old = page.objects.flatMap(({ key, uploadedAt = now }) => {
    const slice = uploadedAt < before || (before > 0 && isAhead(uploadedAt, now)) ? parseSliceKey(key) : null;
    return slice === null ? [] : [{ key, version: slice.version }];
  });
  const versions = [...new Set(old.map(({ version }) => version))];
  const alive = versions.length === 0 ? new Set<string>() : await known(versions);
  await store.delete(old.filter(({ version }) => !alive.has(version)).map(({ key }) => key));
  return page.cursor ?? "";
}
