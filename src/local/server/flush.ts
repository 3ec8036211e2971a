import { execFile } from "node:child_process";
import { readFileSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { beginNote, FLUSH_LIMIT_MS, readFlushNote, type Span, writeFlushNote } from "./flush-note.ts";

const FLUSH_EVERY_MS = 30_000;
const LAST_FLUSH_LIMIT_MS = 10_000;

const COMPARED = "what was stored since it was written is compared with its digest at its first use, or fetched again";

/** Has the kernel write what is stored to the disk, while the server runs and when it ends. */
export interface Flusher {
  /** When files were written that power cuts may have spoiled. */
  readonly suspects: readonly Span[];
  /** Writes all to the disk a last time, and notes that. Never rejects. */
  end(): Promise<void>;
}

/**
 * Has the kernel write the store to the disk every 30 s while it changes (syncfs(2), by `sync -f`), and notes in `<state>/flushed.json` until when everything
 * is there. The disk service only renames: after a power cut a file may have its name and its length, and zeros in place of its bytes. `keptMs`: for how long
 * at most an object is kept. Never throws: without a note, the next start takes more for suspect.
 */
export function startFlusher(folder: string, store: string, keptMs: number, print: (line: string) => void): Flusher {
  const path = join(folder, "flushed.json");
  const boot = readBootId();
  let note = beginNote(read(), boot, Date.now(), keptMs);
  // The first flush is for what a killed server wrote.
  let seen = "";
  let running: Promise<boolean> | null = null;
  let hasFailed = false;
  write();
  const timer = setInterval(() => void tick(), FLUSH_EVERY_MS);
  timer.unref();

  return {
    suspects: note.suspects,
    async end() {
      clearInterval(timer);
      await running;
      if (!(await flush(LAST_FLUSH_LIMIT_MS))) return;
      note = { ...note, isEnded: true };
      write();
    },
  };

  function read(): ReturnType<typeof readFlushNote> {
    try {
      const found = readFlushNote(path);
      if (found !== null && "damagedAt" in found) print(`"${path}" is damaged: ${COMPARED}, and the note is made anew.`);
      return found;
    } catch (error) {
      print(`Cannot read "${path}": ${(error as Error).message}; ${COMPARED}.`);
      return { damagedAt: Date.now() };
    }
  }

  async function tick(): Promise<void> {
    const state = describeRoom(store);
    if (running !== null || state === seen) return;
    running = flush(FLUSH_LIMIT_MS).finally(() => (running = null));
    if (await running) seen = state;
  }

  /** True where everything that was written before is on the disk, and noted. */
  async function flush(limitMs: number): Promise<boolean> {
    const began = Date.now();
    const failure = await syncFileSystem(store, limitMs);
    if (failure === null) {
      note = { ...note, flushedAt: began };
      return write();
    }
    say(`Cannot write "${store}" to the disk: ${failure}. After a power cut more files are fetched again.`);
    return false;
  }

  function write(): boolean {
    try {
      writeFlushNote(path, note);
      hasFailed = false;
      return true;
    } catch (error) {
      say(`Cannot note in "${path}" what is on the disk: ${(error as Error).message}. After a power cut more files are fetched again.`);
      return false;
    }
  }

  function say(line: string): void {
    if (!hasFailed) print(line);
    hasFailed = true;
  }
}

/** A text that most writes to the file system of `folder` change, also those of other programs: while it stays the same there is hardly anything to flush. */
function describeRoom(folder: string): string {
  try {
    const { bfree, ffree } = statfsSync(folder);
    return `${bfree} ${ffree}`;
  } catch {
    return "";
  }
}

/** syncfs(2) of the file system that holds `folder`. Null: done; else why not. */
function syncFileSystem(folder: string, limitMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    execFile("sync", ["-f", folder], { timeout: limitMs, killSignal: "SIGKILL" }, (error) =>
      resolve(error === null ? null : error.message.trim()),
    );
  });
}

function readBootId(): string | null {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return null;
  }
}
