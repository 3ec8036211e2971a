import { expect, test } from "vitest";
import { createRetention } from "../../../src/retention/retention.ts";

test("while the ledger fails it is called for each hundred of objects used, and not for each use", async () => {
  let calls = 0;
  const sent: Promise<unknown>[] = [];
  const retention = createRetention({
    ledger: () => ({
      record: () => (calls++, Promise.reject(new Error("the ledger is away"))),
      reserve: () => Promise.reject(new Error("the ledger is away")),
    }),
    budget: 1_000,
    classOf: () => "package",
    now: () => 1_000_000_000,
    sleep: () => new Promise(() => {}),
    waitUntil: (work) => void sent.push(work),
    log: () => {},
  });
  for (let use = 0; use < 2_000; use++) {
    retention.use(`m/${use % 300}`, 1);
    // The batch fails before the next use.
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(calls).toBeGreaterThan(0);
  expect(calls).toBeLessThan(10);
});
