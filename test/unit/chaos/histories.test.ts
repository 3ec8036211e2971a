import { expect, it } from "vitest";
import { createHistory } from "../../chaos/history.ts";
import { runHistory } from "../../chaos/run-history.ts";

/** More of them: `npm run chaos`. */
const SEEDS = [
  ...Array.from({ length: 24 }, (_, at) => at + 1),
  // The preferred upstream breaks off each body, another one fails, and the last one, of another version, is slow.
  90139,
];

it.each(SEEDS)("what a client gets directly it gets through the mirror, in history %d", async (seed) => {
  expect(await runHistory(createHistory(seed))).toBeNull();
});
