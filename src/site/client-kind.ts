/** The value of `?for=` for the client with this User-Agent; undefined for browsers and downloaders. */
export function clientOfAgent(userAgent: string): string | undefined {
  return AGENTS.find(([agent]) => agent.test(userAgent))?.[1];
}

const AGENTS: readonly (readonly [RegExp, string])[] = [
  [/^Debian APT-/, "apt"],
  [/^(?:libdnf|dnf|librepo|yum)/i, "dnf"],
  [/^ZYpp/, "zypper"],
  [/^pacman\//, "pacman"],
  [/^(?:apk-tools|libfetch)/, "apk"],
  [/^koji/, "kojid"],
];
