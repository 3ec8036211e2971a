/** Runs `run` once after `ms`; the function that comes back calls it off. */
export type Timer = (ms: number, run: () => void) => () => void;
