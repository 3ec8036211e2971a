import { createHash, createHmac } from "node:crypto";
import { existsSync, lstatSync, statfsSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { openDatabase } from "./open-database.ts";
import { readFolder } from "./sweep-store.ts";

/** The share of the disk that the store leaves free, for the ledger and for other programs. */
const SPARE_SHARE = 0.1;
/** The class of the ledgers' Durable Objects, and where their databases lie below the folder of all. */
const LEDGERS = "lazy-mirror-LedgerObject";
const LEDGER_FOLDER = join("do", LEDGERS);
/** The ledger of what lies under no mirror's name (retention/batch.ts). */
const BOOK = "-";

/** workerd's own database beside those of the ledgers. SQLite removes its WAL when workerd closes it in peace. */
const RUNNING = join(LEDGER_FOLDER, "metadata.sqlite-wal");

/**
 * The size in bytes of what the store holds: what its ledgers have counted, and the sizes of all files where workerd was killed, which may have stored what it
 * reported to no ledger, or where one of them is missing, is damaged or has not been through all of its mirror's files yet (retention/reconcile.ts). To add up
 * the sizes of a million files takes half a minute; to ask 200 ledgers, a tenth of a second. No server may be running on the folders, and none of these
 * databases may have been opened since workerd ended: that removes the WAL.
 */
export function measureStore(store: string, objects: string): number {
  const counted = existsSync(join(objects, RUNNING)) ? null : countByLedgers(store, objects);
  return counted ?? addSizes(store);
}

/** The size in bytes that the store in `folder`, now of `usedBytes`, may reach before the disk is full. */
export function roomFor(folder: string, usedBytes: number): number {
  const { bavail, bsize } = statfsSync(folder);
  return Math.floor((usedBytes + bavail * bsize) * (1 - SPARE_SHARE));
}

/** Null where not every mirror of which something is stored has a ledger that knows all of it. */
function countByLedgers(store: string, objects: string): number | null {
  const mirrors = new Set([BOOK, ...readFolder(join(store, "meta")).map(({ name }) => name)]);
  let bytes = 0;
  for (const mirror of mirrors) {
    const counted = countByLedger(join(objects, LEDGER_FOLDER, `${objectId(LEDGERS, mirror)}.sqlite`));
    if (counted === null) return null;
    bytes += counted;
  }
  return bytes;
}

function countByLedger(file: string): number | null {
  if (!existsSync(file)) return null;
  let database: DatabaseSync | null = null;
  try {
    database = openDatabase(file);
    const row = database
      .prepare("SELECT live + dead AS bytes FROM totals WHERE objects >= 0 AND EXISTS (SELECT 1 FROM notes WHERE name = 'passBefore')")
      .get();
    return typeof row?.["bytes"] === "number" ? row["bytes"] : null;
  } catch {
    return null;
  } finally {
    database?.close();
  }
}

function addSizes(folder: string): number {
  let bytes = 0;
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    for (const entry of readFolder(next)) {
      const path = join(next, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else bytes += lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
    }
  }
  return bytes;
}

/** The id that workerd gives to the Durable Object `name` of a class, which names its database. @internal */
export function objectId(className: string, name: string): string {
  const key = createHash("sha256").update(className).digest();
  const mac = (data: string | Buffer): Buffer => createHmac("sha256", key).update(data).digest().subarray(0, 16);
  const half = mac(name);
  return Buffer.concat([half, mac(half)]).toString("hex");
}
