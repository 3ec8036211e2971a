import { expect } from "vitest";

/** Vitest compares arrays element by element, half a second for a few megabytes. This finds equal bytes at once; others go on to Vitest, which shows the difference. */
expect.addEqualityTesters([
  (a: unknown, b: unknown) =>
    a instanceof Uint8Array &&
    b instanceof Uint8Array &&
    a.constructor === b.constructor &&
    a.length === b.length &&
    crypto.subtle.timingSafeEqual(a, b)
      ? true
      : undefined,
]);
