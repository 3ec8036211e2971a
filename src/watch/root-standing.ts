/** How a published root stands to its upstreams. Times in milliseconds since the epoch. */
export interface RootStanding {
  readonly adoptedAt: number;
  /** When an upstream last confirmed it; while all is well, as of when this was told. */
  readonly confirmedAt: number;
  /** Since when an upstream has shown another root that could not be taken over; null: none does. */
  readonly behindSince: number | null;
  /** Why the last try did not end in a confirmed generation; null: it did. */
  readonly trouble: string | null;
}
