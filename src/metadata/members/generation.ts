import type { StoredObject } from "../../store/stored-object.ts";
import type { ParsedRoot } from "../formats/parsed-root.ts";

/** A root or companion as it lies in the store. */
export interface StoredFile {
  readonly path: string;
  readonly key: string;
  readonly object: StoredObject;
}

/** A root and what moves together with it, published by one swap. */
export interface Generation {
  readonly root: StoredFile;
  /** The upstream's validators of the root, verbatim, and when it last gave them (milliseconds since the epoch). */
  readonly validators: { readonly etag?: string; readonly lastModified?: string; readonly receivedAt?: number };
  readonly companions: readonly StoredFile[];
  /** Null for a root that stands alone (pacman, Alpine). */
  readonly parsed: ParsedRoot | null;
  readonly adoptedAt: number;
  /** Published although a signature belongs to another version of its file: looked at again at each expiry, changed or not. */
  readonly mismatched?: true;
}

/** A root and what it says, published or about to be. */
export type RootContent = Pick<Generation, "root" | "parsed">;

/** How things stand with a root's upstream. Times in milliseconds since the epoch; 0 for never. */
export interface Standing {
  /** When an upstream last confirmed the held generation. */
  readonly confirmedAt: number;
  readonly triedAt: number;
  /** Why the last try did not end in a confirmed generation. */
  readonly trouble: string | null;
  /** The trouble is a sync under way upstream: no request need wait for the next try. */
  readonly halfWay: boolean;
  /** Since when every reachable upstream has shown an older root, or none. */
  readonly doubtSince: number | null;
  /** Since when an upstream has shown another root that could not be taken over. */
  readonly behindSince: number | null;
}

export const NEVER_TRIED: Standing = { confirmedAt: 0, triedAt: 0, trouble: null, halfWay: false, doubtSince: null, behindSince: null };
