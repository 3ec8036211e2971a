import type { Resolution } from "./ports/repositories.ts";

/** Paths that one isolate remembers, the newest: some 2 MB. A client cannot add to them what no repository has. */
const MAX_REMEMBERED = 2_000;

type ObjectResolution = Extract<Resolution, { kind: "object" }>;

/** An answer, and from when to when it holds: milliseconds since the epoch. */
interface Remembered {
  readonly resolution: ObjectResolution;
  readonly from: number;
  readonly until: number;
}

/**
 * What repositories answered for their paths (`<mirror>/<path>`), for as long as they say that it holds. That time is counted from before the question, so that
 * no isolate gives a generation for longer than its repository would.
 */
export function rememberResolutions(now: () => number) {
  const answers = new Map<string, Remembered>();

  return {
    /** The answer as the repository would give it now; null: it is to be asked. */
    recall(path: string): ObjectResolution | null {
      const remembered = answers.get(path);
      if (remembered === undefined) return null;
      const { resolution, from, until } = remembered;
      const at = now();
      // Before `from`: the clock has stepped back, and would make it hold for longer.
      if (at < from || at >= until) {
        answers.delete(path);
        return null;
      }
      const { key, object, ageSeconds } = resolution;
      return { kind: "object", key, object, state: "fresh", ageSeconds: ageSeconds + Math.floor((at - from) / 1_000), isRemembered: true };
    },
    /** `askedAt`: when the repository was asked, in milliseconds since the epoch. */
    remember(path: string, resolution: Resolution, askedAt: number): void {
      answers.delete(path);
      if (resolution.kind !== "object" || resolution.rememberMs === undefined) return;
      answers.set(path, { resolution, from: askedAt, until: askedAt + resolution.rememberMs });
      const oldest = answers.size > MAX_REMEMBERED ? answers.keys().next().value : undefined;
      if (oldest !== undefined) answers.delete(oldest);
    },
    /** The store no longer has the key: whatever lies there is asked for anew. */
    forget(key: string): void {
      for (const [path, { resolution }] of answers) if (resolution.key === key) answers.delete(path);
    },
    /** An operator purged roots: every path is asked for anew. */
    forgetAll: (): void => answers.clear(),
  };
}
