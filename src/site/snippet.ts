import { formatSources, sourcesFile } from "./distro-setup.ts";
import type { MirrorSetup } from "./setup-of.ts";

/** Lines to paste. */
export interface Snippet {
  /** The value of `?for=` that selects them. */
  readonly client: string;
  /** Where to paste them. */
  readonly title: string;
  readonly text: string;
}

/** The lines to paste for a mirror, those for a file first. Without `release` they have the distribution's example. */
export function snippetsOf(setup: MirrorSetup, release?: string): readonly Snippet[] {
  switch (setup.kind) {
    case "distro": {
      const { manager } = setup.setup;
      const text = formatSources(setup.setup, setup.places, release ?? setup.setup.release.example);
      const file = sourcesFile(setup.setup, setup.places.name);
      const title = manager === "pacman" ? `First line of ${file}` : manager === "apk" ? `In ${file}` : file;
      return [{ client: manager, title, text }, ...(manager === "zypper" ? [zypperCommands(setup.places.name, text)] : [])];
    }
    case "koji":
      return [
        { client: "kojid", title: "/etc/kojid/kojid.conf (a builder)", text: `[kojid]\ntopurl=${setup.base}\n` },
        { client: "koji", title: "/etc/koji.conf.d/lazy-mirror.conf (the koji command)", text: `[koji]\ntopurl=${setup.base}\n` },
        { client: "mock", title: "A mock configuration, in config_opts['dnf.conf']", text: mockRepository(setup.base) },
      ];
    case "plain":
      return [
        {
          client: "url",
          title: "Use this in place of the repository's own address, where its publisher's instructions have that",
          text: `${setup.base}/\n`,
        },
      ];
  }
}

/** Commands of zypper that add the same repositories. */
function zypperCommands(name: string, text: string): Snippet {
  const pairs = [...text.matchAll(/^\[(.*)\]\n(?:.*\n)*?baseurl=(.*)$/gm)];
  const commands = pairs.map(([, id, url]) => `sudo zypper addrepo --refresh --check '${url}' '${id}'\n`);
  return { client: "addrepo", title: `Or by command, one for each repository of ${name}`, text: commands.join("") };
}

function mockRepository(base: string): string {
  return [
    "[koji-build]",
    "name=koji-build",
    `baseurl=${base}/repos/f43-build/latest/$basearch/`,
    "enabled=1",
    "gpgcheck=0",
    "skip_if_unavailable=False",
    "",
  ].join("\n");
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
