import type { ClientOptions } from "./clients.ts";
import type { Labels } from "./file-upstream.ts";
import { KINDS, type Kind } from "./publications.ts";
import { createRandom, type Random } from "./random.ts";
import type { Fault, UpstreamState } from "./upstream.ts";

/** One thing that happens to the upstreams, the mirror or the time. Plain data: a history can be printed, shortened and run again. */
export type Step =
  /** A new publication, at the upstreams named. `part`: what is there of it so far; `finish` brings the rest. */
  | {
      readonly kind: "publish";
      readonly at: readonly number[];
      readonly part: Part;
      readonly hole: string | null;
      readonly isFuture?: true;
    }
  | { readonly kind: "finish" }
  /** An earlier publication comes back. */
  | { readonly kind: "roll-back"; readonly at: number; readonly by: number }
  /** The root stays, and is signed anew. */
  | { readonly kind: "sign-anew" }
  /** A file that was there goes, or has other bytes, until `finish`. */
  | { readonly kind: "lose" | "spoil"; readonly at: number; readonly what: "index" | "package" | "signature" }
  | { readonly kind: "fault"; readonly at: number; readonly fault: Fault }
  | { readonly kind: "labels"; readonly at: number; readonly labels: Labels; readonly mislabels: UpstreamState["mislabels"] }
  | {
      readonly kind: "manners";
      readonly at: number;
      readonly absentStatus: 404 | 403;
      readonly isChunked: boolean;
      readonly firstByteMs: number;
    }
  | { readonly kind: "restart" }
  | { readonly kind: "pass"; readonly seconds: number };

export type Part = "whole" | "root-only" | "root-and-indexes" | "packages-only" | "indexes-only" | "without-signature";

export interface History {
  readonly seed: number;
  readonly kind: Kind;
  readonly upstreams: number;
  /** 1: one machine; 2: as at the edge. */
  readonly isolates: number;
  readonly isSigned: boolean;
  readonly client: ClientOptions;
  readonly steps: readonly Step[];
}

const MAX_STEPS = 12;

/** The history that follows from a seed. */
export function createHistory(seed: number): History {
  const random = createRandom(seed);
  const kind = KINDS[seed % KINDS.length] as Kind;
  const upstreams = 1 + random.below(3);
  const isSigned = random.chance(0.6);
  const checksSignatures = isSigned && kind !== "files" && kind !== "apt-no-release" && random.chance(0.7);
  const steps: Step[] = [{ kind: "publish", at: range(upstreams), part: "whole", hole: hole(random) }];
  const count = 2 + random.below(MAX_STEPS - 2);
  while (steps.length < count) steps.push(createStep(random, upstreams));
  return {
    seed,
    kind,
    upstreams,
    isolates: random.chance(0.3) ? 2 : 1,
    isSigned,
    client: { kind, checksSignatures, usesFilelists: random.chance(0.4) },
    steps,
  };
}

function createStep(random: Random, upstreams: number): Step {
  const at = random.below(upstreams);
  const dice = random.below(100);
  if (dice < 30) {
    const part = random.pick<Part>([
      "whole",
      "whole",
      "whole",
      "root-only",
      "root-and-indexes",
      "packages-only",
      "indexes-only",
      "without-signature",
    ]);
    const where = random.chance(0.6) ? range(upstreams) : [at];
    return { kind: "publish", at: where, part, hole: hole(random), ...(random.chance(0.05) ? { isFuture: true as const } : {}) };
  }
  if (dice < 45) return { kind: "finish" };
  if (dice < 49) return { kind: "roll-back", at, by: 1 + random.below(2) };
  if (dice < 53) return { kind: "sign-anew" };
  if (dice < 60) return { kind: random.pick(["lose", "spoil"]), at, what: random.pick(["index", "package", "signature"]) };
  if (dice < 72)
    return { kind: "fault", at, fault: random.pick<Fault>(["refused", "error-500", "error-503", "silent", "cut", null, null, null]) };
  if (dice < 80) {
    const tag = random.pick<Labels["tag"]>(["strong", "weak-content", "changing", "changing-weak", "suffixed", "per-upstream", "none"]);
    const labels: Labels = { tag, date: random.pick(["constant", "changing", "none"]), takesRanges: random.chance(0.7) };
    return { kind: "labels", at, labels, mislabels: random.pick([null, null, "x-gzip", "html", "none"]) };
  }
  if (dice < 86) {
    const firstByteMs = random.pick([5, 5, 200, 3_000]);
    return { kind: "manners", at, absentStatus: random.pick([404, 403]), isChunked: random.chance(0.3), firstByteMs };
  }
  if (dice < 92) return { kind: "restart" };
  return { kind: "pass", seconds: random.pick([5, 60, 300, 3_600, 90_000]) };
}

/** What the root names and the upstream never has. */
function hole(random: Random): string | null {
  return random.chance(0.25) ? random.pick(["other.xml", "productid.xml", "Translation-en", "filelists.xml"]) : null;
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at);
}
