import { createHash } from "node:crypto";
import { existsSync, mkdirSync, openSync, closeSync, ftruncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { objectId } from "../src/local/server/measure-store.ts";
import { BOOK_SHARD } from "../src/retention/batch.ts";
import { createLedger } from "../src/retention/ledger.ts";
import { createShardTotals } from "../src/retention/shard-totals.ts";
import { formatMetaFile } from "../src/store/disk-meta.ts";
import { bodyPath, pathsOf } from "../src/store/disk-path.ts";
import { formatStoredObject } from "../src/store/keys.ts";
import type { StoredObject } from "../src/store/stored-object.ts";
import { createMemorySql } from "../test/support/memory-sql.ts";

/** How much state a server is started on. */
export interface StateSize {
  readonly objects: number;
  readonly mirrors: number;
}

const OBJECT_BYTES = 4_000;
/** Of so many bytes of zeros: a body takes no block of the disk, and is still what its digest says. */
const SHA256 = createHash("sha256").update(Buffer.alloc(OBJECT_BYTES)).digest("hex");
/** As in Debian's pool: a folder for each source package. */
const FILES_PER_FOLDER = 10;
/** The ledger has been through all of its mirror's files (retention/reconcile.ts). */
const PASSED = "passBefore";
const DAY_MS = 86_400_000;

/** The name of a mirror, by its number. */
export function mirrorName(mirror: number): string {
  return `m${String(mirror).padStart(3, "0")}`;
}

/** The path below its mirror of a mirror's object, by its number. */
export function objectPath(index: number): string {
  const source = `source${Math.floor(index / FILES_PER_FOLDER)}`;
  return `pool/main/${String.fromCharCode(97 + (Math.floor(index / FILES_PER_FOLDER) % 26))}/${source}/package${index}_1.0-1_amd64.deb`;
}

/**
 * Writes the state folder of a server that has stored so many small packages, each mirror the same number: files of the store in the project's own format, and
 * the ledgers' databases through the ledger's own code, as a server would have left them. (To have a server fetch a million files would take an hour.) A folder
 * that is there already is left as it is. `say` takes lines about the progress.
 */
export function makeState(state: string, { objects, mirrors }: StateSize, say: (line: string) => void): void {
  const done = join(state, `made-${objects}-${mirrors}`);
  if (existsSync(done)) return;
  const now = Date.now();
  const each = Math.ceil(objects / mirrors);
  const totals: { readonly name: string; readonly objects: number }[] = [];
  for (let mirror = 0; mirror < mirrors; mirror++) {
    const name = mirrorName(mirror);
    const count = Math.max(0, Math.min(each, objects - mirror * each));
    inLedger(state, name, (database) => {
      const ledger = createLedger(createMemorySql(database));
      for (let index = 0; index < count; index++) {
        const key = `${name}/${objectPath(index)}`;
        const object = describe(key, now - (index % 30) * DAY_MS);
        writeObject(join(state, "store"), key, object);
        const { version, size, storedAt } = object;
        ledger.put({ key, version, size, sliceBytes: null, class: "package", storedAt }, 0, now);
      }
      ledger.notes.set(PASSED, String(now));
    });
    totals.push({ name, objects: count });
    if (mirror % 20 === 19) say(`made ${(mirror + 1) * each} of ${objects} objects`);
  }
  inLedger(state, BOOK_SHARD, (database) => {
    const sql = createMemorySql(database);
    createLedger(sql).notes.set(PASSED, String(now));
    const shards = createShardTotals(
      sql,
      [BOOK_SHARD],
      () => now,
      () => false,
    );
    for (const { name, objects: count } of totals) shards.note(name, { objects: count, live: count * OBJECT_BYTES, dead: 0 });
  });
  writeFileSync(done, "");
}

function describe(key: string, storedAt: number): StoredObject {
  return {
    version: createHash("md5").update(key).digest("hex"),
    size: OBJECT_BYTES,
    contentType: "application/vnd.debian.binary-package",
    etag: '"5f3c1-60a"',
    lastModified: "Thu, 06 Aug 2026 10:00:00 GMT",
    upstream: "http://127.0.0.1:1/debian",
    storedAt,
    verified: "structure",
    sha256: SHA256,
  };
}

const folders = new Set<string>();

function writeObject(store: string, key: string, object: StoredObject): void {
  const [body, meta] = [join(store, bodyPath(key)), join(store, pathsOf(key).meta)];
  for (const folder of [dirname(body), dirname(meta)]) {
    if (!folders.has(folder)) mkdirSync(folder, { recursive: true, mode: 0o700 });
    folders.add(folder);
  }
  const file = openSync(body, "w", 0o600);
  ftruncateSync(file, OBJECT_BYTES);
  closeSync(file);
  writeFileSync(meta, formatMetaFile(key, formatStoredObject(object)), { mode: 0o600 });
}

/** The class of the ledgers' Durable Objects; also the folder of their databases. */
const LEDGERS = "lazy-mirror-LedgerObject";

/** Opens the database of a mirror's ledger where workerd looks for it, and writes it in one transaction. */
function inLedger(state: string, name: string, write: (database: DatabaseSync) => void): void {
  const folder = join(state, "objects", "do", LEDGERS);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(join(folder, `${objectId(LEDGERS, name)}.sqlite`));
  database.exec("PRAGMA journal_mode = WAL; BEGIN");
  write(database);
  database.exec("COMMIT");
  database.close();
}
