import type { StoredObject } from "../../store/stored-object.ts";
import type { Hold, Hole } from "../../watch/hold.ts";
import type { ParsedRoot } from "../formats/parsed-root.ts";

/** A root or companion as it lies in the store. */
export interface StoredFile {
  /** Decoded canonical path below the mirror. */
  readonly path: string;
  readonly key: string;
  readonly object: StoredObject;
}

/** A root and what moves together with it, published by one swap. */
export interface Generation {
  readonly root: StoredFile;
  /** Validators of the root, verbatim, when they were last received (milliseconds since the epoch), and the configured URL of the upstream they mean. */
  readonly validators: { readonly etag?: string; readonly lastModified?: string; readonly receivedAt?: number; readonly upstream?: string };
  readonly companions: readonly StoredFile[];
  /** Null for a root that stands alone (pacman, Alpine). */
  readonly parsed: ParsedRoot | null;
  /** Milliseconds since the epoch. */
  readonly adoptedAt: number;
  /** Published although a signature belongs to another version of its file: fetched anew at each expiry, changed or not. */
  readonly mismatched?: true;
  /** A newer generation was given up for this one after an hour in which no reachable upstream had it: another upstream may have a newer one again. */
  readonly retreated?: true;
}

/** A root and what it names, published or about to be. */
export type RootContent = Pick<Generation, "root" | "parsed">;

/** What an upstream shows in place of the held generation, and since when. */
export interface UpstreamHold extends Hold {
  /** Whether the upstream showed it when it was last asked, and no other generation was published since. */
  readonly isShown: boolean;
}

/** How the held generation of a root stands to its upstreams. Times in milliseconds since the epoch; 0 for never. */
export interface Standing {
  /** When an upstream last confirmed the held generation. */
  readonly confirmedAt: number;
  /** When upstreams were last asked for the root. */
  readonly triedAt: number;
  /** Why the last try did not end in a confirmed generation; null: it did. */
  readonly trouble: string | null;
  /** Since when every reachable upstream has shown a root that is doubted, or none; null: not all do. */
  readonly doubtSince: number | null;
  /** Since when an upstream has shown another root that could not be adopted; null: none does. */
  readonly behindSince: number | null;
  /** At most one of a kind for each upstream. */
  readonly holds: readonly UpstreamHold[];
  readonly holes: readonly Hole[];
}

/** The standing of a root before its first try; what a standing lacks that an earlier version saved. */
export const NEVER_TRIED: Standing = {
  confirmedAt: 0,
  triedAt: 0,
  trouble: null,
  doubtSince: null,
  behindSince: null,
  holds: [],
  holes: [],
};
