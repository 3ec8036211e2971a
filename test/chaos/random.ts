export type Random = ReturnType<typeof createRandom>;

/** Numbers that follow from `seed` alone (mulberry32). */
export function createRandom(seed: number) {
  let state = seed >>> 0;
  /** From [0, 1). */
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }
  const below = (limit: number): number => Math.floor(next() * limit);
  return {
    next,
    below,
    chance: (share: number): boolean => next() < share,
    pick: <T>(choices: readonly T[]): T => choices[below(choices.length)] as T,
    bytes(length: number): Uint8Array {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; at++) bytes[at] = below(256);
      return bytes;
    },
  };
}
