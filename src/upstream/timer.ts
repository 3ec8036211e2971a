/** Calls `run` once after `ms` milliseconds, unless the returned function is called before. */
export type Timer = (ms: number, run: () => void) => () => void;
