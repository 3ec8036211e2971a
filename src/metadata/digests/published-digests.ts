import { distributionOf } from "../../config/distributions.ts";
import type { Target } from "../../route/target.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import { readPart } from "../../store/read-object.ts";
import type { Expectation, Expected } from "../../verify/expectation.ts";
import { type Digest, findInPage, PAGE_BYTES, pageOffset } from "./digest-table.ts";
import { type Lookup, type LookUpTable, tableKey, type TableRef } from "./table-directory.ts";

/** Pages of digest tables that are kept in memory: 4 MiB. */
const MAX_PAGES = 1024;

/** What the published indexes of a mirror say of a package. Rejects if the directory of tables cannot be asked, and with StoreError. */
export type PublishedDigests = (target: Target, waitMs: number) => Promise<Expected>;

export interface PublishedDigestsDependencies {
  readonly store: Pick<ObjectStore, "get" | "getSlice">;
  readonly lookUp: LookUpTable;
}

/** Looks packages up in the digest tables: one page of 4 KiB for each, from memory where it was read before. */
export function createPublishedDigests({ store, lookUp }: PublishedDigestsDependencies): PublishedDigests {
  const pagesRead = new Map<string, Uint8Array>();

  return async ({ mirror, path }, waitMs) => {
    if (distributionOf(mirror.distro).indexesNamePackages === false) return { kind: "none" };
    let first = await lookUp(mirror.name, path, 0);
    let found = await ask(first, path);
    if (found.kind === "none" && first.remembered === true) {
      // A table that was published since then may name it: clients ask for an update's new packages right away.
      const remembered = first.table?.version;
      first = await lookUp(mirror.name, path, 0);
      if (first.table?.version !== remembered) found = await ask(first, path);
    }
    if (found.kind !== "none" || !first.building) return found;
    const later = waitMs > 0 ? await lookUp(mirror.name, path, waitMs) : first;
    found = await ask(later, path);
    return found.kind === "none" && later.building ? { kind: "building" } : found;
  };

  async function ask({ base, table }: Lookup, path: string): Promise<Expected> {
    if (table === null) return { kind: "none" };
    const relative = base === null || base === "" ? path : path.slice(base.length + 1);
    const page = await readPage(table, relative);
    const [first, ...others] = page === null ? [] : findInPage(page, relative);
    return first === undefined ? { kind: "none" } : { kind: "known", expectations: [expect(first), ...others.map(expect)] };
  }

  /** Reads a page once: pages never change under their version. A small repository's pages are soon all in memory. Null: the store lost it. */
  async function readPage(table: TableRef, path: string): Promise<Uint8Array | null> {
    const offset = pageOffset(path, table.pages);
    const name = `${table.version}/${offset}`;
    const known = pagesRead.get(name);
    if (known !== undefined) return known;
    const page = await readPart(store, tableKey(table), table, offset, PAGE_BYTES);
    if (page === null) return null;
    if (pagesRead.size >= MAX_PAGES) pagesRead.clear();
    pagesRead.set(name, page);
    return page;
  }
}

function expect({ sha256, size }: Digest): Expectation {
  return { algorithm: "sha256", digest: sha256, size, source: "index" };
}
