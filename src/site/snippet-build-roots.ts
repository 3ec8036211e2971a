import type { Distro } from "../config/config.ts";
import { clientFiles, type Wanted } from "./client-files.ts";
import type { DistroMirror } from "./setup-of.ts";
import type { Snippet } from "./snippet.ts";

/** For those who build packages of this distribution: mock, and a koji of their own. */
export function buildRootSnippets(setup: DistroMirror, wanted: Wanted): readonly Snippet[] {
  if (setup.setup.manager !== "dnf") return [];
  const { files, distro, release } = clientFiles(setup, wanted);
  const repositories = files[0].text.replaceAll("$releasever", release);
  const urls = [...repositories.matchAll(/^\[(.*)\]\n(?:.*\n)*?baseurl=(.*)$/gm)];
  return [
    { client: "mock", group: "build", title: `/etc/mock/lazy-mirror-${setup.places.name}.cfg`, text: mock(distro, release, repositories) },
    {
      client: "koji",
      group: "build",
      title: "Commands of your own koji; put its tag for TAG",
      // koji has another name for the architecture.
      text: urls.map(([, id, url = ""]) => `koji add-external-repo --tag=TAG ${id} '${url.replace("$basearch", "$arch")}'\n`).join(""),
    },
  ];
}

/** The clients of a mirror of koji's packages. */
export function kojiSnippets(base: string): readonly Snippet[] {
  const koji = (title: string, client: string) => ({ client, group: "build", title, text: `[${client}]\ntopurl=${base}\n` }) as const;
  return [
    koji("/etc/kojid/kojid.conf (a builder)", "kojid"),
    koji("/etc/koji.conf.d/lazy-mirror.conf (the koji command)", "koji"),
    {
      client: "mock",
      group: "build",
      title: "A mock configuration, in config_opts['dnf.conf']",
      text: `[koji-build]\nname=koji-build\nbaseurl=${base}/repos/f43-build/latest/$basearch/\nenabled=1\ngpgcheck=0\nskip_if_unavailable=False\n`,
    },
  ];
}

/** Names of mock's own configurations, by distribution and release. */
const MOCK_CONFIGURATIONS: Readonly<Partial<Record<Distro, (release: string) => string>>> = {
  fedora: (release) => `fedora-${release}`,
  "centos-stream": (release) => `centos-stream-${release}`,
  rocky: (release) => `rocky-${release}`,
  almalinux: (release) => `almalinux-${release}`,
  epel: (release) => `rocky+epel-${release}`,
};

/** Where the package distribution-gpg-keys, which mock depends on, has each distribution's key. */
function keyFile(distro: Distro, release: string): string {
  const isFirst = release === "8";
  const keys: Partial<Record<Distro, string>> = {
    fedora: `fedora/RPM-GPG-KEY-fedora-${release}-primary`,
    epel: `epel/RPM-GPG-KEY-EPEL-${release}`,
    "centos-stream": `centos/RPM-GPG-KEY-CentOS-Official${Number(release) >= 10 ? "-SHA256" : ""}`,
    rocky: isFirst ? "rocky/RPM-GPG-KEY-rockyofficial" : `rocky/RPM-GPG-KEY-Rocky-${release}`,
    almalinux: isFirst ? "alma/RPM-GPG-KEY-AlmaLinux" : `alma/RPM-GPG-KEY-AlmaLinux-${release}`,
  };
  return `file:///usr/share/distribution-gpg-keys/${keys[distro] ?? ""}`;
}

/** mock's own configuration, which is Python, with our repositories in the place of those that they replace. Its `dnf.conf` is one text. */
function mock(distro: Distro, release: string, repositories: string): string {
  const text = repositories.replaceAll(/^gpgkey=.*$/gm, `gpgkey=${keyFile(distro, release)}`);
  const configuration = MOCK_CONFIGURATIONS[distro]?.(release) ?? "";
  const replaced = [...repositories.matchAll(/^\[lazy-mirror-.*-(\w+)\]$/gm)].map(([, id = ""]) => (id === "rawhide" ? "fedora" : id));
  return `include('/etc/mock/${configuration}-x86_64.cfg')
config_opts['root'] = 'lazy-mirror-${configuration}-x86_64'
config_opts['dnf.conf'] = '\\n['.join(
    section for section in config_opts['dnf.conf'].split('\\n[') if section.split(']')[0] not in ${JSON.stringify(replaced)}
) + """

${text}"""
`;
}
