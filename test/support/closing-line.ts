import type { Reporter, TestModule } from "vitest/node";

/** Ends the run with "N passed, N failed" alone on a line. A file that did not load and an error outside of every test count as failed. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    let passed = 0;
    let failed = errors.length;
    for (const module of modules) {
      let failedHere = 0;
      for (const test of module.children.allTests()) {
        if (test.result().state === "passed") passed++;
        if (test.result().state === "failed") failedHere++;
      }
      failed += failedHere === 0 && !module.ok() ? 1 : failedHere;
    }
    process.stdout.write(`${passed} passed, ${failed} failed\n`);
  }
}
