import type { Ledger } from "./ledger.ts";
import { DAY_MS } from "../http/units.ts";

/** A request that comes sooner after the first one may be another part of the same download. */
const APART_MS = 60_000;
/** After so long a request no longer counts. */
const KEPT_MS = 30 * DAY_MS;
/** How many files are remembered; the one that was asked for longest ago goes first. */
const MAX_KEYS = 64;
const NOTE = "askedOnce";

/**
 * Remembers, also over restarts, which large files a client has asked for while others would have had to go for them: such a file is stored with its
 * second request. `now`: milliseconds since the epoch.
 */
export function createSecondRequests(notes: Ledger["notes"], now: () => number) {
  const asked = new Map(JSON.parse(notes.get(NOTE) ?? "[]") as readonly (readonly [key: string, at: number])[]);

  function save(): void {
    notes.set(NOTE, JSON.stringify([...asked]));
  }

  return {
    /** Whether this is a further request for the file, a minute or more after the first one. Notes the first one. */
    isSecond(key: string): boolean {
      const at = asked.get(key);
      // Also one that a wrong clock dated ahead counts as none.
      if (at !== undefined && at <= now() && now() - at < KEPT_MS) return now() - at >= APART_MS;
      asked.delete(key);
      asked.set(key, now());
      for (const [oldest] of asked) if (asked.size > MAX_KEYS) asked.delete(oldest);
      save();
      return false;
    },
    /** The file is stored. */
    forget(key: string): void {
      if (asked.delete(key)) save();
    },
  };
}
