import type { RootStanding } from "../../watch/history.ts";
import { type Generation, NEVER_TRIED, type Standing, type StoredFile } from "../members/generation.ts";
import type { KeptState } from "../ports/kept-state.ts";

export interface HeldGenerationDependencies {
  readonly kept: KeptState;
  readonly now: () => number;
  /** Receives how the held generation of `root` stands to its upstreams, whenever that changes; null when none is held any more. */
  readonly onStanding: (root: string, standing: RootStanding | null) => void;
}

/** What a try of the upstreams that did not confirm the held generation leaves behind. */
export type FailedTry = Pick<Standing, "halfWay" | "doubtSince" | "behindSince"> & { readonly trouble: string };

export type HeldGeneration = ReturnType<typeof createHeldGeneration>;

/**
 * The published generation of one root and how it stands to its upstreams. Both survive a restart. `root`: decoded path of the root's folder or file
 * below the mirror.
 */
export function createHeldGeneration({ kept, now, onStanding }: HeldGenerationDependencies, root: string) {
  let generation = load(`root:${root}`) as Generation | null;
  let standing = (load(`standing:${root}`) as Standing | null) ?? NEVER_TRIED;
  /** What `onStanding` received last: calls that would say the same again are left out. */
  let reportedStanding = "";

  return {
    /** Null: none is published. */
    get generation(): Generation | null {
      return generation;
    },
    get standing(): Standing {
      return standing;
    },
    /** Replaces the generation by a new one, which its upstream has confirmed just now. */
    publish(next: Generation): void {
      saveGeneration(next);
      setConfirmed();
    },
    /** An upstream has confirmed the generation just now; `validators`: the new ones that it sent for the same root. */
    confirm(validators?: Generation["validators"]): void {
      if (generation !== null && validators !== undefined) saveGeneration({ ...generation, validators });
      setConfirmed();
    },
    /** Replaces the companions, which belong to the held root: that its upstream has it still is another question. */
    setCompanions(companions: readonly StoredFile[]): void {
      if (generation !== null) saveGeneration({ ...generation, companions });
    },
    noteFailedTry(failed: FailedTry): void {
      setStanding({ ...standing, ...failed, triedAt: now() });
    },
    /** Forgets the generation: no upstream has its root any more. */
    drop(): void {
      generation = null;
      kept.remove(`root:${root}`);
      kept.remove(`standing:${root}`);
      standing = NEVER_TRIED;
      onStanding(root, null);
    },
  };

  /** A value that an earlier run of this code saved. */
  function load(key: string): unknown {
    const text = kept.load(key);
    return text === null ? null : JSON.parse(text);
  }

  function saveGeneration(next: Generation): void {
    generation = next;
    kept.save(`root:${root}`, JSON.stringify(next));
  }

  function setConfirmed(): void {
    setStanding({ confirmedAt: now(), triedAt: now(), trouble: null, halfWay: false, doubtSince: null, behindSince: null });
  }

  function setStanding(next: Standing): void {
    standing = next;
    if (generation === null) return;
    kept.save(`standing:${root}`, JSON.stringify(next));
    const { adoptedAt } = generation;
    const { confirmedAt, behindSince, trouble } = next;
    const reported = [adoptedAt, behindSince, trouble === null].join(" ");
    if (reported === reportedStanding) return;
    reportedStanding = reported;
    onStanding(root, { adoptedAt, confirmedAt, behindSince, trouble });
  }
}
