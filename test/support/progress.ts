import { relative } from "node:path";
import type { Reporter, TestModule, TestSpecification } from "vitest/node";
import { countTests, type TestCounts } from "./count-tests.ts";

const EVERY_MS = 15_000;
/** Their files take minutes: the end of each is worth a line. */
const SLOW_PROJECTS: readonly string[] = ["system", "wrangler dev"];

/** Prints a line of progress every 15 seconds and after each file of the slow projects, whether or not the output is a terminal. */
export default class Progress implements Reporter {
  #files = 0;
  #ended = 0;
  #startedAt = 0;
  #timer: NodeJS.Timeout | undefined;
  /** By id: Vitest makes a new object of a file once it has loaded it. */
  readonly #started = new Map<string, TestModule>();
  readonly #running = new Map<string, TestModule>();

  onTestRunStart(specifications: readonly TestSpecification[]): void {
    this.#files = specifications.length;
    this.#ended = 0;
    this.#startedAt = performance.now();
    this.#started.clear();
    this.#timer = setInterval(() => this.#print(), EVERY_MS).unref();
  }

  onTestModuleQueued(module: TestModule): void {
    this.#running.set(module.id, module);
  }

  onTestModuleStart(module: TestModule): void {
    this.#started.set(module.id, module);
  }

  onTestModuleEnd(module: TestModule): void {
    this.#ended++;
    this.#started.set(module.id, module);
    this.#running.delete(module.id);
    if (SLOW_PROJECTS.includes(module.project.name)) this.#print();
  }

  onTestRunEnd(): void {
    clearInterval(this.#timer);
  }

  #print(): void {
    const line = progressLine({
      files: this.#files,
      ended: this.#ended,
      tests: countTests(this.#started.values()),
      ms: performance.now() - this.#startedAt,
      running: [...this.#running.values()].map(({ moduleId, project }) => `${relative(process.cwd(), moduleId)} (${project.name})`),
    });
    process.stdout.write(`${line}\n`);
  }
}

/** What a line of progress says. */
export interface TestProgress {
  /** How many test files the run has, and how many of them have ended. */
  readonly files: number;
  readonly ended: number;
  readonly tests: TestCounts;
  /** Since the run began. */
  readonly ms: number;
  /** Paths of the files under way, with their projects: some files run in two. */
  readonly running: readonly string[];
}

/** Such as `[ 42/180 files, 1,934 tests passed, 0 failed, 3 min 12 s ] running test/clients/apt.test.ts (system)`. */
export function progressLine({ files, ended, tests, ms, running }: TestProgress): string {
  const seconds = Math.floor(ms / 1000);
  const time = seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const passed = tests.passed.toLocaleString("en-US");
  const rest = running.length === 0 ? "" : ` running ${running.join(", ")}`;
  return `[ ${ended}/${files} files, ${passed} tests passed, ${tests.failed} failed, ${time} ]${rest}`;
}
