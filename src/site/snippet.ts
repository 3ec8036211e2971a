/** Lines to paste. */
export interface Snippet {
  /** The value of `?for=` that selects them. */
  readonly client: string;
  /** What they set up: a package manager's own files, a machine, its installer, an image, a job of CI, a build system. */
  readonly group: "client" | "machine" | "installer" | "image" | "job" | "build";
  /** Where to paste them. */
  readonly title: string;
  readonly text: string;
}

/** The same lines under another tool's name. */
const ALIASES: Readonly<Record<string, string>> = {
  podman: "docker",
  buildah: "docker",

  "gitlab-ci": "gitlab",
};

/** The lines for one value of `?for=`. */
export function findSnippet(snippets: readonly Snippet[], wanted: string): Snippet | undefined {
  return snippets.find(({ client }) => client === (ALIASES[wanted] ?? wanted));
}

const AGENTS: readonly (readonly [RegExp, string])[] = [
  [/^Debian APT-/, "apt"],
  [/^(?:libdnf|dnf|librepo|yum)/i, "dnf"],
  [/^ZYpp/, "zypper"],
  [/^pacman\//, "pacman"],
  [/^(?:apk-tools|libfetch)/, "apk"],
  [/^koji/, "kojid"],
];

/** The value of `?for=` for the client with this User-Agent; undefined for browsers and downloaders. */
export function clientOfAgent(userAgent: string): string | undefined {
  return AGENTS.find(([agent]) => agent.test(userAgent))?.[1];
}
