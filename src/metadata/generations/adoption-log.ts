import type { Mirror } from "../../config/config.ts";
import { DAY_MS } from "../../http/units.ts";
import type { Generation, UpstreamHold } from "../members/generation.ts";
import type { Log } from "../ports/kept-state.ts";
import type { MissingFile } from "./gather-members.ts";

/** Trouble is logged as an error when the held Valid-Until is nearer than this: clients refuse the generation soon. */
const NEAR_EXPIRY_MS = DAY_MS;

export interface AdoptionLogDependencies {
  readonly log: Log;
  readonly mirror: Pick<Mirror, "name">;
  readonly now: () => number;
}

/** How a root stands after a round of tries. */
interface Situation {
  readonly isTrouble: boolean;
  /** The held one; null: none is. */
  readonly generation: Generation | null;
}

/** What the log says of the adoption of one root. */
export function createAdoptionLog({ log, mirror, now }: AdoptionLogDependencies, root: string) {
  /** Whether trouble was logged as an error. */
  let wasNear = false;

  return {
    /** One line for each hold that begins or ends, and one for what lasts when the day begins after which clients refuse the held generation. */
    logHolds(before: readonly UpstreamHold[], after: readonly UpstreamHold[], { isTrouble, generation }: Situation): void {
      const [was, is] = [before, after].map((holds) => holds.filter(({ isShown }) => isShown)) as [UpstreamHold[], UpstreamHold[]];
      const isIn = (list: readonly UpstreamHold[], hold: UpstreamHold): boolean =>
        list.some(({ kind, upstream }) => kind === hold.kind && upstream === hold.upstream);
      const validUntil = generation?.parsed?.validUntil;
      const isNear = isTrouble && validUntil !== undefined && validUntil - now() < NEAR_EXPIRY_MS;
      const valid = validUntil === undefined ? "" : `, valid until ${new Date(validUntil).toISOString()}`;
      const served = generation === null ? "nothing is published" : `the last generation is served${valid}`;
      for (const { kind, reason, until } of isNear && !wasNear ? is : is.filter((hold) => !isIn(was, hold))) {
        const end = generation === null ? "" : `, until ${new Date(until).toISOString()} at the latest`;
        log(isNear ? "error" : kind === "cached" ? "info" : "warn", `${mirror.name}: cannot adopt ${root}; ${served}: ${reason}${end}`);
      }
      wasNear = isNear;
      for (const { kind, reason, since } of was.filter((hold) => !isIn(is, hold))) {
        const seconds = Math.round((now() - since) / 1000);
        log("info", `${mirror.name}: ${root} is no longer held back (${kind}, ${seconds} s): ${reason}`);
      }
    },

    /** What a generation that was published just now names and lacks, and what of its root could not be used. */
    logLacks(holes: readonly MissingFile[], parsed: Generation["parsed"]): void {
      const [first] = holes;
      if (first !== undefined) log("warn", `${mirror.name}: ${root} was published without ${holes.length} of its files: ${first.reason}`);
      const skipped = parsed?.skipped;
      if (skipped === undefined) return;
      log("warn", `${mirror.name}: ${skipped.count} lines or entries of ${root} cannot be used: ${skipped.example}`);
    },
  };
}
