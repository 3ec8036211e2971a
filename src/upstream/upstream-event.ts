import type { Availability } from "./health.ts";

/** What happened to an upstream, for log and status page. `upstream` is its configured URL, `path` as in `UpstreamRequest`. */
export type UpstreamEvent =
  /** The breaker opened for `openMs` milliseconds, or closed. */
  | { readonly kind: "breaker"; readonly upstream: string; readonly state: "open" | "closed"; readonly openMs: number }
  /** The upstream gave no usable response; `detail` continues a sentence that begins with the upstream. */
  | { readonly kind: "fault"; readonly upstream: string; readonly path: string; readonly detail: string }
  /** A body broke off after the bytes before `position` of the file. */
  | { readonly kind: "broken"; readonly upstream: string; readonly path: string; readonly position: number; readonly detail: string }
  /** This upstream continues a broken body at `position`. */
  | { readonly kind: "resumed"; readonly upstream: string; readonly path: string; readonly position: number };

/** One upstream, as the status page shows it. */
export interface UpstreamStatus {
  readonly upstream: string;
  readonly state: Availability;
  /** Failures in a row. */
  readonly failures: number;
  /** Moving averages; undefined until measured. */
  readonly firstByteMs: number | undefined;
  readonly bytesPerSecond: number | undefined;
  /** Bodies under way in this isolate. */
  readonly bodies: number;
}
