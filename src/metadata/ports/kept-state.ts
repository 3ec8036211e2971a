/** Small texts that survive a restart, by key. Keys hold no NUL. */
export interface KeptState {
  load(key: string): string | null;
  /** Atomic; takes texts of any length. */
  save(key: string, value: string): void;
  remove(key: string): void;
  keys(): readonly string[];
}
