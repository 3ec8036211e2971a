import { elapsedMs } from "../clock/elapsed.ts";
import type { DayCount } from "../watch/history.ts";
import type { BudgetView } from "./book.ts";
import type { Totals } from "./ledger-totals.ts";

/** With the first batch that comes so long after its last report, a ledger reports to the book in any case. */
const WAIT_MS = 30_000;

export interface BookReportsDependencies {
  /** Reports to the book, and returns its view. Rejects if it cannot be reached. */
  readonly report: (totals: Totals, arrived: readonly string[], days: readonly DayCount[]) => Promise<BudgetView> | BudgetView;
  /** Whether calls and rows are spared today (ledger.ts). */
  readonly isSparing: () => boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * Has a ledger report its batches to the book. While rows are spared, a batch of uses alone is no call of its own: what it adds to the counts of days goes
 * along with the next report, and its isolate gets the view of the last one. A restart loses the counts of half a minute at most.
 */
export function createBookReports({ report, isSparing, now }: BookReportsDependencies) {
  let last: { readonly at: number; readonly view: BudgetView } | null = null;
  let waiting: readonly DayCount[] = [];

  return {
    /** `arrived`: keys of what was stored. Rejects if the book cannot be reached: the caller sends the batch again. */
    async report(totals: Totals, arrived: readonly string[], days: readonly DayCount[]): Promise<BudgetView> {
      const isLate = last === null || elapsedMs(last.at, now()) >= WAIT_MS;
      if (last !== null && !isLate && arrived.length === 0 && isSparing()) {
        waiting = [...waiting, ...days];
        return last.view;
      }
      const before = waiting;
      waiting = [];
      try {
        const view = await report(totals, arrived, [...before, ...days]);
        last = { at: now(), view };
        return view;
      } catch (error) {
        waiting = [...before, ...waiting];
        throw error;
      }
    },
  };
}
