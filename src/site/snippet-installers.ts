import { clientFiles, replacingFiles, type Wanted } from "./client-files.ts";
import { DIRECT } from "./direct.ts";
import type { DistroMirror } from "./setup-of.ts";
import type { Snippet } from "./snippet.ts";
import { formatCommands } from "./snippet-shell.ts";

/** Lines for the answer file of the distribution's installer. Where its installer has none that names a mirror: nothing. */
export function installerSnippets(setup: DistroMirror, wanted: Wanted): readonly Snippet[] {
  const { distro } = replacingFiles(setup, wanted);
  switch (distro) {
    case "debian":
      return [{ client: "preseed", group: "installer", title: "preseed.cfg of Debian's installer", text: preseed(setup, wanted) }];
    case "ubuntu":
      return [{ client: "autoinstall", group: "installer", title: "user-data of Ubuntu's installer", text: autoinstall(setup, wanted) }];
    case "fedora":
    case "centos-stream":
    case "rocky":
    case "almalinux":
    case "epel":
      return [{ client: "kickstart", group: "installer", title: "ks.cfg of Anaconda", text: kickstart(setup, wanted) }];
    case "debian-security":
    case "opensuse":
    case "archlinux":
    case "alpine":
      return [];
  }
}

/** Host, with its port, and path, as the installer asks for them apart. */
function preseed({ places }: DistroMirror, { release }: Wanted): string {
  const main = new URL(places.base);
  const protocol = main.protocol.slice(0, -1);
  const security = new URL(places.security ?? DIRECT["debian-security"].url);
  return [
    "d-i mirror/country string manual",
    `d-i mirror/protocol string ${protocol}`,
    `d-i mirror/${protocol}/hostname string ${main.host}`,
    `d-i mirror/${protocol}/directory string ${main.pathname}`,
    `d-i mirror/${protocol}/proxy string`,
    ...(release === undefined ? [] : [`d-i mirror/suite string ${release}`]),
    // Unstable has neither.
    `d-i apt-setup/services-select multiselect${release === "sid" ? "" : " security, updates"}`,
    `d-i apt-setup/security_host string ${security.host}`,
    `d-i apt-setup/security_path string ${security.pathname}`,
    "",
  ].join("\n");
}

/** The installer tries the servers in order and takes the first that works. */
function autoinstall({ places }: DistroMirror, { fallback }: Wanted): string {
  const uris = [places.base, ...(fallback === "direct" ? [DIRECT.ubuntu.url] : [])];
  return `#cloud-config
autoinstall:
  version: 1
  apt:
    preserve_sources_list: false
    geoip: false
    mirror-selection:
      primary:
${uris.map((uri) => `        - uri: ${uri}\n          arches: [amd64, i386]\n`).join("")}    security:
      - uri: ${places.base}
        arches: [amd64, i386]
`;
}

/** From where it installs, and the same sources on the installed machine. */
function kickstart(setup: DistroMirror, { release }: Wanted): string {
  const files = clientFiles(setup, { release });
  const repositories = [...files.files[0].text.matchAll(/^\[lazy-mirror-(.*)\]\n(?:.*\n)*?baseurl=(.*)$/gm)].map(
    ([, id = "", url = ""]) => ({ id, url: url.replace("$releasever", files.release) }),
  );
  // EPEL has no installer: it only adds to what the distribution's own brings.
  const first = files.distro === "epel" ? undefined : repositories[0];
  const others = repositories.filter((one) => one !== first);
  const lines = [
    ...(first === undefined ? [] : [`url --url="${first.url}"`]),
    ...others.map(({ id, url }) => `repo --name="${id}" --baseurl="${url}"`),
  ];
  return `${lines.join("\n")}\n\n%post --erroronfail\n${formatCommands(files)}%end\n`;
}
