import { describe, expect, test } from "vitest";
import { closingLine } from "../../support/closing-line.ts";
import { progressLine } from "../../support/progress.ts";

describe("the line of progress", () => {
  const progress = { files: 180, ended: 42, tests: { passed: 1934, failed: 0 }, ms: 192_900, running: ["test/clients/apt.test.ts"] };

  test("says how far the run is, and which file is under way", () => {
    expect(progressLine(progress)).toBe("[ 42/180 files, 1,934 tests passed, 0 failed, 3 min 12 s ] running test/clients/apt.test.ts");
  });

  test("of the first minute counts seconds, and between two files names none", () => {
    expect(progressLine({ ...progress, ms: 59_999, running: [] })).toBe("[ 42/180 files, 1,934 tests passed, 0 failed, 59 s ]");
  });
});

describe("the closing line", () => {
  test("has the counts alone", () => {
    expect(closingLine({ passed: 2406, failed: 0 }, 0)).toBe("2406 passed, 0 failed\n");
    expect(closingLine({ passed: 2404, failed: 2 }, 1)).toBe("2404 passed, 2 failed\n");
  });

  test("counts a run that fails although every test passed as one failure", () => {
    expect(closingLine({ passed: 2406, failed: 0 }, 1)).toBe("2406 passed, 1 failed\n");
  });
});
