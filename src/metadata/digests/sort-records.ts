import { createPageWriter, encodeRecord, isTablePath, type RawRecord, readPage, type TableRecord } from "./table-format.ts";

/** Records that are sorted in one turn of the event loop: some 5 ms. */
const RUN_RECORDS = 2_000;
/** Sorted runs that memory holds; beyond this they are merged into a longer one, which the scratch store takes. */
const MAX_RUN_BYTES = 8 * 1024 * 1024;
/** Bytes of a part of such a longer run: one is in memory for each run that is being merged. */
const PART_BYTES = 512 * 1024;
/** Bytes of all records, about 1,200,000 of them. Debian's main with its sources in three architectures takes 22 MB. */
export const MAX_TABLE_BYTES = 128 * 1024 * 1024;
/** Records that a merge takes in one turn, whether they come out or not. */
const BATCH_RECORDS = 1_000;

/** Records of one path that differ: more are left out. They lie in one page. */
const MAX_SAME_PATH = 32;

/** Takes parts of sorted runs that do not fit in memory, for the time of one sort. */
export interface Scratch {
  /** Returns what `read` takes. */
  write(part: Uint8Array): Promise<number>;
  read(part: number): Promise<Uint8Array>;
  /** Deletes all parts. */
  clear(): Promise<void>;
}

export interface SortOptions {
  readonly scratch: Scratch;
  /** Gives other work its turn. */
  readonly breathe: () => Promise<void>;
  /** Default: MAX_TABLE_BYTES. */
  readonly maxBytes?: number;
  /** Default: MAX_RUN_BYTES. */
  readonly maxRunBytes?: number;
}

export type RecordSorter = ReturnType<typeof createRecordSorter>;

/**
 * Sorts records by path, in short turns and in some 20 MB of memory however many there are: what comes is sorted in runs, which are kept as the bytes of
 * pages (a tenth of the memory of objects), and merged. Equal records come out once.
 */
export function createRecordSorter({ scratch, breathe, maxBytes = MAX_TABLE_BYTES, maxRunBytes = MAX_RUN_BYTES }: SortOptions) {
  let batch: RawRecord[] = [];
  let runs: Uint8Array[] = [];
  let runBytes = 0;
  /** Runs in the scratch store: the parts of each. */
  const longRuns: number[][] = [];
  let total = 0;

  function closeBatch(): void {
    if (batch.length === 0) return;
    const page = createPageWriter();
    for (const record of batch.toSorted(byPath)) page.add(record);
    const run = page.finish();
    runs.push(run);
    runBytes += run.length;
    total += run.length;
    batch = [];
  }

  /** Merges the runs in memory into one in the scratch store. */
  async function moveOut(): Promise<void> {
    const parts: number[] = [];
    let page = createPageWriter();
    for await (const records of merge(runs.map(readRun), breathe)) {
      for (const record of records) page.add(record);
      if (page.bytes < PART_BYTES) continue;
      parts.push(await scratch.write(page.finish()));
      page = createPageWriter();
    }
    parts.push(await scratch.write(page.finish()));
    longRuns.push(parts);
    [runs, runBytes] = [[], 0];
  }

  async function* readLongRun(parts: readonly number[]): AsyncGenerator<readonly RawRecord[]> {
    for (const part of parts) yield* readRun(await scratch.read(part));
  }

  return {
    /** False: the records take more than `maxBytes`; this one, and all after it, are not taken. Leaves out what no table can hold. */
    add(record: TableRecord): boolean {
      if (total > maxBytes) return false;
      if (isTablePath(record.path)) batch.push(encodeRecord(record));
      if (batch.length >= RUN_RECORDS) closeBatch();
      return true;
    },
    /** To be awaited now and then while records come: moves out what is too much for memory. */
    async relieve(): Promise<void> {
      if (runBytes > maxRunBytes) await moveOut();
    },
    /** All records in order, some at a time. Nothing may be added any more. */
    async *sorted(): AsyncGenerator<readonly RawRecord[]> {
      closeBatch();
      const sources = [...longRuns.map(readLongRun), ...runs.map(readRun)];
      yield* merge(sources, breathe);
    },
    clear: scratch.clear,
  };
}

function byPath(one: RawRecord, other: RawRecord): number {
  return one.path < other.path ? -1 : one.path > other.path ? 1 : 0;
}

/** The records of a run, decoded some at a time. */
async function* readRun(run: Uint8Array): AsyncGenerator<readonly RawRecord[]> {
  let records: RawRecord[] = [];
  for (const record of readPage(run)) {
    if (records.push(record) < 100) continue;
    yield records;
    records = [];
  }
  if (records.length > 0) yield records;
}

/** One of the runs that are being merged, at its next record. */
interface Cursor {
  readonly rest: AsyncIterator<readonly RawRecord[]>;
  records: readonly RawRecord[];
  at: number;
  next: RawRecord;
}

async function* merge(runs: readonly AsyncIterable<readonly RawRecord[]>[], breathe: () => Promise<void>): AsyncGenerator<RawRecord[]> {
  /** A heap: the cursor at `n` is not behind those at `2n + 1` and `2n + 2`. */
  const heap: Cursor[] = [];
  for (const run of runs) {
    const rest = run[Symbol.asyncIterator]();
    const first = await rest.next();
    const next = first.done === true ? undefined : first.value[0];
    if (first.done !== true && next !== undefined) heap.push({ rest, records: first.value, at: 0, next });
  }
  for (let at = heap.length - 1; at >= 0; at--) sink(heap, at);
  let batch: RawRecord[] = [];
  /** Records of one path that came out already. */
  let same: RawRecord[] = [];
  let taken = 0;
  for (let cursor = heap[0]; cursor !== undefined; cursor = heap[0]) {
    const record = cursor.next;
    if (same[0]?.path !== record.path) same = [];
    if (same.length < MAX_SAME_PATH && !same.some((one) => isEqual(one, record))) {
      same.push(record);
      batch.push(record);
    }
    // Most often the next record is decoded already: a promise for each would take longer than the merge.
    const more = advance(cursor);
    if (!(more === true || (await more))) {
      const last = heap.pop();
      if (heap.length > 0 && last !== undefined) heap[0] = last;
    }
    sink(heap, 0);
    if (++taken < BATCH_RECORDS) continue;
    if (batch.length > 0) yield batch;
    [batch, taken] = [[], 0];
    await breathe();
  }
  if (batch.length > 0) yield batch;
}

/** False: the run has ended. Waits only where the next records are not decoded yet. */
function advance(cursor: Cursor): boolean | Promise<boolean> {
  const next = cursor.records[++cursor.at];
  if (next === undefined) return refill(cursor);
  cursor.next = next;
  return true;
}

async function refill(cursor: Cursor): Promise<boolean> {
  const more = await cursor.rest.next();
  const [next] = more.done === true ? [] : more.value;
  if (more.done === true || next === undefined) return false;
  [cursor.records, cursor.at, cursor.next] = [more.value, 0, next];
  return true;
}

/** Moves the cursor at `from` down to where none before it in the order of paths is below it. */
function sink(heap: Cursor[], from: number): void {
  const moved = heap[from];
  if (moved === undefined) return;
  let at = from;
  for (;;) {
    const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]];
    const least = right !== undefined && left !== undefined && right.next.path < left.next.path ? right : left;
    if (least === undefined || least.next.path >= moved.next.path) break;
    heap[at] = least;
    at = least === left ? 2 * at + 1 : 2 * at + 2;
  }
  heap[at] = moved;
}

function isEqual({ facts: one }: RawRecord, { facts: other }: RawRecord): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
