import { expect, it } from "vitest";
import { resolveRange } from "../../../src/http/byte-ranges.ts";

it.each([
  [{ first: 1 }, 5, { offset: 1, length: 4 }],
  [{ first: 1, last: 2 }, 5, { offset: 1, length: 2 }],
  [{ first: 4, last: 12 }, 5, { offset: 4, length: 1 }],
  [{ suffix: 2 }, 5, { offset: 3, length: 2 }],
  [{ suffix: 9 }, 5, { offset: 0, length: 5 }],
  [{ first: 5 }, 5, { length: 0 }],
  [{ first: 0 }, 0, { length: 0 }],
  [{ first: 1, last: 0 }, 5, { length: 0 }],
  [{ suffix: 0 }, 5, { length: 0 }],
  [{ suffix: 2 }, 0, { length: 0 }],
])("%j of %i bytes is %j", (range, size, span) => {
  expect(resolveRange(range, size)).toMatchObject(span);
});
