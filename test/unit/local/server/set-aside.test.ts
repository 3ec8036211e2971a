import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openSetAside, parseReading } from "../../../../src/local/server/set-aside.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const NOW = Date.UTC(2026, 0, 1);
const reading = { mirror: "m", base: "os", part: "index", file: "os/repodata/primary.xml.gz" } as const;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-aside-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("what is set aside again is set aside for twice as long, up to a day, also by a server that was restarted", () => {
  let now = NOW;
  const minutes: number[] = [];
  for (let times = 0; times < 10; times++) {
    const until = openSetAside(folder).add(reading, now);
    minutes.push((until - now) / MINUTE);
    now = until + MINUTE;
  }
  expect(minutes).toEqual([10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]);
  expect(readdirSync(folder)).toEqual(["set-aside.json"]);
  expect(statSync(join(folder, "set-aside.json")).mode & 0o777).toBe(0o600);
});

test("a day after its end it is forgotten, and each part of each repository has a time of its own", () => {
  const aside = openSetAside(folder);
  const until = aside.add(reading, NOW);
  expect(aside.add({ ...reading, part: "root" }, NOW) - NOW).toBe(10 * MINUTE);
  expect(aside.add({ ...reading, base: "other" }, NOW) - NOW).toBe(10 * MINUTE);
  expect(aside.list(NOW)).toHaveLength(3);
  expect(aside.add({ ...reading, file: "os/repodata/another" }, until) - until).toBe(20 * MINUTE);
  expect(aside.list(until + 3 * DAY)).toEqual([]);
  expect(aside.add(reading, until + 3 * DAY) - (until + 3 * DAY)).toBe(10 * MINUTE);
});

test("a file that is none, in whole or in part, and a wrong clock keep nothing aside", () => {
  const path = join(folder, "set-aside.json");
  for (const text of ["", "{", "null", '{"a":1}', "[1,null,{}]"]) {
    writeFileSync(path, text);
    expect(openSetAside(folder).list(NOW)).toEqual([]);
  }
  const good = { ...reading, since: NOW, until: NOW + MINUTE };
  writeFileSync(path, JSON.stringify([good, { ...good, part: "?" }, { ...good, base: 1 }]));
  expect(openSetAside(folder).list(NOW)).toEqual([good]);
  writeFileSync(
    path,
    JSON.stringify([
      { ...good, since: NOW + DAY, until: NOW + DAY + MINUTE },
      { ...good, until: NOW + 400 * DAY },
    ]),
  );
  expect(openSetAside(folder).list(NOW)).toEqual([]);
  expect(JSON.parse(readFileSync(path, "utf8"))).toHaveLength(2);
});

test("a folder that cannot be written keeps the list in memory", () => {
  const aside = openSetAside(join(folder, "missing"));
  expect(aside.add(reading, NOW)).toBe(NOW + 10 * MINUTE);
  expect(aside.list(NOW)).toHaveLength(1);
});

test("the Worker's lines about what it reads are separated from all others", () => {
  expect(parseReading(JSON.stringify({ reading }))).toEqual(reading);
  expect(parseReading('{"reading":null}')).toBeNull();
  for (const line of ["", "m: published", '{"method":"GET"}', '{"reading":', '{"reading":{"mirror":"m"}}', ' {"reading":null}']) {
    expect(parseReading(line)).toBeUndefined();
  }
});
