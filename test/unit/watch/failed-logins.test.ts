import { beforeEach, describe, expect, it } from "vitest";
import { createFailedLogins, type FailedLogins, type Login } from "../../../src/watch/failed-logins.ts";

const ALICE: Login = { place: "the mirror closed", user: "alice", address: "192.0.2.9", isUserKnown: true };
const LOCAL: Login = { ...ALICE, address: null };

let now: number;
let lines: string[];
let logins: FailedLogins;

beforeEach(() => {
  now = 1_000_000;
  lines = [];
  logins = createFailedLogins({ now: () => now, log: (line) => lines.push(line) });
});

const fail = (times: number, login: Login): readonly number[] => Array.from({ length: times }, () => logins.failed(login));

describe("logins that fail", () => {
  it("are asked to wait above 30 a minute, until the minute is over", () => {
    expect(fail(30, ALICE)).toEqual(Array.from({ length: 30 }, () => 0));
    now += 20_000;
    expect(fail(2, ALICE)).toEqual([40, 40]);
    now += 40_000;
    expect(fail(1, ALICE)).toEqual([0]);
  });

  it("keep the same user's right credentials out only where they are guesses, and never where no address is known", () => {
    fail(99, ALICE);
    fail(1_000, LOCAL);
    expect([logins.waitBefore(ALICE), logins.waitBefore(LOCAL)]).toEqual([0, 0]);
    fail(1, ALICE);
    expect(logins.waitBefore(ALICE)).toBe(60);
    for (const other of [{ address: "192.0.2.10" }, { user: "bob" }, { place: "the mirror other" }]) {
      expect(logins.waitBefore({ ...ALICE, ...other })).toBe(0);
    }
    now += 60_000;
    expect(logins.waitBefore(ALICE)).toBe(0);
  });

  it.each(["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])(
    "from %s, which is the address of all clients behind a proxy of this machine, keep no client out",
    (address) => {
      fail(1_000, { ...ALICE, address });
      expect(logins.waitBefore({ ...ALICE, address })).toBe(0);
      expect(fail(1, { ...ALICE, address })).toEqual([60]);
    },
  );

  it("of names that do not exist are those of one user", () => {
    const all = Array.from({ length: 32 }, (_, at) => logins.failed({ ...ALICE, user: `name ${at}`, isUserKnown: false }));
    expect(all.slice(29)).toEqual([0, 60, 60]);
  });

  it("take 10 lines of the log a minute, and the next one says how many are missing", () => {
    for (let at = 0; at < 500; at++) fail(1, { ...ALICE, address: `2001:db8::${at.toString(16)}` });
    expect(lines.length).toBe(10);
    expect(lines[0]).toBe('Failed login at the mirror closed as "alice" from 2001:db8::0');
    now += 60_000;
    fail(1, LOCAL);
    expect(lines.at(-1)).toBe('Failed login at the mirror closed as "alice" (and 490 before it that are not in the log)');
  });

  it("are logged without what a terminal obeys, and shortened", () => {
    fail(1, { ...LOCAL, user: `\u001b[2J\u009b\u202e"\n${"x".repeat(500)}` });
    expect(lines[0]).toMatch(/^[\x20-\x7e…]{1,160}$/);
    fail(1, { ...LOCAL, user: null, place: "the operator's pages" });
    expect(lines[1]).toBe("Failed login at the operator's pages");
  });

  it("are counted for a bounded number of addresses", () => {
    for (let at = 0; at < 5_000; at++) fail(1, { ...ALICE, address: String(at) });
    expect(fail(31, { ...ALICE, address: "new" }).at(-1)).toBe(0);
    expect(fail(31, { ...ALICE, address: "0" }).at(-1)).toBeGreaterThan(0);
  });

  it("do not wait for ever behind a clock that was set back", () => {
    fail(200, ALICE);
    now -= 3_600_000;
    expect(logins.waitBefore(ALICE)).toBe(0);
  });
});
