import type { Item } from "./prices.ts";

/** A month's traffic of a mirror. Shares are numbers from 0 to 1. */
export interface Traffic {
  readonly plan: "free" | "paid";
  /** All requests of clients in the month. */
  readonly requests: number;
  /** Sent to clients, in GB (10⁹ bytes). */
  readonly gb: number;
  /** At rest in R2, in GB. */
  readonly storedGb: number;
  /** Share of all requests that ask for repository metadata (roots and members). */
  readonly metadata: number;
  /** Share of the package requests that are the first for their file. */
  readonly cold: number;
  /** Share of the other package requests (warm ones) that a data centre's cache answers, head and all. */
  readonly cached: number;
  /** Share of the slices that the nearest data centre lacks and the upper tier of Workers Cache has. */
  readonly upper: number;
  /** Share of the metadata requests that call no repository: the name is a digest, or the isolate remembers the answer. */
  readonly remembered: number;
  /** Copies of the Worker that are busy all the time. */
  readonly isolates: number;
}

const SLICE_BYTES = 8 * 1024 * 1024;
const DAYS = 30;
const MINUTES = DAYS * 24 * 60;

/** R2 reads (class B) of one request by its kind, as test/worker/budget.test.ts proves them. */
const CLASS_B = { warm: 1, cold: 1, table: 1, metadata: 1 };
const WRITES_FOR_SLICED_HEAD = 2;
/**
 * What lies under its digest (metadata, pages of digest tables) a data centre's cache keeps for a day, head and all, and clients ask for the same few files all
 * over: where a cache answers at all, it answers so much of it.
 */
const CACHED_BY_DIGEST = 0.98;
/** CPU milliseconds of one answer, and of one GB that the pump fetches: workerd's own, without the system's, measured by bench/cpu-per-mb.ts. */
const CPU_MS = { request: 0.31, coldGb: 870 };
/** A coordinator, billed as 128 MB, runs while its file is fetched, at this speed. */
const FETCH_MB_PER_SECOND = 20;
const OBJECT_GB = 0.128;
const CALL_SECONDS = 0.01;

/** The ledger (docs/retention.md): mirrors with traffic, repositories, and what its allowance of the plan lets isolates report in a day. */
const LEDGER = {
  paid: { mirrors: 12, repositories: 100, usesADay: 250_000, freeRows: 10_000 },
  free: { mirrors: 4, repositories: 20, usesADay: 10_000, freeRows: 3_000 },
};
/** Rows of an object that is stored and goes again; of a use; of the day's counts of each mirror and the totals of each ledger, once a minute. */
const ROWS = { stored: 4, storedInSlices: 8, use: 2 };
/** Calls for a cold file: the room for it, what was stored, and the book's totals. */
const LEDGER_CALLS = { cold: 3 };
/** A client's update is one batch of uses where few come; many wait two minutes in their isolate. A ledger tells the book of uses twice a minute at most. */
const USES_A_BATCH = 10;
const BATCHES_OF_AN_ISOLATE = MINUTES / 2;
const BOOK_CALLS_OF_A_LEDGER = 2 * MINUTES;
/** A row and its entries of indexes. */
const ROW_GB = 600 / 1e9;

/** Lines of the log (src/watch/sample-records.ts): of an isolate in a minute, at its start, and beyond these one in so many requests. Isolates last an hour. */
const LINES = { aMinute: 2, atStart: 50, oneIn: 200 };
/** Cloudflare's own average of a line of Workers Logs with what it adds, in GB (documentation of Observability, datasets). */
const LINE_GB = 4.84e-6;
const LOG_DAYS = 7;

/** What a month's traffic comes to, by Cloudflare's units. It takes all package files for equally large: gb divided by the package requests. */
export function estimateAmounts(traffic: Traffic): Record<Item, number> {
  const { requests, storedGb, cached, upper, isolates } = traffic;
  const { metadata, cold, warm, bytes, slices } = split(traffic);
  const byDigest = cached === 0 ? 0 : Math.max(cached, CACHED_BY_DIGEST);
  const coldGb = (cold * bytes) / 1e9;
  const minutes = isolates * MINUTES;
  const calls = metadata * (1 - traffic.remembered) + cold + Math.min(cold, minutes) + ledgerCalls(traffic, cold);
  const logGb = lines(traffic) * LINE_GB;
  return {
    "Workers requests": requests,
    "Workers CPU": requests * CPU_MS.request + coldGb * CPU_MS.coldGb,
    "Workers Logs": logGb,
    "Workers Logs storage": (logGb * LOG_DAYS) / DAYS,
    "R2 storage": storedGb,
    "R2 class A": cold * (slices === 0 ? 1 : slices + WRITES_FOR_SLICED_HEAD),
    "R2 class B":
      warm * (1 - cached) * (CLASS_B.warm + slices * (1 - upper)) +
      cold * (CLASS_B.cold + CLASS_B.table * (1 - byDigest)) +
      metadata * (1 - byDigest) * CLASS_B.metadata,
    "Durable Object requests": calls,
    "Durable Object duration": (calls * CALL_SECONDS + (coldGb * 1_000) / FETCH_MB_PER_SECOND) * OBJECT_GB,
    "Durable Object rows written": rowsWritten(traffic, cold, slices),
    "Durable Object storage": bytes === 0 ? 0 : ((storedGb * 1e9) / bytes) * ROW_GB,
  };
}

/**
 * Calls of the inner entrypoint of Workers Cache in the month: one for each slice that the data centre's own cache lacks. A small file comes from R2 with its
 * head.
 */
export function innerCalls(traffic: Traffic): number {
  const { warm, slices } = split(traffic);
  return traffic.plan === "free" ? 0 : warm * (1 - traffic.cached) * slices;
}

/** Requests by their kind. `slices`: of one package file, 0 where it is one object without slices; `bytes`: of one package file. */
function split({ requests, gb, metadata, cold }: Traffic) {
  const packages = requests * (1 - metadata);
  const bytes = packages === 0 ? 0 : (gb * 1e9) / packages;
  return {
    metadata: requests * metadata,
    cold: packages * cold,
    warm: packages * (1 - cold),
    bytes,
    slices: bytes > SLICE_BYTES ? Math.ceil(bytes / SLICE_BYTES) : 0,
  };
}

/** Uses that isolates report: all of them, or a random part where there are too many. */
function reportedUses({ requests, plan }: Traffic): number {
  return Math.min(requests, LEDGER[plan].usesADay * DAYS);
}

function ledgerCalls(traffic: Traffic, cold: number): number {
  const { requests, isolates, plan } = traffic;
  const { mirrors, repositories } = LEDGER[plan];
  const batches = Math.min(requests / USES_A_BATCH, isolates * BATCHES_OF_AN_ISOLATE);
  // A batch goes to each ledger that one of its uses belongs to.
  const uses = batches === 0 ? 0 : reportedUses(traffic) / batches;
  const ledgers = mirrors + 1;
  const ofUses = requests / USES_A_BATCH <= batches ? batches : batches * ledgers * (1 - (1 - 1 / ledgers) ** uses);
  // Whether there is such a repository: once a day each isolate asks for each that it is asked for.
  const questions = Math.min(requests / USES_A_BATCH, isolates * repositories * DAYS);
  return LEDGER_CALLS.cold * cold + ofUses + Math.min(ofUses, ledgers * BOOK_CALLS_OF_A_LEDGER) + questions;
}

function rowsWritten(traffic: Traffic, cold: number, slices: number): number {
  const { requests, plan } = traffic;
  const { mirrors, freeRows } = LEDGER[plan];
  const counts = MINUTES * (2 * mirrors + 1) + (mirrors + 1) * freeRows * DAYS;
  return (
    cold * (slices === 0 ? ROWS.stored : ROWS.storedInSlices) + ROWS.use * reportedUses(traffic) + Math.min(ROWS.use * requests, counts)
  );
}

function lines({ requests, isolates }: Traffic): number {
  const first = Math.min(requests, isolates * (MINUTES * LINES.aMinute + DAYS * 24 * LINES.atStart));
  return first + (requests - first) / LINES.oneIn;
}
