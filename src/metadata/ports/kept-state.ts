/** Small texts, by key, that survive a restart of their Durable Object. Keys hold no NUL. Every call throws what the storage throws. */
export interface KeptState {
  /** The text that was saved last under the key; null: none is. */
  load(key: string): string | null;
  /** Replaces the text under the key. Atomic: a restart leaves the old text or the new one. Takes texts of any length. */
  save(key: string, value: string): void;
  /** Does nothing where no text is saved under the key. */
  remove(key: string): void;
  /** All keys that have a text, in no order. */
  keys(): readonly string[];
}

/** Writes one line for the operator: a sentence without a line end. Never throws. */
export type Log = (level: "info" | "warn" | "error", message: string) => void;
