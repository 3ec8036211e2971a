import type { History, Step } from "./history.ts";
import { packageBytes, type Publication, publish } from "./publications.ts";
import { createRandom } from "./random.ts";
import { sha256, sign } from "./signatures.ts";
import { createUpstreamFetch, createUpstreamState, type UpstreamState } from "./upstream.ts";

const FUTURE_SECONDS = 400 * 86_400;
const PATHS = {
  "rpm-md": (name: string, version: number) => `Packages/${name}-${version}-1.noarch.rpm`,
  "rpm-md-plain-names": (name: string, version: number) => `${name}-${version}-1.noarch.rpm`,
  apt: (name: string, version: number) => `pool/main/${name}_${version}_all.deb`,
  "apt-detached": (name: string, version: number) => `pool/main/${name}_${version}_all.deb`,
  "apt-flat": (name: string, version: number) => `${name}_${version}_all.deb`,
  "apt-no-release": (name: string, version: number) => `${name}_${version}_all.deb`,
  pacman: (name: string, version: number) => `${name}-${version}-any.pkg.tar`,
  files: (name: string, version: number) => `${name}-${version}.0.tar`,
} as const;

/** The upstreams of one history, and what they ever had. `now` in milliseconds since the epoch. */
export function createWorld(history: History, now: () => number) {
  const random = createRandom(history.seed ^ 0x5eed);
  const upstreams = Array.from({ length: history.upstreams }, (_, at) => createUpstreamState(`http://up${at}.test`));
  const publications: Publication[] = [];
  /** Which publication an upstream is on the way to. */
  const targets = new Map<UpstreamState, Publication>();
  /** Path to the digests of all that any upstream ever had there. */
  const served = new Map<string, Set<string>>();
  /** Digest of a root, in any of its forms, to the number of its publication. */
  const numbers = new Map<string, number>();
  let packages = new Map<string, Uint8Array>();
  let version = 0;
  /** The newest publication whose root an upstream ever had. */
  const newest = new Map<UpstreamState, number>();

  function createPublication(step: Extract<Step, { kind: "publish" }>): Publication {
    version++;
    const names = ["alpha", "beta", "gamma"].slice(0, 1 + random.below(3));
    const next = new Map([...packages].filter(() => random.chance(0.5)));
    // Third parties push other bytes under an old name; without an index, nothing could tell.
    if (history.kind !== "files") for (const path of next.keys()) if (random.chance(0.3)) next.set(path, packageBytes(random, path));
    for (const name of names) {
      const path = PATHS[history.kind](name, version);
      next.set(path, packageBytes(random, path));
    }
    packages = next;
    const date = Math.floor(now() / 1000) + (step.isFuture === true ? FUTURE_SECONDS : 0);
    const holes = step.hole === null ? [] : [step.hole];
    const made = publish({ kind: history.kind, number: version, date, isSigned: history.isSigned, packages, holes });
    publications.push(made);
    for (const root of made.roots) numbers.set(sha256(made.files.get(root) as Uint8Array), version);
    return made;
  }

  function bring(state: UpstreamState, made: Publication, part: Extract<Step, { kind: "publish" }>["part"]): void {
    targets.set(state, made);
    state.shows = made;
    const some = (paths: readonly string[]) => paths.flatMap((path) => [...made.files].filter(([name]) => name === path));
    const parts = {
      whole: () => [...made.files],
      "root-only": () => [...state.files, ...some([...made.roots, ...made.signatures])],
      "root-and-indexes": () => [...state.files, ...some([...made.roots, ...made.signatures, ...made.indexes])],
      "packages-only": () => [...state.files, ...some(made.packages)],
      "indexes-only": () => [...state.files, ...some(made.indexes)],
      "without-signature": () => [...made.files].filter(([path]) => !made.signatures.includes(path)),
    };
    state.files = new Map(parts[part]());
  }

  function harm(state: UpstreamState, isSpoilt: boolean, what: "index" | "package" | "signature"): void {
    const target = targets.get(state);
    const paths = { index: target?.indexes, package: target?.packages, signature: target?.signatures }[what] ?? [];
    const there = paths.filter((path) => state.files.has(path));
    const path = there[random.below(Math.max(1, there.length))];
    if (path === undefined) return;
    if (!isSpoilt) return void state.files.delete(path);
    // Of a file that no index names, the mirror cannot know; it asks for it again once a day.
    if (history.kind === "files") return;
    const bytes = (state.files.get(path) as Uint8Array).slice();
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0x55;
    state.files.set(path, bytes);
  }

  function apply(step: Step): void {
    const state = "at" in step && typeof step.at === "number" ? upstreams[step.at] : undefined;
    switch (step.kind) {
      case "publish": {
        const made = createPublication(step);
        for (const at of step.at) bring(upstreams[at] as UpstreamState, made, step.part);
        break;
      }
      case "finish":
        for (const [one, target] of targets) one.files = new Map(target.files);
        break;
      case "roll-back": {
        const current = publications.indexOf(targets.get(state as UpstreamState) as Publication);
        const earlier = publications[Math.max(0, current - step.by)];
        if (earlier !== undefined) bring(state as UpstreamState, earlier, "whole");
        break;
      }
      case "sign-anew":
        for (const [one, { roots, signatures }] of targets)
          for (const path of signatures) {
            const root = one.files.get(roots[0] ?? "");
            if (root !== undefined && one.files.has(path)) one.files.set(path, sign(root, Math.floor(now() / 1000)));
          }
        break;
      case "lose":
      case "spoil":
        harm(state as UpstreamState, step.kind === "spoil", step.what);
        break;
      case "fault":
        (state as UpstreamState).fault = step.fault;
        break;
      case "labels":
        Object.assign(state as UpstreamState, { labels: step.labels, mislabels: step.mislabels });
        break;
      case "manners":
        Object.assign(state as UpstreamState, {
          absentStatus: step.absentStatus,
          isChunked: step.isChunked,
          firstByteMs: step.firstByteMs,
        });
        break;
      case "restart":
      case "pass":
        break;
    }
    note();
  }

  function note(): void {
    for (const state of upstreams) newest.set(state, Math.max(newest.get(state) ?? 0, shownBy(state) ?? 0));
    for (const { files } of upstreams)
      for (const [path, bytes] of files) {
        const known = served.get(path) ?? new Set();
        served.set(path, known.add(sha256(bytes)));
      }
  }

  /** Whether an upstream has less or other than it is on the way to, or shows another publication than the others. */
  function isHalfWay(): boolean {
    const isWhole = upstreams.every(({ files, ...state }) => {
      const target = [...targets].find(([one]) => one.url === state.url)?.[1];
      return (
        target === undefined || (files.size === target.files.size && [...target.files].every(([path, bytes]) => files.get(path) === bytes))
      );
    });
    return (
      !isWhole || new Set(targets.values()).size > 1 || publications.some(({ files, roots }) => roots.some((root) => !files.has(root)))
    );
  }

  /** The number of the publication whose root an upstream shows; undefined: it shows none. */
  function shownBy(state: UpstreamState): number | undefined {
    const root = targets
      .get(state)
      ?.roots.map((path) => state.files.get(path))
      .find((bytes) => bytes !== undefined);
    return root === undefined ? undefined : numbers.get(sha256(root));
  }

  /** Whether an upstream shows a root that is older than one that it had, dated in the future, or without the signatures that were made for it. */
  function isDoubtful(): boolean {
    return upstreams.some((state) => {
      const number = shownBy(state);
      const shown = publications.find((one) => one.number === number);
      if (shown === undefined || number === undefined) return publications.length > 0;
      const isUnsigned = shown.signatures.some((path) => state.files.get(path) === undefined);
      return isUnsigned || number < (newest.get(state) ?? 0) || shown.date * 1000 > now();
    });
  }

  /** Whether an index of this sort, which a publication names, is not there as it is named. */
  function lacks(sort: string): boolean {
    return upstreams.some((state) => {
      const shown = publications.find(({ number }) => number === shownBy(state));
      const named = shown?.indexes.filter((path) => path.includes(sort)) ?? [];
      return named.some((path) => state.files.get(path) !== shown?.files.get(path)) || shown?.isLacking(sort) === true;
    });
  }

  return {
    upstreams,
    shownBy,
    lacks,
    paths: (): readonly string[] => [...served.keys()],
    fetch: createUpstreamFetch(upstreams),
    apply,
    isHalfWay,
    isDoubtful,
    numberOf: (root: string): number | undefined => numbers.get(root),
    wasServed: (path: string, bytes: Uint8Array): boolean => served.get(path)?.has(sha256(bytes)) === true,
  };
}
