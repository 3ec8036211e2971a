import type { Reporter, TestModule } from "vitest/node";
import { countTests, type TestCounts } from "./count-tests.ts";

/**
 * Ends the run with "N passed, N failed" alone on the last line, which `.ci/run` reads. A file that did not load and an error outside of every test count
 * as failed. So does a run that fails although every test passed: a coverage below its threshold, for one.
 */
export default class ClosingLine implements Reporter {
  #counts: TestCounts | undefined;

  onInit(): void {
    // Vitest prints the coverage after all that it calls a reporter for: only the end of the process is late enough.
    process.once("exit", (code) => {
      if (this.#counts !== undefined) process.stdout.write(closingLine(this.#counts, code));
    });
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const { passed, failed } = countTests(modules);
    this.#counts = { passed, failed: failed + errors.length };
  }
}

/** `code`: the process's exit code. */
export function closingLine({ passed, failed }: TestCounts, code: number): string {
  return `${passed} passed, ${failed === 0 && code !== 0 ? 1 : failed} failed\n`;
}
