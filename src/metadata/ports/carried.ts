import type { RepositoryPlace } from "../../route/place.ts";
import type { NamedDigest } from "../../verify/expectation.ts";

/** A file of a generation, as it lies in the store. */
export interface CarriedFile {
  /** Decoded canonical path below the mirror. */
  readonly path: string;
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** Of a root or a companion its SHA-256; of a member the digest by which its root names it. */
  readonly digest: NamedDigest;
}

/** A published generation as a bundle carries it: its root, what is published with that, and those of its members that the store has. */
export interface CarriedGeneration {
  readonly mirror: string;
  readonly place: RepositoryPlace;
  readonly root: CarriedFile;
  readonly companions: readonly CarriedFile[];
  readonly members: readonly CarriedFile[];
}

/** A generation that is to be published: by path the keys under which the store has the root and its companions, and the paths of the members. */
export interface BroughtGeneration {
  readonly mirror: string;
  readonly place: RepositoryPlace;
  readonly files: readonly { readonly path: string; readonly key: string }[];
  readonly members: readonly string[];
}
