import { DAY_MS } from "../http/units.ts";
import { parseSliceKey } from "../store/keys.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { SLICE_PREFIX } from "../store/keys.ts";
import { inParallel } from "./evict.ts";
import type { Ledger } from "./ledger.ts";

/** Objects on one page of a listing: each that the ledger does not know costs a read of its head. */
const PAGE = 500;
/** A pass over the store begins this long after the last one did. */
const PASS_INTERVAL_MS = DAY_MS;
/** Slices without a head go after this long: whoever read them has ended, or fetches them again. */
export const SLICE_GRACE_MS = DAY_MS;
/** A head is published within moments of its version's first slice. */
const PUBLISH_MARGIN_MS = 60 * 60_000;

/**
 * One shard's pass over what the store holds of its mirror, a page at a time, kept over restarts:
 * first by listing (objects that the ledger does not know are taken in), then over its rows (those not seen, whose object is gone, go).
 */
type Pass =
  | { readonly step: "listing"; readonly began: number; readonly cursor?: string }
  | { readonly step: "rows"; readonly began: number; readonly after: string }
  | { readonly step: "done"; readonly began: number };

const NOTE = "pass";

export interface Reconciled {
  /** The pass is over; the next one begins a day after this one began. */
  readonly isDone: boolean;
  readonly found: number;
  readonly lost: number;
}

/** One page of the pass. `prefixes`: what this shard's keys begin with. */
export async function reconcilePage(
  ledger: Ledger,
  store: ObjectStore,
  { prefix, classOf, ageFactor, now }: { prefix: string; classOf: (key: string) => string; ageFactor: number; now: number },
): Promise<Reconciled> {
  const pass = nextPass(readPass(ledger), now);
  if (pass.step === "done") return { isDone: true, found: 0, lost: 0 };
  if (pass.step === "rows") {
    const rows = ledger.sightings(pass.after, pass.began, pass.began, PAGE);
    const missing = rows.filter(({ isMissing }) => isMissing !== 0);
    const heads = await inParallel(missing, async ({ key }) => ({ key, head: await store.head(key) }));
    const lost = heads.filter(({ head }) => head === null);
    for (const { key } of lost) ledger.remove(key, now);
    const last = rows.at(-1);
    const isDone = last === undefined || rows.length < PAGE;
    save(ledger, isDone ? { step: "done", began: pass.began } : { ...pass, after: last.key });
    return { isDone, found: 0, lost: lost.length };
  }
  const page = await store.list({ prefix, limit: PAGE, ...(pass.cursor === undefined ? {} : { cursor: pass.cursor }) });
  const heads = page.objects.filter(({ key }) => !key.startsWith(SLICE_PREFIX));
  const unknown = heads.filter(({ key }) => ledger.get(key) === null);
  const found = await inParallel(unknown, async ({ key }) => ({ key, head: await store.head(key) }));
  for (const { key, head } of found) {
    // A stray upload that nobody can be answered with is the operator's own.
    if (head === null || ledger.get(key) !== null) continue;
    const { version, size, sliceBytes = null, storedAt } = head;
    ledger.put({ key, version, size, sliceBytes, class: classOf(key), storedAt }, ageFactor, now);
  }
  for (const { key } of heads) ledger.see(key, pass.began);
  const { cursor } = page;
  save(ledger, cursor === undefined ? { step: "rows", began: pass.began, after: "" } : { ...pass, cursor });
  return { isDone: false, found: found.length, lost: 0 };
}

/** When the last pass that has ended began; every head that was there then is known. 0: none has. */
export function lastPassBegan(ledger: Ledger): number {
  const pass = readPass(ledger);
  return pass?.step === "done" ? pass.began : Number(ledger.notes.get("passBefore") ?? 0);
}

function nextPass(pass: Pass | null, now: number): Pass {
  if (pass !== null && (pass.step !== "done" || now - pass.began < PASS_INTERVAL_MS)) return pass;
  return { step: "listing", began: now };
}

function readPass(ledger: Ledger): Pass | null {
  const text = ledger.notes.get(NOTE);
  return text === null ? null : (JSON.parse(text) as Pass);
}

function save(ledger: Ledger, pass: Pass): void {
  if (pass.step === "done") ledger.notes.set("passBefore", String(pass.began));
  ledger.notes.set(NOTE, JSON.stringify(pass));
}

/**
 * One page of slices: those of a version that no ledger knows go, once they are older than a day and every ledger has seen all heads that were
 * there after they came. Number of slices deleted.
 */
export async function reapOrphans(
  ledger: Ledger,
  store: ObjectStore,
  { known, passesBegan, now }: { known: (versions: readonly string[]) => Promise<ReadonlySet<string>>; passesBegan: number; now: number },
): Promise<number> {
  const cursor = ledger.notes.get("sliceCursor") ?? "";
  const page = await store.list({ prefix: SLICE_PREFIX, limit: 2 * PAGE, ...(cursor === "" ? {} : { cursor }) });
  const before = Math.min(now - SLICE_GRACE_MS, passesBegan - PUBLISH_MARGIN_MS);
  const old = page.objects.flatMap(({ key, uploadedAt }) => {
    const slice = uploadedAt < before ? parseSliceKey(key) : null;
    return slice === null ? [] : [{ key, version: slice.version }];
  });
  const versions = [...new Set(old.map(({ version }) => version))];
  const alive = versions.length === 0 ? new Set<string>() : await known(versions);
  const orphans = old.filter(({ version }) => !alive.has(version)).map(({ key }) => key);
  await store.delete(orphans);
  ledger.notes.set("sliceCursor", page.cursor ?? "");
  return orphans.length;
}
