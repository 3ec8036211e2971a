import type { Mirror } from "../../config/config.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import { rewriteObject } from "../../store/rewrite-object.ts";
import { compare, measuredOf } from "../../verify/compare.ts";
import { foldersAbove } from "../formats/repository-path.ts";
import type { Log } from "../ports/kept-state.ts";
import type { StoredRows } from "../ports/stored-rows.ts";
import { expectationsOf } from "./expectations.ts";
import type { Tables } from "./read-table.ts";
import { isBelow } from "./readings.ts";
import { decodeRecord, type TableRecord } from "./table-format.ts";

/** Rows that are looked for in one call of the ledger. */
const ROWS_PER_TURN = 200;

export interface DoubtDependencies {
  readonly mirror: Pick<Mirror, "name">;
  readonly store: ObjectStore;
  readonly rows: Pick<StoredRows, "pick">;
  /** Configured length of slices: an object stored as one is at most this long. */
  readonly sliceBytes: number;
  readonly breathe: () => Promise<void>;
  readonly log: Log;
}

export interface Reach {
  readonly base: string;
  /** Version of the root's table before; null: there was none. */
  readonly from: string | null;
  readonly to: string;
  readonly tables: Tables;
  /** The folders of all repositories of the mirror. */
  readonly bases: readonly string[];
}

/**
 * An index may name packages outside its folder (`../../blob/x.rpm`). Where no repository is nearer to such a path, and the stored copy is not the file that
 * the new table names, the copy is marked `provisional`: the next request fetches it anew. It is not deleted, for the folder may belong to an owner whom
 * the repository does not know. Never rejects.
 */
export async function doubtOutside({ base, from, to, tables, bases }: Reach, deps: DoubtDependencies): Promise<void> {
  const { mirror, rows, store, sliceBytes, breathe, log } = deps;
  const known = new Set(bases);
  let named = new Map<string, readonly TableRecord[]>();
  let count = 0;
  try {
    for await (const { path, records } of from === null ? recordsOf(tables, to) : changesOf(tables, from, to)) {
      if (records.length === 0 || isBelow(path, base) || foldersAbove(path).some((folder) => known.has(folder))) continue;
      const key = `${mirror.name}/${path}`;
      named.set(key, [...(named.get(key) ?? []), ...records]);
      if (named.size >= ROWS_PER_TURN) await doubtAll();
    }
    await doubtAll();
  } catch (error) {
    log("warn", `${mirror.name}: cannot compare what is stored outside ${base} with its index: ${String(error)}`);
  }
  if (count > 0)
    log(
      "info",
      `${mirror.name}: ${count} packages outside ${base} have other digests by its index: they are fetched anew at their next use`,
    );

  async function doubtAll(): Promise<void> {
    const turn = named;
    named = new Map();
    for (const { key } of await rows.pick([...turn.keys()])) {
      const object = await store.head(key);
      const expectations = expectationsOf(turn.get(key) ?? []);
      if (object === null || object.provisional === true || expectations.length === 0) continue;
      if (compare(expectations, measuredOf(object)) === "same") continue;
      await rewriteObject(store, key, object.version, sliceBytes, (current) => ({ ...current, provisional: true }));
      count++;
    }
    await breathe();
  }
}

interface Named {
  readonly path: string;
  readonly records: readonly TableRecord[];
}

async function* recordsOf(tables: Tables, version: string): AsyncGenerator<Named> {
  for await (const page of tables.read({ version })) {
    for (const record of page) yield { path: record.path, records: [decodeRecord(record)] };
  }
}

async function* changesOf(tables: Tables, from: string, to: string): AsyncGenerator<Named> {
  for await (const { path, after } of tables.differences({ version: from }, { version: to })) yield { path, records: after };
}
