import type { Distro } from "./config.ts";

/** What is particular to the paths of one distribution. Patterns apply to the decoded canonical path below the mirror. */
export interface Distribution {
  /** Trees that rebuild their packages under one name: a stored package is compared with the upstream once a day. */
  readonly rebuiltTrees?: RegExp;
  /** Uploads that a server still writes to: they are checked and passed on, never stored. */
  readonly passed?: RegExp;
  /** Folders that are links, which the distribution points at something newer. */
  readonly movingFolders?: RegExp;
  /** A beginning that leads back to the mirror's top: the rest is the path that is meant. */
  readonly backToTop?: RegExp;
  /** False where indexes name packages by other paths than clients ask for: then no index can be compared with them. */
  readonly indexesNamePackages?: false;
}

const DISTRIBUTIONS: Readonly<Partial<Record<Distro, Distribution>>> = {
  fedora: { rebuiltTrees: /(?:^|\/)(?:development|rawhide)\// },
  opensuse: { rebuiltTrees: /(?:^|\/)(?:tumbleweed|slowroll|factory)\/|(?:^|\/)repositories\// },
  alpine: { rebuiltTrees: /^edge\// },
  koji: {
    passed: /^work\//,
    movingFolders: /^repos(?:-[^/]+)?\/[^/]+\/latest\//,
    // Each repository has a link `toplink` to the top, and names packages through it: /repos/TAG/ID/ARCH/toplink/packages/…
    backToTop: /^(?:repos\/[^/]+\/[^/]+\/[^/]+\/toplink\/)+/,
    indexesNamePackages: false,
  },
};

/** Repositories of no distribution that we know: many of them push other bytes under an old name. */
const THIRD_PARTY: Distribution = { rebuiltTrees: /^/ };
const ORDINARY: Distribution = {};

/** What is particular to a mirror of this distribution; `undefined`: of none that we know. */
export function distributionOf(distro: Distro | undefined): Distribution {
  return distro === undefined ? THIRD_PARTY : (DISTRIBUTIONS[distro] ?? ORDINARY);
}
