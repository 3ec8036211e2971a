import type { RootStanding } from "../../watch/history.ts";
import type { Hole } from "../../watch/hold.ts";
import { type Generation, NEVER_TRIED, type Standing, type StoredFile } from "../members/generation.ts";
import type { KeptState } from "../ports/kept-state.ts";
import { mainHold } from "./holds.ts";

/** Files of one root that are reported as missing. */
const MAX_HOLES = 50;

export interface HeldGenerationDependencies {
  readonly kept: KeptState;
  readonly now: () => number;
  /** Receives how the held generation of `root` stands to its upstreams, whenever that changes; null when none is held any more. */
  readonly onStanding: (root: string, standing: RootStanding | null) => void;
}

/** What a try of the upstreams that did not confirm the held generation leaves behind. */
export type FailedTry = Pick<Standing, "doubtSince" | "behindSince" | "holds"> & { readonly trouble: string };

export type HeldGeneration = ReturnType<typeof createHeldGeneration>;

/**
 * The published generation of one root and how it stands to its upstreams. Both survive a restart. `root`: decoded path of the root's folder or file
 * below the mirror.
 */
export function createHeldGeneration({ kept, now, onStanding }: HeldGenerationDependencies, root: string) {
  let generation = load(`root:${root}`) as Generation | null;
  let standing: Standing = { ...NEVER_TRIED, ...(load(`standing:${root}`) as Partial<Standing> | null) };
  /** No upstream has confirmed it since the start: perhaps an earlier version of this program read its root. */
  let isOfEarlierRun = generation !== null;
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
    /** Whether no root that clients can read is held, and this run has not tried to read it: a later version may read what an earlier one did not. */
    get isToBeRead(): boolean {
      return isOfEarlierRun && generation?.parsed === null;
    },
    /** Replaces the generation by a new one, which its upstream has confirmed just now. `missing`: what it names and no upstream has. */
    publish(next: Generation, missing: readonly Omit<Hole, "since">[], holds: Standing["holds"]): void {
      const known = new Map(standing.holes.map((hole) => [hole.path, hole.since]));
      const since = (path: string): number => known.get(path) ?? now();
      saveGeneration(next);
      setConfirmed(
        holds,
        missing.map((hole) => ({ ...hole, since: since(hole.path) })),
      );
    },
    /** An upstream has confirmed the generation just now; `validators`: the new ones that it sent for the same root. */
    confirm(validators: Generation["validators"] | undefined, holds: Standing["holds"]): void {
      saveValidators(validators);
      setConfirmed(holds, standing.holes);
    },
    /** Replaces the companions, which belong to the held root: that its upstream has it still is another question. */
    setCompanions(companions: readonly StoredFile[]): void {
      if (generation !== null) saveGeneration({ ...generation, companions });
    },
    saveValidators,
    /** Another upstream than the one that gave the generation confirms it: it is not the old state of a single upstream. */
    endRetreat(): void {
      if (generation === null) return;
      const { retreated: _, ...rest } = generation;
      saveGeneration(rest);
    },
    noteFailedTry(failed: FailedTry): void {
      setStanding({ ...standing, ...failed, triedAt: now() });
    },
    /** A client asked for a file that the generation names. `reason`: why it cannot be had; null: the client got it. True where that is news. */
    noteMember(path: string, reason: string | null): boolean {
      const known = standing.holes.some((hole) => hole.path === path);
      if (known === (reason !== null) || (reason !== null && standing.holes.length >= MAX_HOLES)) return false;
      const others = standing.holes.filter((hole) => hole.path !== path);
      setStanding({ ...standing, holes: reason === null ? others : [...others, { path, reason, since: now() }] });
      return true;
    },
    /** Forgets the generation: no upstream has its root any more. */
    drop(): void {
      generation = null;
      kept.remove(`root:${root}`);
      kept.remove(`standing:${root}`);
      standing = NEVER_TRIED;
      reportedStanding = "";
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

  function saveValidators(validators: Generation["validators"] | undefined): void {
    if (generation !== null && validators !== undefined) saveGeneration({ ...generation, validators });
  }

  function setConfirmed(holds: Standing["holds"], holes: readonly Hole[]): void {
    isOfEarlierRun = false;
    setStanding({
      confirmedAt: now(),
      triedAt: now(),
      trouble: null,
      doubtSince: null,
      behindSince: null,
      holds,
      holes,
    });
  }

  function setStanding(next: Standing): void {
    standing = next;
    if (generation === null) return;
    kept.save(`standing:${root}`, JSON.stringify(next));
    const { adoptedAt } = generation;
    const { confirmedAt, behindSince, trouble, holds, holes } = next;
    const hold = trouble === null ? null : mainHold(holds, now());
    const reported = JSON.stringify([adoptedAt, behindSince, trouble === null, { ...hold, reason: "" }, holes]);
    if (reported === reportedStanding) return;
    reportedStanding = reported;
    onStanding(root, { adoptedAt, confirmedAt, behindSince, trouble, hold, holes: holes.slice(0, MAX_HOLES) });
  }
}
