import type { TestModule } from "vitest/node";

/** Tests that have ended. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
}

/** Counts the tests of these files that have ended. A file that did not load counts as one failed test. */
export function countTests(modules: Iterable<TestModule>): TestCounts {
  let passed = 0;
  let failed = 0;
  for (const module of modules) {
    let failedHere = 0;
    for (const test of module.children.allTests()) {
      if (test.result().state === "passed") passed++;
      if (test.result().state === "failed") failedHere++;
    }
    failed += failedHere === 0 && !module.ok() ? 1 : failedHere;
  }
  return { passed, failed };
}
