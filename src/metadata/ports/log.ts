/** Writes one line for the operator: a sentence without a line end. Never throws. */
export type Log = (level: "info" | "warn" | "error", message: string) => void;
