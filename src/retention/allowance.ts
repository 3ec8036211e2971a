import type { Config } from "../config/config.ts";

/** A second of the scrub on one machine, where reading costs nothing; at the edge R2 bills each read, so that it is off. */
export const LOCAL_SCRUB_BYTES = 1024 * 1024;

/** What a ledger at the edge may write, and what isolates may report to it, in a day (UTC): Cloudflare bills each row and each call. */
export interface LedgerAllowance {
  /** After so many rows a Durable Object of a ledger writes only what it has to (ledger.ts, history.ts, shard-totals.ts). */
  readonly freeRows: number;
  /** About as many uses are reported at most; with more requests isolates report a random part of them (sample-uses.ts). */
  readonly usesADay: number;
}

/** Of the paid plan's 50 million rows a month, and of the free plan's 100,000 a day, most are left for what is stored and evicted (docs/retention.md). */
const ALLOWANCES: Readonly<Record<Config["plan"], LedgerAllowance>> = {
  free: { freeRows: 3_000, usesADay: 10_000 },
  paid: { freeRows: 10_000, usesADay: 250_000 },
};

/** By the Cloudflare plan. */
export function allowanceOf(plan: Config["plan"]): LedgerAllowance {
  return ALLOWANCES[plan];
}
