import type { Availability } from "./health.ts";

/** What a log or a status page wants to know. */
export type UpstreamEvent =
  | { readonly kind: "breaker"; readonly upstream: string; readonly state: "open" | "closed"; readonly openMs: number }
  /** An upstream gave no usable answer. */
  | { readonly kind: "fault"; readonly upstream: string; readonly path: string; readonly detail: string }
  /** A body broke at `position` of the file. */
  | { readonly kind: "broken"; readonly upstream: string; readonly path: string; readonly position: number; readonly detail: string }
  | { readonly kind: "resumed"; readonly upstream: string; readonly path: string; readonly position: number };

/** One upstream on a status page. */
export interface UpstreamStatus {
  readonly upstream: string;
  readonly state: Availability;
  readonly failures: number;
  readonly firstByteMs: number | undefined;
  readonly bytesPerSecond: number | undefined;
  /** Bodies under way in this isolate. */
  readonly bodies: number;
}
