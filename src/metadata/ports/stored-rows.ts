/** What the ledger knows of a stored object. */
export interface StoredRow {
  readonly key: string;
  /** Class of its path. */
  readonly class: string;
  /** Milliseconds since the epoch. */
  readonly storedAt: number;
}

/** The ledger's rows of one mirror, called from afar: every call rejects if the ledger cannot be reached. It learns of an object some 10 s after its put. */
export interface StoredRows {
  /** Rows whose key begins with `prefix` and comes after `after`, in the order of keys: none where there are no others. */
  page(prefix: string, after: string, limit: number): Promise<readonly StoredRow[]>;
  /** The rows of those of the keys that have one. */
  pick(keys: readonly string[]): Promise<readonly StoredRow[]>;
}
