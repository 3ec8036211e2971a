import { expect, it } from "vitest";
import { resolveObjectRange } from "../../../src/store/resolve-object-range.ts";

it.each([
  [undefined, 5, { start: 0, end: 5 }],
  [undefined, 0, { start: 0, end: 0 }],
  [{ offset: 1 }, 5, { start: 1, end: 5 }],
  [{ offset: 1, length: 2 }, 5, { start: 1, end: 3 }],
  [{ offset: 4, length: 9 }, 5, { start: 4, end: 5 }],
  [{ offset: 5 }, 5, null],
  [{ offset: 0 }, 0, null],
  [{ offset: 1, length: 0 }, 5, null],
  [{ suffix: 2 }, 5, { start: 3, end: 5 }],
  [{ suffix: 9 }, 5, { start: 0, end: 5 }],
  [{ suffix: 0 }, 5, null],
  [{ suffix: 2 }, 0, null],
])("%j of %i bytes is %j", (wanted, size, range) => {
  expect(resolveObjectRange(wanted, size)).toEqual(range);
});
