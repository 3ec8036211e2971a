import type { Mirror } from "../../config/config.ts";
import type { RepositoryPlace } from "../../route/place.ts";
import { newVersion, sliceKey } from "../../store/keys.ts";
import type { ObjectStore } from "../../store/object-store.ts";
import { LostBytesError, readObject, readStream } from "../../store/read-object.ts";
import type { NamedPackage } from "../formats/named-package.ts";
import { type IndexOptions, parseIndex } from "../formats/parse-index.ts";
import type { RootContent } from "../members/generation.ts";
import { memberCandidates, type Members } from "../members/members.ts";
import type { EnsureStoredAnswer } from "../ports/ensure-stored.ts";
import type { Index, IndexForm } from "./choose-indexes.ts";
import { describeSetAside, type ReadingWatch, UNWATCHED } from "../../watch/readings.ts";
import { isBelow, readingsOf } from "./readings.ts";
import { createRecordSorter, MAX_TABLE_BYTES, type RecordSorter, type Scratch } from "./sort-records.ts";
import { type TableRef, writeTable, type WriteTableDependencies } from "./write-table.ts";

/** Real roots name up to six compressions of an index. */
const MAX_REASONS = 6;
const MAX_REASON_CHARACTERS = 500;

export interface BuildDependencies extends Pick<IndexOptions, "xz" | "breathe"> {
  readonly mirror: Mirror;
  readonly store: ObjectStore;
  readonly now: () => number;
  /** Default: nothing is set aside, and no process watches. */
  readonly readings?: ReadingWatch;
}

/** What came of the indexes of a root. */
export interface BuiltTable {
  /** Null: no index could be read, or they name too much. */
  readonly table: TableRef | null;
  /** Some of its paths lie outside the base. */
  readonly isReaching: boolean;
  /** Packages that were read, and entries or whole indexes that could not be used. */
  readonly found: number;
  readonly skipped: number;
  /** What was skipped and why, or why there is no table, as a phrase; null: nothing was. */
  readonly detail: string | null;
}

/**
 * Makes a table of all that the indexes of a root name. Of each index the first form that is there and can be read is taken. An index of which none can
 * be read is left out. Throws StoreError.
 */
export async function buildTable(
  place: RepositoryPlace,
  root: RootContent,
  indexes: readonly Index[],
  members: Members,
  deps: BuildDependencies & Pick<WriteTableDependencies, "isLost">,
): Promise<BuiltTable> {
  const { readings = UNWATCHED } = deps;
  const aside = readings.setAside(deps.mirror.name, place.base, "index");
  if (aside !== null) return { table: null, isReaching: false, found: 0, skipped: 0, detail: describeSetAside(aside) };
  const scratch = createScratch(deps.store);
  const sorter = createRecordSorter({ scratch, breathe: deps.breathe });
  let [found, skipped, readable] = [0, 0, 0];
  let [isFull, isReaching] = [false, false];
  let detail: string | null = null;

  function add(indexPath: string, package_: NamedPackage): void {
    const { size, digests, name, version, architecture } = package_;
    const paths = readingsOf(place, indexPath, package_, deps.mirror);
    if (paths.length === 0) {
      skipped++;
      detail ??= `${JSON.stringify(package_.location.slice(0, 120))} lies outside this mirror`;
    }
    // One digest is enough to bind a file: that which fills compute anyway, or else the strongest.
    const digest = digests.find(({ algorithm }) => algorithm === "sha256") ?? digests[0];
    const facts = {
      ...(size === undefined ? {} : { size }),
      digests: digest === undefined ? [] : [digest],
      ...(name === undefined ? {} : { name }),
      ...(version === undefined ? {} : { version }),
      ...(architecture === undefined ? {} : { architecture }),
    };
    for (const path of paths) {
      isReaching ||= !isBelow(path, place.base);
      isFull ||= !sorter.add({ path, ...facts });
    }
  }

  try {
    for (const index of indexes) {
      // One index at a time keeps memory flat.
      const read = await readFirst(place, root, index.forms, members, sorter, add, deps);
      if (isFull)
        return { table: null, isReaching, found, skipped, detail: `it names more than ${MAX_TABLE_BYTES / 1024 ** 2} MiB of packages` };
      if (typeof read === "string") {
        skipped++;
        detail = read;
        continue;
      }
      readable++;
      found += read.found;
      skipped += read.skipped;
      detail ??= read.example;
    }
    const table = readable === 0 ? null : await writeTable(sorter.sorted(), deps);
    return { table, isReaching, found, skipped, detail };
  } finally {
    await sorter.clear();
  }
}

/** Reads the first form that can be read. A text: why none can. */
async function readFirst(
  place: RepositoryPlace,
  root: RootContent,
  forms: readonly IndexForm[],
  members: Members,
  sorter: RecordSorter,
  add: (indexPath: string, named: NamedPackage) => void,
  { mirror, store, xz, breathe, readings = UNWATCHED }: BuildDependencies,
) {
  const reasons: string[] = [];
  const { base, kind } = place;
  if (kind === "pair") return "it is no index of packages";
  const left = [...forms];
  const lost = new Set<string>();
  for (const form of left) {
    const { path, key, entry } = form;
    if (entry !== null) {
      const answer = await members.ensure(entry, memberCandidates(entry, root.parsed?.byHash ?? false));
      if (answer.kind !== "stored") {
        reasons.push(`${path}: ${whyNotStored(answer)}`);
        continue;
      }
    }
    try {
      // The parser breathes before the sorter has more than fits in memory.
      const relieve = async (): Promise<void> => {
        await sorter.relieve();
        await breathe();
      };
      return await readings.during({ mirror: mirror.name, base, part: "index", file: path }, relieve, (own) =>
        parseIndex(kind, readObject(store, key), { openSize: entry?.openSize, xz, breathe: own }, (named) => add(path, named)),
      );
    } catch (error) {
      if (error instanceof LostBytesError && entry !== null && !lost.has(key)) {
        // Its head is there, and not all of its bytes: it is fetched anew.
        lost.add(key);
        members.forget(key);
        await store.delete([key]);
        left.push(form);
        continue;
      }
      reasons.push(`${path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return reasons.length === 0 ? "no form of an index that it names can be read" : describeAll(reasons);
}

/** For the log and the status page, which a root of 20,000 forms is not to fill: the first reasons, and how many more there are. */
function describeAll(reasons: readonly string[]): string {
  const shown = reasons.slice(0, MAX_REASONS).map((reason) => reason.slice(0, MAX_REASON_CHARACTERS));
  const left = reasons.length - shown.length;
  return [...shown, ...(left === 0 ? [] : [`and ${left} more`])].join("; ");
}

function whyNotStored(answer: Exclude<EnsureStoredAnswer, { kind: "stored" }>): string {
  if (answer.kind === "failure") return answer.detail;
  return answer.kind === "unkept" ? answer.reason : `the upstream does not have it as named (${answer.kind})`;
}

/** Parts of a sort lie as slices of a version that no object has: what a restart leaves of them the retention deletes a day later. */
function createScratch(store: ObjectStore): Scratch {
  const version = newVersion();
  let parts = 0;
  return {
    async write(part) {
      await store.putSlice(version, parts, part);
      return parts++;
    },
    async read(part) {
      const slice = await store.getSlice(version, part);
      if (slice === null) throw new Error("a part of a sort is not in the store any more");
      return readStream(slice);
    },
    async clear() {
      if (parts > 0) await store.delete(Array.from({ length: parts }, (_, part) => sliceKey(version, part)));
    },
  };
}
