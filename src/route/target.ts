import type { Mirror } from "../config/config.ts";
import type { Place } from "./place.ts";

/** One file of a mirror, and what it is. */
export interface Target extends Place {
  readonly mirror: Mirror;
  /** Decoded canonical path below the mirror, without leading slash; ends with `/` for a listing; empty for the mirror's own top. */
  readonly path: string;
  /** Allowed query parameters, sorted, with `?`, or empty. */
  readonly query: string;
  /** `<mirror>/<path>` + query: the stored key. Of a file that is named by its digest the key of that, once it is located (`Keys` in store/keys.ts). */
  readonly key: string;
  /** Where a file that is named by its digest lies once it is proven, for all mirrors. */
  readonly sharedKey?: string;
}

/** Where a request goes, or why it goes nowhere. */
export type Routed =
  /**
   * `bareTop`: the client named the mirror's top without a slash behind it, so that relative links of its listing would lead past the mirror. It is the last name
   * of that path, encoded.
   */
  | { readonly kind: "mirror"; readonly target: Target; readonly bareTop?: string }
  /**
   * `/` on an unmapped host and everything under `/-/`; `path` is raw, with query. `authority` is the host with its port, of which `parseHost` can read the
   * host; empty: the client named none.
   */
  | { readonly kind: "site"; readonly path: string; readonly authority: string }
  | { readonly kind: "refused"; readonly status: 400 | 404 | 414 | 421; readonly detail: string };
