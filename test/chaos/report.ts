import type { History } from "./history.ts";
import { runHistory, type Violation } from "./run-history.ts";

/** A history that breaks a promise with its last step, and how. */
export interface Broken {
  readonly history: History;
  readonly violation: Violation;
  /** Steps of the seed's history that were left out. */
  readonly leftOut: number;
}

/** Leaves out one step after the other, as long as a promise is still broken. */
export async function shorten(history: History, violation: Violation): Promise<Broken> {
  let short = { ...history, steps: history.steps.slice(0, violation.after) };
  let found = violation;
  for (let at = short.steps.length - 2; at > 0; at--) {
    const without = { ...short, steps: short.steps.toSpliced(at, 1) };
    const again = await runHistory(without);
    if (again === null) continue;
    short = { ...without, steps: without.steps.slice(0, again.after) };
    found = again;
    at = Math.min(at, short.steps.length - 1);
  }
  return { history: short, violation: found, leftOut: violation.after - short.steps.length };
}

/** What happened, for a reader; `isLogged` adds all that the mirror logged. */
export function formatViolation({ history, violation, leftOut }: Broken, isLogged: boolean): string {
  const { seed, kind, upstreams, isolates, isSigned, client } = history;
  const lines = [
    "",
    `seed ${seed}: ${kind}, ${upstreams} upstreams, ${isolates} isolates, ${isSigned ? "signed" : "unsigned"}; the client ${client.checksSignatures ? "checks" : "checks no"} signatures${client.usesFilelists ? " and uses filelists" : ""}`,
    ...history.steps.map((step, at) => `  ${at + 1}. ${JSON.stringify(step)}`),
    ...(leftOut > 0 ? [`  (${leftOut} more steps of this seed do not matter)`] : []),
    `broke: ${violation.what}`,
    "directly:",
    ...violation.direct.map((line) => `  ${line}`),
    "through the mirror:",
    ...violation.mirror.map((line) => `  ${line}`),
    "the mirror's log:",
    ...violation.log.slice(isLogged ? 0 : -12).map((line) => `  ${isLogged ? line : line.slice(0, 300)}`),
    `again: npm run chaos -- --seed ${seed} --histories 1`,
    "",
  ];
  return `${lines.join("\n")}\n`;
}
