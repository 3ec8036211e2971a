import type { Mirror } from "../../config/config.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import type { Log } from "../ports/kept-state.ts";
import { isCompatible } from "./expectations.ts";
import { LostTableError, type Tables } from "./read-table.ts";
import { isBelow } from "./readings.ts";
import type { DeletedHeads } from "./deleted-heads.ts";
import type { TableRef } from "./write-table.ts";

/** Heads of changed packages that one call to the store deletes. */
const DELETE_AT_ONCE = 1000;
/** For so many changed packages at once the store is asked whether it has one. */
const LOOKS_AT_ONCE = 20;
/**
 * After so many of which it had none (a look takes two of the 1,000 calls that a request of the free plan may make), the others are not asked for and one is taken to be there: the root then waits for no reason, which does no
 * harm.
 */
const MAX_LOOKS = 200;

export interface ChangeDependencies {
  readonly mirror: Pick<Mirror, "name">;
  readonly store: Pick<ObjectStore, "delete" | "head">;
  /** Learns when heads that were stored are deleted. */
  readonly deleted: Pick<DeletedHeads, "areCached" | "note">;
  readonly log: Log;
}

export interface Change {
  readonly base: string;
  readonly root: string;
  readonly from: TableRef;
  readonly to: TableRef;
  /** Versions of the tables of the repository's other live roots. */
  readonly others: readonly string[];
  /** Folders of other repositories below the base. */
  readonly nested: readonly string[];
  readonly tables: Tables;
}

/**
 * Deletes the heads of packages whose digest the new table changes, without those that another live root still names with the old one: a stored copy may
 * be either file. Packages outside the base, or in the folder of another repository, are not this one's.
 */
export async function deleteChanged({ base, root, from, to, others, nested, tables }: Change, deps: ChangeDependencies): Promise<void> {
  const { mirror, store, deleted, log } = deps;
  if (from.version === to.version) return;
  let keys: string[] = [];
  let [count, example] = [0, ""];
  let [looks, isAnyStored] = [0, false];
  try {
    for await (const { path, before: was, after: is } of tables.differences(from, to)) {
      if (was.length === 0 || is.length === 0 || isCompatible(was, is)) continue;
      if (!isBelow(path, base) || nested.some((other) => isBelow(path, other))) continue;
      let isNamed = false;
      for (const version of others) isNamed ||= isCompatible(was, await tables.lookUp({ version }, path));
      if (isNamed) continue;
      keys.push(`${mirror.name}/${path}`);
      if (count++ === 0) example = path;
      if (keys.length < DELETE_AT_ONCE) continue;
      await deleteAll(keys);
      keys = [];
    }
  } catch (error) {
    // A lost table is made anew, and all that is stored compared with it.
    if (!(error instanceof LostTableError)) throw error;
    log("warn", `${mirror.name}: cannot compare the digest tables of ${root}: ${error.message}`);
  }
  if (keys.length > 0) await deleteAll(keys);
  if (count > 0) log("info", `${mirror.name}: ${count} packages below ${base === "" ? "the top" : base} have new digests, e.g. ${example}`);

  async function deleteAll(changed: readonly string[]): Promise<void> {
    if (deleted.areCached) isAnyStored ||= await isOneStored(changed);
    // Before as well: who begins anew after a restart finds nothing left to delete.
    if (isAnyStored) deleted.note(root);
    await store.delete(changed);
    if (isAnyStored) deleted.note(root);
  }

  async function isOneStored(changed: readonly string[]): Promise<boolean> {
    for (let at = 0; at < changed.length; at += LOOKS_AT_ONCE) {
      const some = changed.slice(at, at + LOOKS_AT_ONCE);
      looks += some.length;
      const heads = await Promise.all(some.map((key) => store.head(key)));
      if (looks >= MAX_LOOKS || heads.some((head) => head !== null)) return true;
    }
    return false;
  }
}
