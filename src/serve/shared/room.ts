/** Bytes that may be in memory at once; what finds no room goes another way, and waits for nothing. */
export interface Room {
  /** Takes room for `bytes`, and returns what gives it back; null: there is none. */
  take(bytes: number): (() => void) | null;
}

/** Room for `limitBytes` in all. */
export function createRoom(limitBytes: number): Room {
  let used = 0;
  return {
    take(bytes) {
      if (used + bytes > limitBytes) return null;
      used += bytes;
      let isTaken = true;
      return () => {
        if (isTaken) used -= bytes;
        isTaken = false;
      };
    },
  };
}
