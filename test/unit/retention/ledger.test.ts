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
