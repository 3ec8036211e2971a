import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SETUPS } from "../../../src/site/distro-setup.ts";
import { formatSetupScript } from "../../../src/site/setup-script.ts";

const BASE = "http://mirror.lan/here";
const SECURITY = "http://mirror.lan/security";

interface ConvertCase {
  readonly title: string;
  readonly distro: keyof typeof SETUPS;
  readonly file: string;
  readonly before: string;
  /** Undefined: the script leaves the file alone. */
  readonly after?: string;
  /** Servers that are proven to have the distribution's tree. */
  readonly proven?: string;
  readonly security?: string | null;
}

const CASES: readonly ConvertCase[] = [
  {
    title: "every server of Ubuntu's archive, with its options, and not its ports",
    distro: "ubuntu",
    file: "sources.list",
    before:
      "deb mirror://mirrors.ubuntu.com/mirrors.txt noble main\ndeb-src [ arch=amd64 lang=de ] http://de.archive.ubuntu.com:80/ubuntu/ noble-updates main universe # ours\ndeb http://ports.ubuntu.com/ubuntu-ports noble main\ndeb https://packages.example/ubuntu noble main\ndeb https://security.ubuntu.com/ubuntu noble-security main\n",
    after: `deb ${BASE} noble main\ndeb-src [ arch=amd64 lang=de ] ${BASE} noble-updates main universe # ours\ndeb http://ports.ubuntu.com/ubuntu-ports noble main\ndeb https://packages.example/ubuntu noble main\ndeb ${BASE} noble-security main\n`,
  },
  {
    title: "several URIs of one stanza, in one line or several, each once",
    distro: "debian",
    file: "x.sources",
    before:
      "Types: deb deb-src\nURIs: http://ftp.debian.org/debian  http://ftp.us.debian.org/debian/ https://vendor.invalid/debian\n  http://near.invalid/pub/debian\n# http://ftp.debian.org/debian\nSuites: trixie trixie-proposed-updates\nComponents: main non-free-firmware\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n http://ftp.debian.org/debian\n",
    after: `Types: deb deb-src\nURIs: ${BASE}   https://vendor.invalid/debian\n# http://ftp.debian.org/debian\nSuites: trixie trixie-proposed-updates\nComponents: main non-free-firmware\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n http://ftp.debian.org/debian\n`,
    proven: "near.invalid",
  },
  {
    title: "nothing of an archive that has no mirror",
    distro: "debian",
    file: "x.list",
    before:
      "deb http://security.debian.org/debian-security trixie-security main\ndeb cdrom:[Debian]/ trixie main\ndeb http://ftp.debian.org/debian-debug trixie-debug main\ndeb tor+http://x.onion/debian trixie main\n",
    security: null,
  },
  {
    title: "the security archive alone, where that alone is mirrored",
    distro: "debian-security",
    file: "x.list",
    before: "deb http://ftp.debian.org/debian trixie main\ndeb http://security.debian.org trixie-security main\n",
    after: `deb http://ftp.debian.org/debian trixie main\ndeb ${BASE} trixie-security main\n`,
    security: null,
  },
  {
    title: "crb and source repositories of Rocky Linux, on or off",
    distro: "rocky",
    file: "rocky.repo",
    before:
      "[crb]\nname=CRB\nmirrorlist=https://mirrors.rockylinux.org/mirrorlist?arch=$basearch&repo=CRB-$releasever\n#baseurl=http://dl.rockylinux.org/$contentdir/$releasever/CRB/$basearch/os/\nenabled=0\n\n[baseos-source]\nmirrorlist=https://mirrors.rockylinux.org/mirrorlist?repo=source\n#baseurl=http://dl.rockylinux.org/$contentdir/$releasever/BaseOS/source/tree/\nenabled=0\n[docker]\nbaseurl=https://download.docker.invalid/linux/rhel/$releasever/\n",
    after: `[crb]\nname=CRB\nbaseurl=${BASE}/$releasever/CRB/$basearch/os/\n#baseurl=http://dl.rockylinux.org/$contentdir/$releasever/CRB/$basearch/os/\nenabled=0\n\n[baseos-source]\nbaseurl=${BASE}/$releasever/BaseOS/source/tree/\n#baseurl=http://dl.rockylinux.org/$contentdir/$releasever/BaseOS/source/tree/\nenabled=0\n[docker]\nbaseurl=https://download.docker.invalid/linux/rhel/$releasever/\n`,
  },
  {
    title: "repositories of CentOS Stream, whose files name no path",
    distro: "centos-stream",
    file: "centos.repo",
    before:
      "[crb]\nmetalink=https://mirrors.centos.org/metalink?repo=centos-crb-$stream&arch=$basearch&protocol=https,http\nenabled=0\n[appstream-source]\nmetalink=https://mirrors.centos.org/metalink?repo=centos-appstream-source-$stream&arch=source\n",
    after: `[crb]\nbaseurl=${BASE}/$stream/CRB/$basearch/os/\nenabled=0\n[appstream-source]\nbaseurl=${BASE}/$stream/AppStream/source/tree/\n`,
  },
  {
    title: "EPEL beside others' repositories on Fedora's servers",
    distro: "epel",
    file: "epel.repo",
    before:
      "[epel]\n#baseurl=https://download.example/pub/epel/9/Everything/$basearch/\nmetalink=https://mirrors.fedoraproject.org/metalink?repo=epel-9&arch=$basearch\n[epel-cisco-openh264]\nmetalink=https://mirrors.fedoraproject.org/metalink?repo=epel-cisco-openh264-9&arch=$basearch\n[epel-debuginfo]\n#baseurl=https://download.example/pub/epel/9/Everything/$basearch/debug/\nmetalink=https://mirrors.fedoraproject.org/metalink?repo=epel-debug-9&arch=$basearch\n",
    after: `[epel]\n#baseurl=https://download.example/pub/epel/9/Everything/$basearch/\nbaseurl=${BASE}/9/Everything/$basearch/\n[epel-cisco-openh264]\nmetalink=https://mirrors.fedoraproject.org/metalink?repo=epel-cisco-openh264-9&arch=$basearch\n[epel-debuginfo]\n#baseurl=https://download.example/pub/epel/9/Everything/$basearch/debug/\nbaseurl=${BASE}/9/Everything/$basearch/debug/\n`,
  },
  {
    title: "nothing of a third party's packages for Alpine",
    distro: "alpine",
    file: "repositories",
    before:
      "https://nginx.org/packages/alpine/v3.22/main\nhttps://packages.example/alpine/v3.22/main\n@x https://dl-cdn.alpinelinux.org/other/v3.22/main\n",
  },
];

describe.each(CASES)("the set-up script for $distro", ({ title, distro, file, before, after, proven = "", security = SECURITY }) => {
  it(`converts ${title}`, () => {
    const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-convert-"));
    try {
      const path = join(folder, file);
      writeFileSync(path, before);
      const script = formatSetupScript(SETUPS[distro], { name: "here", base: BASE, security }, "http://mirror.lan");
      const functions = script.slice(0, script.lastIndexOf("\nmain "));
      const run = spawnSync("sh", ["-s", path], {
        input: `${functions}\nreplace='' proven='${proven}' key='' login='' release=9\nids=$(printf %s "$ids" | sed s/@RELEASE@/9/g)\nexport name base hosts folder within lists ids replace trees proven login\nconvert "$1"\n`,
        encoding: "utf8",
      });
      expect(run.status).toBe(after === undefined ? 1 : 0);
      expect(run.stdout).toBe(after ?? before);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
