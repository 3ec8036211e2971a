import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startFlusher } from "../../../../src/local/server/flush.ts";
import { beginNote, type DamagedNote, type FlushNote, readFlushNote, writeFlushNote } from "../../../../src/local/server/flush-note.ts";

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 0, 10);
const KEPT_MS = 90 * DAY_MS;
const NOTE: FlushNote = { boot: "one", flushedAt: NOW - 60_000, isEnded: false, suspects: [] };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-flush-"));
  mkdirSync(join(folder, "store"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("what is suspect at a start", () => {
  test.each<[string, FlushNote | DamagedNote | null, string | null, FlushNote["suspects"]]>([
    ["nothing at the first one", null, "one", []],
    ["nothing after an end that was noted", { ...NOTE, isEnded: true }, "two", []],
    ["nothing after a kill: the kernel has it all", NOTE, "one", []],
    ["what came after the last flush, where the machine ended", NOTE, "two", [[NOTE.flushedAt - 5_000, NOW]]],
    ["the same where the system does not say which run it is", { ...NOTE, boot: null }, null, [[NOTE.flushedAt - 5_000, NOW]]],
    ["what came since a damaged note, or while it was made", { damagedAt: NOW - 300_000 }, "one", [[NOW - 365_000, NOW]]],
    ["what comes now where a damaged note is dated ahead", { damagedAt: NOW + DAY_MS }, "one", [[NOW - 5_000, NOW]]],
  ])("%s", (_, before, boot, suspects) => {
    expect(beginNote(before, boot, NOW, KEPT_MS)).toMatchObject({ boot, isEnded: false, suspects });
  });

  test("what an earlier power cut made so, whatever came since, until it is no longer kept", () => {
    const first = beginNote(NOTE, "two", NOW, KEPT_MS);
    const second = beginNote(first, "three", NOW + DAY_MS, KEPT_MS);
    expect(second.suspects).toEqual([first.suspects[0], [NOW - 5_000, NOW + DAY_MS]]);
    expect(beginNote({ ...second, isEnded: true }, "four", NOW + 2 * DAY_MS, KEPT_MS).suspects).toEqual(second.suspects);
    expect(beginNote(second, "three", NOW + KEPT_MS + 1, KEPT_MS).suspects).toEqual([second.suspects[1]]);
  });

  test("what came since the last flush of a killed server as well", () => {
    const again = beginNote(NOTE, "one", NOW, KEPT_MS);
    expect(beginNote(again, "two", NOW + DAY_MS, KEPT_MS).suspects).toEqual([[NOTE.flushedAt - 5_000, NOW + DAY_MS]]);
  });
});

describe("the note", () => {
  test("is read as it was written, and anything else is damaged", () => {
    const path = join(folder, "flushed.json");
    expect(readFlushNote(path)).toBeNull();
    writeFlushNote(path, NOTE);
    expect(readFlushNote(path)).toEqual(NOTE);
    for (const text of ["", "{", "\0".repeat(80), '{"boot":7}']) {
      writeFileSync(path, text);
      expect(readFlushNote(path)).toEqual({ damagedAt: statSync(path).mtimeMs });
    }
  });

  test("is made at a start, and says at the end that all is on the disk", async () => {
    const printed: string[] = [];
    const path = join(folder, "flushed.json");
    const flusher = startFlusher(folder, join(folder, "store"), KEPT_MS, (line) => printed.push(line));
    expect(readFlushNote(path)).toMatchObject({ isEnded: false, suspects: [] });
    await flusher.end();
    expect(readFlushNote(path)).toMatchObject({ isEnded: true });
    writeFileSync(path, "damaged");
    const next = startFlusher(folder, join(folder, "store"), KEPT_MS, (line) => printed.push(line));
    expect(next.suspects).toHaveLength(1);
    expect(printed).toEqual([expect.stringContaining('flushed.json" is damaged')]);
    await next.end();
    expect(readFileSync(path, "utf8")).toContain('"isEnded":true');
  });

  test("that cannot be written costs a line, and no start", async () => {
    const printed: string[] = [];
    mkdirSync(join(folder, "flushed.json.new"));
    const flusher = startFlusher(folder, join(folder, "store"), KEPT_MS, (line) => printed.push(line));
    await flusher.end();
    expect(printed).toEqual([expect.stringContaining("Cannot note")]);
  });
});
