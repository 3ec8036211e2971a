import { elapsedMs } from "../clock/elapsed.ts";

/** An upstream whose bytes were refused is asked last for that file for so long: it may have the right ones by then. */
const REFUSED_MS = 600_000;
/** Refusals that are remembered; the oldest are forgotten. */
const REMEMBERED = 2_000;

/** One file of one mirror, as in `UpstreamRequest`. */
interface RefusedFile {
  readonly mirror: { readonly name: string };
  readonly path: string;
  readonly query: string;
}

/**
 * Which upstreams (configured URLs) sent bytes that are not the file's. A long file goes out as it comes: were the same upstream asked first again, every
 * client would be cut off at the same byte, though another upstream has the right bytes. Plain data of one isolate.
 */
export function createRefusals(now: () => number) {
  const times = new Map<string, number>();
  const keyOf = (upstream: string, { mirror, path, query }: RefusedFile): string => `${upstream} ${mirror.name}/${path}${query}`;
  return {
    note(upstream: string, file: RefusedFile): void {
      const key = keyOf(upstream, file);
      times.delete(key);
      times.set(key, now());
      const oldest = times.size > REMEMBERED ? times.keys().next().value : undefined;
      if (oldest !== undefined) times.delete(oldest);
    },
    isRecent: (upstream: string, file: RefusedFile): boolean =>
      elapsedMs(times.get(keyOf(upstream, file)) ?? -Infinity, now()) < REFUSED_MS,
  };
}
