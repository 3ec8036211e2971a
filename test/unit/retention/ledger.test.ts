import { expect, it } from "vitest";
import { createLedger } from "../../../src/retention/ledger.ts";
import { createMemorySql } from "../../support/memory-sql.ts";

it("a pin that an older version kept with its leading slash goes when its listed name is unpinned", () => {
  const sql = createMemorySql();
  createLedger(sql);
  sql.exec("INSERT INTO pins VALUES ('/fedora/*')");
  const ledger = createLedger(sql);
  expect(ledger.pins()).toEqual(["fedora/*"]);
  expect(ledger.unpin("fedora/*")).toBe(true);
  expect(createLedger(sql).pins()).toEqual([]);
});

it("the slices of a version stay as long as one key has it: the head of a file that is proven moves", () => {
  const ledger = createLedger(createMemorySql());
  const row = { version: "0".repeat(32), size: 30, sliceBytes: 10, class: "member", storedAt: 1 };
  ledger.put({ key: "-/closed/m/sha256/a", ...row }, 0, 1);
  ledger.put({ key: "-/sha256/a", ...row }, 0, 1);
  ledger.remove("-/closed/m/sha256/a", 2);
  expect(ledger.dead(9, 9)).toEqual([]);
  expect(ledger.totals()).toEqual({ objects: 1, live: 30, dead: 0 });
  ledger.put({ key: "-/sha256/a", ...row, version: "1".repeat(32) }, 0, 3);
  expect(ledger.dead(9, 9)).toEqual([{ version: "0".repeat(32), slices: 3, bytes: 30, at: 3 }]);
});
