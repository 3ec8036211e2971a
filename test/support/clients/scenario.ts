import { basename } from "node:path";
import { LARGE_DEB, openAptRepository } from "../apt-repository.ts";
import { makeNoise, sha256 } from "../fixture.ts";
import { openPacmanRepository, LARGE_PACMAN } from "../pacman-repository.ts";
import { LARGE_RPM, openRpmRepository } from "../rpm-repository.ts";
import { openApt, APT_TOOLS } from "./apt.ts";
import type { ClientRoot, Wanted } from "./client.ts";
import { DNF_TOOLS, openDnf } from "./dnf.ts";
import { DOWNLOADER_TOOL, openDownloader } from "./download.ts";
import type { Downloader } from "./download.ts";
import { openPacman, PACMAN_TOOLS } from "./pacman.ts";
import { openZypper, ZYPPER_TOOLS } from "./zypper.ts";

/** A client with the kind of repository that it reads. */
export interface Scenario {
  readonly client: string;
  readonly tools: readonly string[];
  readonly distro: string | undefined;
  openRepository(): Promise<ScenarioRepository>;
}

export interface ScenarioRepository {
  /** What an origin serves. */
  readonly folder: string;
  /** Below the folder. */
  paths(): string[];
  open(url: string): ClientRoot;
}

/** Of 6 MB: longer than a mirror holds back. */
export const LARGE = "mirror-test-large";
/** Of 20 kB; it needs the large one. */
export const SMALL = "mirror-test-small++";

const RPM_BUILD_TOOLS = ["rpmbuild", "rpmsign", "createrepo_c", "gpg"];

export const SCENARIOS = {
  apt: {
    client: "apt",
    tools: APT_TOOLS,
    distro: "debian",
    async openRepository() {
      const repository = await openAptRepository();
      return { folder: repository.folder, paths: repository.paths, open: (url) => openApt(url, repository.key) };
    },
  },
  dnf: { client: "dnf", tools: DNF_TOOLS, distro: "fedora", openRepository: () => openRpm(openDnf) },
  zypper: { client: "zypper", tools: ZYPPER_TOOLS, distro: "opensuse", openRepository: () => openRpm(openZypper) },
  pacman: {
    client: "pacman",
    tools: PACMAN_TOOLS,
    distro: "archlinux",
    async openRepository() {
      const repository = await openPacmanRepository();
      return { folder: repository.folder, paths: repository.paths, open: openPacman };
    },
  },
  curl: describeDownloader("curl"),
  wget: describeDownloader("wget"),
  aria2c: describeDownloader("aria2c"),
  requests: describeDownloader("requests"),
  urllib: describeDownloader("urllib"),
} as const satisfies Record<string, Scenario>;

async function openRpm(open: (url: string) => ClientRoot): Promise<ScenarioRepository> {
  const repository = await openRpmRepository();
  return { folder: repository.folder, paths: repository.paths, open };
}

function describeDownloader(downloader: Downloader): Scenario {
  return {
    client: downloader,
    tools: [DOWNLOADER_TOOL[downloader], ...RPM_BUILD_TOOLS],
    distro: undefined,
    openRepository: () => openRpm((url) => openDownloader(downloader, url)),
  };
}

/** The package `name`, to ask a client for. */
export function findWanted(repository: ScenarioRepository, name: string): Wanted {
  const path = repository.paths().find((one) => basename(one).startsWith(name) && /^[-_]\d/.test(basename(one).slice(name.length)));
  if (path === undefined) throw new Error(`Cannot find package ${name}: it should be one of ${repository.paths().join(", ")}`);
  return { name, path };
}

/** File names of downloads that are no package of the repository, byte for byte. */
export function findDamage(client: ClientRoot, repository: ScenarioRepository): string[] {
  const good = new Set(repository.paths().map((path) => sha256(`${repository.folder}/${path}`)));
  return [...client.downloads()].flatMap(([name, bytes]) => (good.has(sha256(bytes)) ? [] : [name]));
}

const LARGE_VERSIONS = [LARGE_DEB, LARGE_RPM, LARGE_PACMAN];

/** Whether what the large package installed is what was packed; `undefined` when it is not installed. */
export function isLargeIntact(client: ClientRoot): boolean | undefined {
  const installed = client.installed(LARGE);
  return installed && LARGE_VERSIONS.some(({ name, version, bytes }) => makeNoise(name + version, bytes).equals(installed));
}
