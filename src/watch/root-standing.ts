/** How a published root compares with its upstreams. Times are milliseconds since the epoch. */
export interface RootStanding {
  /** When the published generation was adopted. */
  readonly adoptedAt: number;
  /** When an upstream last confirmed it. While there is no trouble, later confirmations are not reported, and the real time may be later. */
  readonly confirmedAt: number;
  /** Since when an upstream has had another root that could not be adopted; null: no upstream has. */
  readonly behindSince: number | null;
  /** Why no upstream confirmed the generation at the last try; null: one did. */
  readonly trouble: string | null;
}
