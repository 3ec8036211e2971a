/** The result of one step of a command: its value, or every problem that stops the command, one sentence each. */
export type Step<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problems: readonly string[] };

export function done<T>(value: T): Step<T> {
  return { ok: true, value };
}

export function refused(...problems: readonly string[]): Step<never> {
  return { ok: false, problems };
}
