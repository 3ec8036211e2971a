/** What Cloudflare bills, in the order of the bill. */
export type Item =
  | "Workers requests"
  | "Workers CPU"
  | "Workers Logs"
  | "Workers Logs storage"
  | "R2 storage"
  | "R2 class A"
  | "R2 class B"
  | "Durable Object requests"
  | "Durable Object duration"
  | "Durable Object rows written"
  | "Durable Object storage";

/** The price of one item: US dollars for `per` units beyond what is included in a month. `isWhole`: Cloudflare bills whole multiples of `per`, rounded up. */
export interface Price {
  readonly unit: string;
  readonly dollars: number;
  readonly per: number;
  readonly included: number;
  readonly isWhole?: true;
}

/**
 * Cloudflare's prices from December 2026 on, paid plan; R2's are the same on both (pricing pages of Workers, R2, Durable Objects and Observability, read in
 * November 2026). Of the prices only that of Workers Logs changes then: until 30 November it is $0.60 a million lines beyond 20 million.
 */
export const PRICES: Readonly<Record<Item, Price>> = {
  "Workers requests": { unit: "requests", dollars: 0.3, per: 1e6, included: 10e6 },
  "Workers CPU": { unit: "ms", dollars: 0.02, per: 1e6, included: 30e6 },
  "Workers Logs": { unit: "GB", dollars: 0.25, per: 1, included: 50 },
  "Workers Logs storage": { unit: "GB-month", dollars: 0.1, per: 1, included: 12 },
  "R2 storage": { unit: "GB-month", dollars: 0.015, per: 1, included: 10, isWhole: true },
  "R2 class A": { unit: "operations", dollars: 4.5, per: 1e6, included: 1e6, isWhole: true },
  "R2 class B": { unit: "operations", dollars: 0.36, per: 1e6, included: 10e6, isWhole: true },
  "Durable Object requests": { unit: "requests", dollars: 0.15, per: 1e6, included: 1e6, isWhole: true },
  "Durable Object duration": { unit: "GB-s", dollars: 12.5, per: 1e6, included: 400e3, isWhole: true },
  "Durable Object rows written": { unit: "rows", dollars: 1, per: 1e6, included: 50e6 },
  "Durable Object storage": { unit: "GB-month", dollars: 0.2, per: 1, included: 5 },
};

export const PAID_PLAN_DOLLARS = 5;

/** Daily limits of the free plan; what goes beyond them fails, or is not logged. */
export const FREE_A_DAY: Partial<Record<Item, number>> = {
  "Workers requests": 100e3,
  "Workers Logs": 0.5,
  "Durable Object requests": 100e3,
  "Durable Object duration": 13e3,
  "Durable Object rows written": 100e3,
};
