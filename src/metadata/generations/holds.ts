import { isAhead } from "../../clock/elapsed.ts";
import { DAY_MS } from "../../http/units.ts";
import type { Hold, HoldKind } from "../../watch/hold.ts";
import type { UpstreamHold } from "../members/generation.ts";
import { doubtUntil } from "./judge-root.ts";

/** A file that clients cannot do without holds a generation back for this long at most. */
const NEEDED_MS = 7 * DAY_MS;

/** What one try with an upstream came to, where it did not confirm or replace the held generation. `upstream`: null where all of them answered so. */
export type Setback = Pick<Hold, "kind" | "upstream" | "reason"> & {
  /** Set where the deadline does not follow from the kind. Milliseconds since the epoch. */
  readonly until?: number;
};

/** What the deadlines of holds depend on. Times in milliseconds since the epoch. */
export interface HoldContext {
  readonly now: number;
  /** DOUBT_SECONDS, in milliseconds. */
  readonly syncMs: number;
  /** Since when every reachable upstream has shown a doubtful root; null: not all do. */
  readonly doubtSince: number | null;
  /** When clients refuse the held generation, as it says itself. */
  readonly validUntil: number | undefined;
  /** How long the held generation is served while no upstream confirms it. */
  readonly keptUntil: number;
}

/** Upstreams that have such a root are ahead of the held generation, as far as can be seen: it is not the newest. */
const AHEAD: ReadonlySet<HoldKind> = new Set<HoldKind>(["needed", "sync", "cached", "malformed", "expired"]);
/** What is dated wrongly says nothing about the held root: where another upstream confirms that one, it is current. */
const OUTVOTED: ReadonlySet<HoldKind> = new Set<HoldKind>(["older", "future"]);
/** Kinds that are believed only once every reachable upstream has shown one. */
const DOUBTS: ReadonlySet<HoldKind> = new Set<HoldKind>(["older", "future", "malformed", "expired", "unsigned", "gone"]);

/** Whether a hold waits for files that the upstream does not have yet, as while a sync is under way. */
export function isSync(kind: HoldKind): boolean {
  return kind === "needed" || kind === "sync";
}

export function isDoubt(kind: HoldKind): boolean {
  return DOUBTS.has(kind);
}

/**
 * Whether nothing but doubtful roots is to be had, where no upstream shows the held root or one that can be adopted: every reachable upstream shows a doubtful
 * one, or the preferred of them does and the others hold something back as well. Going direct, clients ask the preferred one: to wait for days for what
 * another one lacks would leave them worse off. `order`: the configured URLs, the preferred first.
 */
export function isDoubtShown(setbacks: readonly Setback[], order: readonly string[]): boolean {
  const rank = ({ upstream }: Setback): number => (upstream === null ? order.length : order.indexOf(upstream));
  const [preferred] = setbacks.filter(({ kind }) => kind !== "unreachable").toSorted((a, b) => rank(a) - rank(b));
  return preferred !== undefined && isDoubt(preferred.kind);
}

/** Since when an upstream has been ahead of the held generation; null: none is. */
export function aheadSince(holds: readonly UpstreamHold[]): number | null {
  const times = holds.filter(({ kind, isShown }) => isShown && AHEAD.has(kind)).map(({ since }) => since);
  return times.length === 0 ? null : Math.min(...times);
}

/** The holds after a round of tries: those that upstreams showed go on from when they began, and what only a whole round can show ends with it. */
export function mergeSetbacks(holds: readonly UpstreamHold[], setbacks: readonly Setback[], context: HoldContext): readonly UpstreamHold[] {
  const isSame = (one: Setback) => (other: Setback) => one.kind === other.kind && one.upstream === other.upstream;
  const known = holds.map((hold) => restartIfDatedAhead(hold, context));
  const shown = setbacks
    .filter((setback, index) => setbacks.findIndex(isSame(setback)) === index)
    .map((setback): UpstreamHold => {
      const since = known.find(isSame(setback))?.since ?? context.now;
      return { ...setback, since, until: setback.until ?? untilOf(setback.kind, since, context), isShown: true };
    });
  const others = known.filter((hold) => hold.upstream !== null && !setbacks.some(isSame(hold)));
  // An upstream that was asked shows one thing. What it showed before keeps its beginning, in case it shows that again.
  const wasAsked = ({ upstream }: Setback): boolean => setbacks.some((setback) => setback.upstream === upstream);
  return [...shown, ...others.map((hold) => (wasAsked(hold) ? { ...hold, isShown: false } : hold))];
}

/** A hold that began while the clock was wrong begins anew: it would otherwise last until the clock gets there. */
function restartIfDatedAhead(hold: UpstreamHold, context: HoldContext): UpstreamHold {
  const { kind, since } = hold;
  return isAhead(since, context.now) ? { ...hold, since: context.now, until: untilOf(kind, context.now, context) } : hold;
}

function untilOf(kind: HoldKind, since: number, { doubtSince, validUntil, keptUntil, syncMs }: HoldContext): number {
  if (kind === "needed") return Math.min(since + NEEDED_MS, validUntil ?? Infinity);
  if (kind === "sync") return since + syncMs;
  // Its try says until when; nothing more is known of one that a wrong clock wrote.
  if (kind === "cached") return since;
  return kind === "unreachable" ? (validUntil ?? keptUntil) : doubtUntil(Math.max(since, doubtSince ?? since));
}

/** An upstream shows the held root, or the one that is published now: nothing that it showed before counts any more. */
export function endHoldsOf(holds: readonly UpstreamHold[], upstream: string): readonly UpstreamHold[] {
  return holds.filter((hold) => hold.upstream !== upstream && hold.upstream !== null);
}

/**
 * A generation of another upstream is published. Whether a root that was held back is ahead of that one as well is seen at the next try. Doubts keep their
 * beginning: an upstream that serves rubbish for good does not begin anew with each generation of another one.
 */
export function pauseHolds(holds: readonly UpstreamHold[]): readonly UpstreamHold[] {
  return holds.filter(({ kind }) => isDoubt(kind)).map((hold) => ({ ...hold, isShown: false }));
}

/**
 * The holds for which `upstream`, which confirms the held root, does not make it current: an upstream that the operator prefers to it shows another one,
 * and its time is not over. `order`: the configured URLs, the preferred first.
 */
export function blockingHolds(
  holds: readonly UpstreamHold[],
  upstream: string,
  order: readonly string[],
  now: number,
): readonly UpstreamHold[] {
  const isPreferred = (url: string | null): boolean => url !== null && order.includes(url) && order.indexOf(url) < order.indexOf(upstream);
  return holds.filter((hold) => hold.isShown && !OUTVOTED.has(hold.kind) && now < hold.until && isPreferred(hold.upstream));
}

/** The hold that the status page names: one whose time is not over, of an upstream rather than of all, ahead rather than behind. */
export function mainHold(holds: readonly UpstreamHold[], now: number): Hold | null {
  const rank = ({ kind, upstream, until }: Hold): number =>
    Number(now >= until) * 4 + Number(upstream === null) * 2 + Number(OUTVOTED.has(kind));
  const [first] = holds.filter(({ isShown }) => isShown).toSorted((a, b) => rank(a) - rank(b));
  if (first === undefined) return null;
  const { isShown: _, ...hold } = first;
  return hold;
}
