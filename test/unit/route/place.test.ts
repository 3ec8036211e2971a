import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Distro, PathClass } from "../../../src/config/config.ts";
import { placeOf, type RepositoryKind, type RepositoryPlace } from "../../../src/route/place.ts";
import type { NamedDigest } from "../../../src/verify/expectation.ts";

const MD5 = "d41d8cd98f00b204e9800998ecf8427e";
const SHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
const SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const SHA384 = `${SHA256}${MD5}`;
const SHA512 = `${SHA256}${SHA256}`;

type Role = RepositoryPlace["role"];
/** A kind of repository and a role in it, or else the class of a path that stands in no repository. */
type Heading = `${RepositoryKind} ${Role}` | Exclude<PathClass, "root" | "member" | "hashed">;

/**
 * Paths as they are on the mirrors, below the configured upstream, one a line. In those of a repository `^` ends its base and `|` the root: of
 * `os^/repodata|/repomd.xml` the base is `os` and the root `os/repodata`.
 */
type Expected = Partial<Record<Heading, string>>;

const PATHS: readonly (readonly [Distro | undefined, Expected])[] = [
  [
    "fedora",
    {
      "pair root": `releases/43/Server/x86_64/iso^/Fedora-Server-43-1.6-x86_64-CHECKSUM|`,
      "rpm-md root": `
        releases/43/Everything/x86_64/os^/repodata|/repomd.xml
        updates/43/Everything/aarch64^/repodata|/repomd.xml
        development/rawhide/Everything/x86_64/os^/repodata|/repomd.xml`,
      "rpm-md companion": `updates/43/Everything/aarch64^/repodata|/repomd.xml.asc`,
      "rpm-md member": `
        releases/8/Everything/x86_64/os^/repodata|/primary.xml.gz
        releases/8/Everything/x86_64/os^/repodata|/Fedora-8-comps.xml
        releases/43/Everything/x86_64/os^/repodata|/${SHA256.slice(1)}-primary.xml.gz
        releases/43/Everything/x86_64/os^/repodata|/${SHA256}0-primary.xml.gz
        releases/43/Everything/x86_64/os^/repodata|/${SHA256}.xml.gz`,
      "rpm-md hashed": `
        releases/43/Everything/x86_64/os^/repodata|/${SHA256}-primary.xml.gz
        releases/43/Everything/x86_64/os^/repodata|/${SHA256}-comps-Everything.x86_64.xml.zst
        releases/43/Everything/x86_64/os^/repodata|/${SHA256}-filelists.xml.zck
        releases/10/Everything/x86_64/os^/repodata|/${SHA1}-primary.sqlite.bz2
        releases/10/Everything/x86_64/os^/repodata|/${MD5}-other.xml.gz
        releases/43/Everything/x86_64/os^/repodata|/${SHA384}-primary.xml.gz
        releases/43/Everything/x86_64/os^/repodata|/${SHA512}-primary.xml.gz
        development/rawhide/Everything/x86_64/os^/repodata|/${SHA256}-updateinfo.xml.zst`,
      package: `
        releases/43/Everything/x86_64/os/Packages/b/bash-5.3.0-2.fc43.x86_64.rpm
        releases/43/Everything/source/tree/Packages/b/bash-5.3.0-2.fc43.src.rpm
        releases/43/Everything/x86_64/os/Packages/c/concurrent-devel-1.3.4-1.fc43.noarch.rpm
        releases/43/Everything/x86_64/os/Packages/l/libstdc++-15.2.1-1.fc43.x86_64.rpm
        updates/43/Everything/x86_64/Packages/k/kernel-6.17.1-300.fc43.x86_64.rpm
        updates/testing/43/Everything/x86_64/Packages/v/vim-enhanced-9.1.1818-1.fc43.x86_64.rpm
        updates/20/x86_64/drpms/bash-4.2.45-4.fc20_4.2.46-2.fc20.x86_64.drpm
        releases/43/Server/x86_64/iso/Fedora-Server-dvd-x86_64-43-1.6.iso
        releases/43/Workstation/x86_64/iso/Fedora-Workstation-Live-43-1.6.x86_64.iso
        releases/43/Cloud/x86_64/images/Fedora-Cloud-Base-Generic-43-1.6.x86_64.qcow2
        releases/43/Cloud/x86_64/images/Fedora-Cloud-Base-AmazonEC2-43-1.6.x86_64.raw.xz
        releases/43/Container/x86_64/images/Fedora-Container-Base-Generic-43-1.6.x86_64.oci.tar.xz
        releases/43/Spins/aarch64/images/Fedora-Minimal-43-1.6.aarch64.raw.xz`,
      "unstable-package": `
        development/rawhide/Everything/x86_64/os/Packages/b/bash-5.3.3-1.fc44.x86_64.rpm
        development/44/Everything/x86_64/os/Packages/b/bash-5.3.3-1.fc44.x86_64.rpm
        development/rawhide/Server/x86_64/iso/Fedora-Server-dvd-x86_64-Rawhide-20251101.n.0.iso
        updates/rawhide/x86_64/Packages/b/bash-5.3.3-1.fc44.x86_64.rpm`,
      volatile: `
        releases/43/Everything/x86_64/os/.treeinfo
        releases/43/Server/x86_64/os/.discinfo
        releases/43/Everything/x86_64/os/images/pxeboot/vmlinuz
        releases/43/Everything/x86_64/os/images/pxeboot/initrd.img
        releases/43/Everything/x86_64/os/images/boot.iso
        releases/43/Everything/x86_64/os/images/install.img
        releases/43/Everything/x86_64/os/images/eltorito.img
        releases/43/Everything/x86_64/os/EFI/BOOT/BOOTX64.EFI
        releases/41/Server/x86_64/os/isolinux/vmlinuz
        releases/43/Server/x86_64/os/LiveOS/squashfs.img
        releases/43/Everything/x86_64/os/media.repo
        releases/43/Everything/x86_64/os/Packages/
        releases/43/COMPOSE_ID
        development/rawhide/Everything/x86_64/os/images/boot.iso
        imagelist-fedora
        fullfiletimelist-fedora
        RPM-GPG-KEY-fedora-43-primary`,
    },
  ],
  [
    "epel",
    {
      "rpm-md root": `
        9/Everything/x86_64^/repodata|/repomd.xml
        next/9/Everything/x86_64^/repodata|/repomd.xml`,
      "rpm-md hashed": `
        9/Everything/x86_64^/repodata|/${SHA256}-primary.xml.gz
        8/Modular/x86_64^/repodata|/${SHA256}-modules.yaml.gz`,
      package: `
        9/Everything/x86_64/Packages/h/htop-3.3.0-1.el9.x86_64.rpm
        10/Everything/aarch64/Packages/e/epel-release-10-6.el10_0.noarch.rpm
        9/Everything/source/tree/Packages/h/htop-3.3.0-1.el9.src.rpm`,
      volatile: `
        epel-release-latest-9.noarch.rpm
        epel-release-latest-10.noarch.rpm
        epel-next-release-latest-9.noarch.rpm
        RPM-GPG-KEY-EPEL-9
        fullfilelist`,
    },
  ],
  [
    "centos-stream",
    {
      "pair root": `9-stream/BaseOS/x86_64/iso^/CentOS-Stream-9-latest-x86_64-dvd1.iso.SHA256SUM|`,
      "rpm-md root": `9-stream/BaseOS/x86_64/os^/repodata|/repomd.xml`,
      "rpm-md companion": `SIGs/9-stream/virt/x86_64/ovirt-45^/repodata|/repomd.xml.asc`,
      "rpm-md hashed": `10-stream/AppStream/x86_64/os^/repodata|/${SHA256}-filelists.xml.gz`,
      package: `
        9-stream/BaseOS/x86_64/os/Packages/bash-5.1.8-9.el9.x86_64.rpm
        10-stream/CRB/aarch64/os/Packages/libtool-2.4.7-10.el10.aarch64.rpm
        SIGs/9-stream/hyperscale/x86_64/packages-main/Packages/s/systemd-257.9-1.hs.el9.x86_64.rpm
        9-stream/BaseOS/x86_64/iso/CentOS-Stream-9-20251103.0-x86_64-dvd1.iso
        9-stream/x86_64/images/CentOS-Stream-GenericCloud-9-20251103.0.x86_64.qcow2`,
      volatile: `
        9-stream/BaseOS/x86_64/iso/CentOS-Stream-9-latest-x86_64-dvd1.iso
        9-stream/x86_64/images/CentOS-Stream-GenericCloud-9-latest.x86_64.qcow2
        9-stream/BaseOS/x86_64/os/images/pxeboot/vmlinuz
        9-stream/BaseOS/x86_64/os/.treeinfo
        9-stream/COMPOSE_ID
        RPM-GPG-KEY-CentOS-Official`,
    },
  ],
  [
    "rocky",
    {
      "pair root": `9/isos/x86_64^/CHECKSUM|`,
      "pair companion": `9/isos/x86_64^/CHECKSUM|.asc`,
      "rpm-md root": `9/BaseOS/x86_64/os^/repodata|/repomd.xml`,
      "rpm-md companion": `9/BaseOS/x86_64/os^/repodata|/repomd.xml.asc`,
      "rpm-md hashed": `9/AppStream/x86_64/os^/repodata|/${SHA256}-primary.xml.gz`,
      package: `
        9/BaseOS/x86_64/os/Packages/b/bash-5.1.8-9.el9.x86_64.rpm
        9.6/isos/x86_64/Rocky-9.6-x86_64-minimal.iso
        9/images/x86_64/Rocky-9-GenericCloud-Base-9.6-20250531.0.x86_64.qcow2
        9/images/x86_64/Rocky-9-Vagrant-Libvirt-9.6-20250531.0.x86_64.box`,
      volatile: `
        9/isos/x86_64/Rocky-9-latest-x86_64-minimal.iso
        9/images/x86_64/Rocky-9-GenericCloud-Base.latest.x86_64.qcow2
        9/BaseOS/x86_64/os/images/install.img
        9/BaseOS/x86_64/kickstart/images/pxeboot/initrd.img`,
    },
  ],
  [
    "almalinux",
    {
      "rpm-md root": `
        9/BaseOS/x86_64/os^/repodata|/repomd.xml
        10/CRB/x86_64_v2/os^/repodata|/repomd.xml`,
      package: `
        9/AppStream/x86_64/os/Packages/nginx-1.20.1-22.el9.x86_64.rpm
        9/isos/x86_64/AlmaLinux-9.6-x86_64-dvd.iso
        9/cloud/x86_64/images/AlmaLinux-9-GenericCloud-9.6-20250522.x86_64.qcow2`,
      volatile: `
        9/isos/x86_64/AlmaLinux-9-latest-x86_64-boot.iso
        9/cloud/x86_64/images/AlmaLinux-9-GenericCloud-latest.x86_64.qcow2
        RPM-GPG-KEY-AlmaLinux-9
        9/BaseOS/x86_64/os/.treeinfo
        9/`,
    },
  ],
  [
    "opensuse",
    {
      "rpm-md root": `
        distribution/leap/15.6/repo/oss^/repodata|/repomd.xml
        tumbleweed/repo/oss^/repodata|/repomd.xml
        repositories/home:/user:/branches/openSUSE_Tumbleweed^/repodata|/repomd.xml`,
      "rpm-md companion": `
        distribution/leap/15.6/repo/oss^/repodata|/repomd.xml.asc
        distribution/leap/15.6/repo/oss^/repodata|/repomd.xml.key`,
      "rpm-md member": `repositories/home:/user/openSUSE_Leap_42.3^/repodata|/filelists.xml.gz`,
      "rpm-md hashed": `
        distribution/leap/15.6/repo/oss^/repodata|/${SHA512}-primary.xml.zst
        update/leap/15.6/sle^/repodata|/${SHA256}-susedata.xml.gz
        distribution/leap/15.6/repo/oss^/repodata|/${SHA256}-license.tar.gz`,
      "deb root": `repositories/home:/user/Debian_12^|/InRelease`,
      "deb companion": `
        repositories/home:/user/Debian_12^|/Release
        repositories/home:/user/Debian_12^|/Release.gpg
        repositories/home:/user/Debian_12^|/Release.key`,
      "deb member": `
        repositories/home:/user/Debian_12^|/Packages.gz
        repositories/home:/user/Debian_12^|/Sources`,
      "pacman root": `repositories/home:/user/Arch/x86_64^/home_user_Arch.db|`,
      package: `
        distribution/leap/15.6/repo/oss/x86_64/bash-4.4-150400.25.22.x86_64.rpm
        distribution/leap/15.6/repo/oss/noarch/yast2-4.6.7-150600.1.1.noarch.rpm
        update/leap/15.6/sle/x86_64/bash-4.4-150400.27.3.2.x86_64.rpm
        update/leap/15.6/oss/x86_64/foo-1.0-1.1_1.2.x86_64.drpm
        distribution/leap/15.6/iso/openSUSE-Leap-15.6-DVD-x86_64-Build710.3-Media.iso
        distribution/leap/15.6/appliances/openSUSE-Leap-15.6-Minimal-VM.x86_64-15.6.0-Cloud-Build16.31.qcow2`,
      "unstable-package": `
        tumbleweed/repo/oss/x86_64/bash-5.3.3-1.1.x86_64.rpm
        update/tumbleweed/x86_64/bash-5.3.3-2.1.x86_64.rpm
        ports/aarch64/tumbleweed/repo/oss/aarch64/bash-5.3.3-1.1.aarch64.rpm
        slowroll/repo/oss/x86_64/bash-5.3.3-1.1.x86_64.rpm
        tumbleweed/iso/openSUSE-Tumbleweed-DVD-x86_64-Snapshot20251101-Media.iso
        repositories/home:/user/15.6/x86_64/tool-1.0-lp156.3.1.x86_64.rpm
        repositories/devel:/languages:/perl/15.6/noarch/perl-Foo-1.0-lp156.1.1.noarch.rpm
        repositories/home:/user/Debian_12/amd64/tool_1.0-1_amd64.deb
        repositories/home:/user/Arch/x86_64/tool-1.0-1.1-x86_64.pkg.tar.zst`,
      volatile: `
        distribution/leap/15.6/repo/oss/media.1/media
        distribution/leap/15.6/repo/oss/media.1/products
        distribution/leap/15.6/repo/oss/boot/x86_64/loader/linux
        distribution/leap/15.6/repo/oss/content
        tumbleweed/iso/openSUSE-Tumbleweed-DVD-x86_64-Current.iso
        tumbleweed/iso/openSUSE-Tumbleweed-DVD-x86_64-Current.iso.sha256
        distribution/openSUSE-current/repo/oss/x86_64/bash-4.4-150400.25.22.x86_64.rpm
        repositories/home:/user/15.6/home:user.repo
        tumbleweed/repo/oss/gpg-pubkey-29b700a4-62b07e22.asc`,
    },
  ],
  [
    "debian",
    {
      "pair root": `
        dists/trixie/main/installer-amd64/current/images^/SHA256SUMS|
        debian-cd/13.1.0/amd64/iso-cd^/SHA512SUMS|`,
      "pair companion": `debian-cd/13.1.0/amd64/iso-cd^/SHA512SUMS|.sign`,
      "deb root": `
        ^dists/trixie|/InRelease
        ^dists/trixie-updates|/InRelease
        ^dists/experimental|/InRelease`,
      "deb companion": `
        ^dists/trixie|/Release
        ^dists/trixie|/Release.gpg`,
      "deb member": `
        ^dists/trixie|/main/binary-amd64/Packages.xz
        ^dists/trixie|/main/binary-amd64/Packages.gz
        ^dists/trixie|/main/binary-all/Packages
        ^dists/trixie|/main/binary-amd64/Release
        ^dists/trixie|/main/source/Release
        ^dists/trixie|/main/source/Sources.xz
        ^dists/trixie|/main/debian-installer/binary-amd64/Packages.gz
        ^dists/trixie|/main/debian-installer/binary-amd64/Release
        ^dists/trixie|/main/Contents-amd64.gz
        ^dists/trixie|/main/Contents-udeb-amd64.gz
        ^dists/trixie|/main/i18n/Translation-en.xz
        ^dists/trixie|/main/i18n/Translation-pt_BR.bz2
        ^dists/trixie|/main/dep11/Components-amd64.yml.gz
        ^dists/trixie|/main/dep11/icons-64x64.tar.gz
        ^dists/trixie|/main/dep11/icons-128x128@2.tar.gz
        ^dists/sid|/main/binary-amd64/Packages.diff/Index`,
      "deb hashed": `
        ^dists/trixie|/main/binary-amd64/by-hash/SHA256/${SHA256}
        ^dists/trixie|/main/binary-amd64/by-hash/MD5Sum/${MD5}
        ^dists/jessie|/main/source/by-hash/SHA1/${SHA1}
        ^dists/sid|/main/i18n/by-hash/SHA512/${SHA512}
        ^dists/sid|/main/binary-amd64/Packages.diff/by-hash/SHA256/${SHA256}`,
      package: `
        pool/main/b/bash/bash_5.2.37-2+b5_amd64.deb
        pool/main/libc/libcurrent/libcurrent1_1.deb
        pool/main/c/concurrent-dfsg/libconcurrent-java_1.3.4-4_all.deb
        pool/main/b/busybox/busybox-udeb_1.37.0-6+b3_amd64.udeb
        pool/main/b/bash/bash_5.2.37-2.dsc
        pool/main/b/bash/bash_5.2.37.orig.tar.xz
        pool/main/b/bash/bash_5.2.37.orig.tar.xz.asc
        pool/main/b/bash/bash_5.2.37-2.debian.tar.xz
        pool/main/a/a2ps/a2ps_4.13b-4.diff.gz
        pool/main/g/gcc-15/libstdc++6_15.2.0-7_amd64.deb
        pool/main/v/vim/vim_9.1.1846-1~bpo13+1_amd64.deb
        pool/non-free-firmware/f/firmware-nonfree/firmware-iwlwifi_20250410-2_all.deb
        debian-cd/13.1.0/amd64/iso-cd/debian-13.1.0-amd64-netinst.iso
        cloud/trixie/20251006-2257/debian-13-genericcloud-amd64-20251006-2257.qcow2
        cloud/trixie/20251006-2257/debian-13-genericcloud-amd64-20251006-2257.tar.xz`,
      volatile: `
        dists/trixie/main/installer-amd64/current/images/netboot/mini.iso
        dists/trixie/main/installer-amd64/current/images/netboot/debian-installer/amd64/initrd.gz
        dists/trixie/main/installer-amd64/20250803/images/netboot/netboot.tar.gz
        dists/trixie/main/binary-amd64/by-hash/SHA256/${SHA256.slice(1)}
        dists/trixie/main/binary-amd64/by-hash/SHA256/${SHA1}
        dists/trixie/main/binary-amd64/by-hash/SHA256/
        dists/trixie/ChangeLog
        dists/sid/main/binary-amd64/Packages.diff/T-2025-11-01-2004.12-F-2025-10-28-0204.00.gz
        debian-cd/current/amd64/iso-cd/debian-13.1.0-amd64-netinst.iso
        debian-cd/current-live/amd64/iso-hybrid/debian-live-13.1.0-amd64-gnome.iso
        cdimage/weekly-builds/amd64/iso-cd/debian-testing-amd64-netinst.iso
        cdimage/daily-builds/daily/arch-latest/amd64/iso-cd/debian-testing-amd64-netinst.iso
        cloud/trixie/latest/debian-13-genericcloud-amd64.qcow2
        cloud/trixie/daily/20251106-2289/debian-13-generic-amd64-daily-20251106-2289.qcow2
        debian-cd/13.1.0/amd64/jigdo-cd/debian-13.1.0-amd64-netinst.jigdo
        ls-lR.gz
        project/trace/master
        README
        indices/Maintainers.gz`,
    },
  ],
  [
    "debian-security",
    {
      "deb root": `
        ^dists/trixie-security|/InRelease
        ^dists/buster/updates|/InRelease`,
      "deb companion": `^dists/buster/updates|/Release.gpg`,
      "deb member": `
        ^dists/trixie-security|/main/binary-amd64/Packages.xz
        ^dists/buster|/updates/main/source/Sources.xz
        ^dists/buster|/updates/main/binary-amd64/Release`,
      "deb hashed": `^dists/trixie-security|/main/binary-amd64/by-hash/SHA256/${SHA256}`,
      package: `
        pool/updates/main/o/openssl/openssl_3.5.1-1+deb13u1_amd64.deb
        pool/updates/main/l/linux/linux_6.12.48.orig.tar.xz
        pool/main/o/openssl/libssl3t64_3.5.1-1+deb13u1_arm64.deb`,
      volatile: `
        pool/updates/main/
        README.security`,
    },
  ],
  [
    "ubuntu",
    {
      "pair root": `releases/noble/release^/SHA256SUMS|`,
      "pair companion": `releases/24.04.3^/SHA256SUMS|.gpg`,
      "deb root": `
        ^dists/noble|/InRelease
        ubuntu-ports^/dists/noble|/InRelease`,
      "deb companion": `^dists/noble-security|/Release`,
      "deb member": `
        ^dists/noble|/main/binary-amd64/Packages.gz
        ^dists/noble|/main/cnf/Commands-amd64.xz
        ^dists/noble|/main/dep11/icons-48x48.tar.gz
        ^dists/noble|/main/i18n/Translation-en.xz
        ^dists/trusty|/main/i18n/Index
        ^dists/noble|/Contents-amd64.gz
        ^dists/noble|/main/binary-amd64/Release`,
      "deb hashed": `
        ^dists/noble|/main/binary-amd64/by-hash/SHA256/${SHA256}
        ubuntu-ports^/dists/noble|/main/binary-arm64/by-hash/SHA256/${SHA256}`,
      package: `
        pool/main/b/bash/bash_5.2.21-2ubuntu4_amd64.deb
        pool/main/g/glibc/libc6-dbgsym_2.39-0ubuntu8_amd64.ddeb
        ubuntu-ports/pool/main/b/bash/bash_5.2.21-2ubuntu4_arm64.deb
        pool/universe/libc/libcurrent/libcurrent1_1.deb
        releases/24.04.3/ubuntu-24.04.3-live-server-amd64.iso
        noble/20251026/noble-server-cloudimg-amd64.img
        noble/20251026/noble-server-cloudimg-amd64.squashfs
        noble/20251026/noble-server-cloudimg-amd64-root.tar.xz
        releases/noble/release-20251026/ubuntu-24.04-server-cloudimg-amd64.img
        cdimage/releases/24.04/release-20240423/ubuntu-24.04-preinstalled-server-arm64+raspi.img.xz`,
      volatile: `
        noble/current/noble-server-cloudimg-amd64.img
        releases/noble/release/ubuntu-24.04-server-cloudimg-amd64.img
        daily/server/noble/20251026/noble-server-cloudimg-amd64.img
        cdimage/daily-live/20251101/resolute-desktop-amd64.iso
        cdimage/daily-live/current/resolute-desktop-amd64.iso
        dists/focal/main/installer-amd64/current/legacy-images/netboot/mini.iso
        dists/jammy/main/dist-upgrader-all/current/jammy.tar.gz
        noble/20251026/noble-server-cloudimg-amd64.manifest
        ls-lR.gz`,
    },
  ],
  [
    "archlinux",
    {
      "pair root": `iso/2025.11.01^/sha256sums.txt|`,
      "pacman root": `
        core/os/x86_64^/core.db|
        core/os/x86_64^/core.db.tar.gz|
        extra/os/x86_64^/extra.db.tar.gz|
        extra/os/x86_64^/extra.files|
        extra/os/x86_64^/extra.files.tar.gz|`,
      "pacman companion": `
        core/os/x86_64^/core.db|.sig
        extra/os/x86_64^/extra.db.tar.gz|.sig
        multilib/os/x86_64^/multilib.files|.sig`,
      package: `
        core/os/x86_64/bash-5.3.3-2-x86_64.pkg.tar.zst
        core/os/x86_64/bash-5.3.3-2-x86_64.pkg.tar.zst.sig
        extra/os/x86_64/gtk-doc-1.34.0-2-any.pkg.tar.xz
        extra/os/x86_64/tzdata-1:2025b-1-x86_64.pkg.tar.zst
        extra/os/x86_64/libc++-20.1.8-1-x86_64.pkg.tar.zst
        pool/packages/linux-6.17.6.arch1-1-x86_64.pkg.tar.zst
        sources/packages/bash-5.3.3-2.src.tar.gz
        iso/2025.11.01/archlinux-2025.11.01-x86_64.iso
        iso/2025.11.01/archlinux-2025.11.01-x86_64.iso.sig
        iso/2025.11.01/archlinux-x86_64.iso
        iso/2025.11.01/archlinux-bootstrap-x86_64.tar.zst`,
      volatile: `
        core/os/x86_64/core.db.tar.gz.old
        extra/os/x86_64/extra.files.tar.gz.old
        extra/os/x86_64/extra.links.tar.gz
        iso/latest/archlinux-x86_64.iso
        iso/latest/archlinux-x86_64.iso.sig
        lastupdate
        lastsync
        core/os/x86_64/`,
    },
  ],
  [
    "alpine",
    {
      "apk root": `
        v3.22/main/x86_64^/APKINDEX.tar.gz|
        edge/community/aarch64^/APKINDEX.tar.gz|
        latest-stable/main/x86_64^/APKINDEX.tar.gz|
        v4.0/main/x86_64^/Packages.adb|
        releases/25.12.0/packages/x86_64/base^/packages.adb|`,
      package: `
        v3.22/main/x86_64/busybox-1.37.0-r19.apk
        v3.22/community/aarch64/libstdc++-14.2.0-r6.apk
        v3.22/releases/x86_64/alpine-virt-3.22.2-x86_64.iso
        v3.22/releases/x86_64/alpine-minirootfs-3.22.2-x86_64.tar.gz
        v3.22/releases/x86_64/alpine-netboot-3.22.2-x86_64.tar.gz
        v3.22/releases/cloud/nocloud_alpine-3.22.2-x86_64-bios-cloudinit-r0.qcow2`,
      "unstable-package": `
        edge/main/x86_64/busybox-1.37.0-r28.apk
        edge/testing/x86_64/zutty-0.16-r0.apk`,
      volatile: `
        latest-stable/main/x86_64/busybox-1.37.0-r19.apk
        latest-stable/releases/x86_64/alpine-virt-3.22.2-x86_64.iso
        v3.22/releases/x86_64/latest-releases.yaml
        v3.22/releases/x86_64/netboot/vmlinuz-lts
        v3.22/releases/x86_64/alpine-virt-3.22.2-x86_64.iso.sha256
        MIRRORS.txt
        last-updated`,
    },
  ],
  [
    "koji",
    {
      "rpm-md root": `repos/f43-build/6543210/x86_64^/repodata|/repomd.xml`,
      "rpm-md member": `repos/f43-build/6543210/x86_64^/repodata|/comps.xml`,
      "rpm-md hashed": `
        repos/f43-build/6543210/x86_64^/repodata|/${SHA256}-primary.xml.gz
        repos/f43-build/latest/x86_64^/repodata|/${SHA256}-primary.xml.gz`,
      package: `
        packages/bash/5.3.3/1.fc44/x86_64/bash-5.3.3-1.fc44.x86_64.rpm
        packages/bash/5.3.3/1.fc44/src/bash-5.3.3-1.fc44.src.rpm
        packages/bash/5.3.3/1.fc44/data/signed/31645531/x86_64/bash-5.3.3-1.fc44.x86_64.rpm
        vol/fedora_koji_archive07/packages/bash/5.0/1.fc30/x86_64/bash-5.0-1.fc30.x86_64.rpm
        packages/Fedora-Cloud-Base/43/20251023.0/images/Fedora-Cloud-Base-Generic-43-20251023.0.x86_64.qcow2
        compose/rawhide/Fedora-Rawhide-20251101.n.0/compose/Server/x86_64/iso/Fedora-Server-dvd-x86_64-Rawhide-20251101.n.0.iso`,
      pass: `
        work/tasks/1234/138001234/bash-5.3.3-1.fc44.x86_64.rpm
        work/tasks/1234/138001234/build.log
        work/cli-build/1761900000.12345.abcdefgh/bash-5.3.3-1.fc44.src.rpm
        work/`,
      volatile: `
        repos/f43-build/latest/x86_64/repodata/repomd.xml
        repos/f43-build/latest/x86_64/pkglist
        repos-dist/f43-coreos-continuous/latest/x86_64/repodata/repomd.xml
        repos/f43-build/6543210/x86_64/pkglist
        repos/f43-build/6543210/repo.json
        packages/bash/5.3.3/1.fc44/data/logs/x86_64/build.log
        packages/bash/5.3.3/1.fc44/data/logs/x86_64/root.log
        packages/bash/5.3.3/1.fc44/
        compose/rawhide/latest-Fedora-Rawhide/compose/Everything/x86_64/os/Packages/b/bash-5.3.3-1.fc44.x86_64.rpm
        mash/rawhide-20140101/logs/mash.log`,
    },
  ],
  [
    undefined,
    {
      "rpm-md root": `
        linux/centos/9/x86_64/stable^/repodata|/repomd.xml
        current^/repodata|/repomd.xml`,
      "rpm-md companion": `linux/centos/9/x86_64/stable^/repodata|/repomd.xml.asc`,
      "rpm-md member": `cuda/repos/rhel9/x86_64^/repodata|/filelists.xml.gz`,
      "rpm-md hashed": `linux/centos/9/x86_64/stable^/repodata|/${SHA256}-primary.xml.gz`,
      "deb root": `
        pub/repos/apt^/dists/bookworm-pgdg|/InRelease
        linux/debian^/dists/bookworm|/InRelease
        cuda/repos/debian12/x86_64^|/InRelease`,
      "deb companion": `
        linux/chrome/deb^/dists/stable|/Release.gpg
        cuda/repos/debian12/x86_64^|/Release
        ^|Release`,
      "deb member": `
        linux/debian^/dists/bookworm|/stable/binary-amd64/Packages.bz2
        cuda/repos/debian12/x86_64^|/Packages.gz
        ^|Packages
        ^|Sources.gz`,
      "deb hashed": `pub/repos/apt^/dists/bookworm-pgdg|/main/binary-amd64/by-hash/SHA256/${SHA256}`,
      "pacman root": `chaotic-aur/x86_64^/chaotic-aur.db|`,
      "unstable-package": `
        pub/repos/apt/pool/main/p/postgresql-17/postgresql-17_17.6-1.pgdg12+1_amd64.deb
        pub/repos/yum/17/redhat/rhel-9-x86_64/postgresql17-17.6-1PGDG.rhel9.x86_64.rpm
        linux/debian/dists/bookworm/pool/stable/amd64/docker-ce_28.5.1-1~debian.12~bookworm_amd64.deb
        linux/centos/9/x86_64/stable/Packages/docker-ce-28.5.1-1.el9.x86_64.rpm
        cuda/repos/debian12/x86_64/cuda-toolkit-13-0_13.0.2-1_amd64.deb
        chaotic-aur/x86_64/yay-12.5.3-1-x86_64.pkg.tar.zst
        pub/linux/kernel/v6.x/linux-6.17.6.tar.xz
        tool_1.0_amd64.deb.asc`,
      volatile: `
        linux/direct/google-chrome-stable_current_amd64.deb
        pub/repos/yum/reporpms/EL-9-x86_64/pgdg-redhat-repo-latest.noarch.rpm
        linux/debian/gpg
        linux/centos/docker-ce.repo
        keys/ACCC4CF8.asc
        cuda/repos/debian12/x86_64/3bf863cc.pub
        nightly/2025-11-01/tool-1.0.tar.gz
        downloads/tool.tar.gz
        some/page.html
        Index
        robots.txt`,
    },
  ],
  // Names that look like something else, and repositories in folders that do.
  [
    undefined,
    {
      "rpm-md root": `linux/releases/40/os^/repodata|/repomd.xml`,
      "rpm-md companion": `
        os^/repodata|/repomd.xml.asc
        os^/repodata|/repomd.xml.key
        os^/repodata|/repomd.xml.gpg
        os^/repodata|/repomd.xml.sig`,
      "rpm-md member": `
        ^repodata|/primary.xml.gz
        os^/repodata|/${SHA256.slice(1)}-primary.xml.zst
        os^/repodata|/${SHA256.slice(8)}-primary.xml.gz
        os^/repodata|/g${SHA256.slice(1)}-primary.xml.gz
        os^/repodata|/${SHA256.toUpperCase()}-primary.xml.gz
        os^/repodata|/${SHA256}
        os^/repodata|/${SHA256}-
        os^/repodata|/primary.db
        os^/repodata|/primary.db.sig
        os^/repodata|/APKINDEX.tar.gz`,
      "rpm-md hashed": `
        os^/repodata|/${SHA256}-primary.xml.zst
        os^/repodata|/${SHA256}-repomd.xml
        os^/repodata|/${SHA1}-x.db`,
      "deb root": `
        debian^/dists/bookworm|/InRelease
        ^dists/source|/InRelease
        dists^|/InRelease
        os/repodata^|/InRelease
        debian-stable/binary^|/InRelease
        debian-stable/source^|/InRelease`,
      "deb companion": `
        ^dists/bookworm/updates|/Release.gpg
        ^dists/bookworm|/Release.key
        ^dists/bookworm|/InRelease.gpg
        obs/Debian_12^|/Release.gpg
        obs/binary-amd64^|/Release
        os/repodata^|/Release`,
      "deb member": `
        ^dists/bookworm|/main/binary-amd64/Packages.xz
        ^dists/bookworm|/main/binary-amd64/Release
        ^dists/bookworm|/main/binary-amd64/Release.gpg
        ^dists/bookworm|/main/binary-amd64/InRelease
        ^dists/bookworm|/main/source/Release
        obs/Debian_12^|/Packages.gz
        obs/Debian_12^|/Packages.gz.asc
        openwrt/packages/x86_64/base^|/Packages.sig
        dists^|/Packages.gz`,
      "pair root": `
        flatpak/repo^/summary|
        images^/SHA512SUMS|
        images^/b2sums.txt|
        images^/Image-1.0-CHECKSUM|
        images^/image.iso.sha256sum|`,
      "pair companion": `
        flatpak/repo^/summary|.sig
        images^/SHA512SUMS|.gpg
        images^/CHECKSUM|.minisig`,
      "deb hashed": `
        ^dists/bookworm|/main/binary-amd64/by-hash/SHA256/${SHA256}
        debian^/dists/stable|/main/binary-amd64/by-hash/MD5Sum/${MD5}
        debian^/dists/stable|/main/binary-amd64/by-hash/SHA1/${SHA1}
        debian^/dists/stable|/main/binary-amd64/by-hash/SHA384/${SHA384}
        debian^/dists/stable|/main/binary-amd64/by-hash/SHA512/${SHA512}
        obs^|/by-hash/MD5Sum/${MD5}
        dists^|/by-hash/SHA256/${SHA256}
        ^|by-hash/SHA256/${SHA256}`,
      "pacman root": `
        core/os/x86_64^/core.db|
        core/os/x86_64^/core.db.tar|
        core/os/x86_64^/${SHA256}-core.db|
        dists/sid/main^/core.db|`,
      "pacman companion": `
        core/os/x86_64^/core.files.tar.gz|.sig
        core/os/x86_64^/core.db.tar|.sig
        core/os/x86_64^/core.db|.asc`,
      "apk root": `v3.20/main/x86_64^/APKINDEX.tar.gz|`,
      "apk companion": `v3.20/main/x86_64^/APKINDEX.tar.gz|.sig`,
      "unstable-package": `
        os/Packages/b/bash-5.2-1.x86_64.rpm
        pool/main/b/bash/bash_5.2_amd64.deb
        dists/bookworm/main/binary-amd64/tool_1.0_amd64.deb
        dists/bookworm/main/binary-amd64/${MD5}-tool_1.0_amd64.deb
        builds/${SHA1}-tool-1.0.x86_64.rpm
        builds/${SHA256}-x.tar.gz`,
      volatile: `
        README
        dists/
        os/repodata/
        builds/${SHA1}-notes.txt
        packages/${SHA256}-primary.xml.gz
        dists/bookworm/main/${SHA1}-notes.txt
        dists/bookworm/Packages.html
        repodata/${SHA256}-x/primary.xml.gz
        by-hash/SHA256/${SHA256.toUpperCase()}
        by-hash/SHA256/${SHA512}
        by-hash/SHA256/${SHA256.slice(1)}
        by-hash/SHA1/${MD5}
        by-hash/MD5Sum/${SHA256}
        by-hash/MD5/${MD5}
        by-hash/SHA256Sum/${SHA256}
        by-hash/sha256/${SHA256}
        by-hash/constructor/${SHA256}
        by-hash/SHA256/${SHA256}/x
        not-by-hash/SHA256/${SHA256}
        repomd.xml
        os/repomd.xml.asc
        core/os/x86_64/.db
        core/os/x86_64/.files
        docs/summary.html
        images/image.iso.sha256`,
    },
  ],
];

const ALGORITHMS: ReadonlyMap<string, NamedDigest["algorithm"]> = new Map([
  [MD5, "md5"],
  [SHA1, "sha1"],
  [SHA256, "sha256"],
  [SHA384, "sha384"],
  [SHA512, "sha512"],
]);
const CLASS_OF_ROLE: Readonly<Record<Role, PathClass>> = { root: "root", companion: "root", member: "member", hashed: "hashed" };

const CASES = PATHS.flatMap(([distro, expected]) =>
  Object.entries(expected).flatMap(([heading, lines]) =>
    lines
      .trim()
      .split(/\s+/)
      .map((line) => [distro ?? "third party", line.replace(/[\^|]/g, ""), heading as Heading, distro, line] as const),
  ),
);

function expectedAt(heading: Heading, line: string): { class: PathClass; repository: RepositoryPlace | null } {
  const [kind, role] = heading.split(" ") as [RepositoryKind, Role | undefined];
  if (role === undefined) return { class: heading as PathClass, repository: null };
  const base = line.slice(0, line.indexOf("^"));
  const root = line.slice(0, line.indexOf("|")).replace("^", "");
  const digest = /[0-9a-f]{32,}/.exec(line)?.[0] ?? "";
  const named = role === "hashed" ? { digest: { algorithm: ALGORITHMS.get(digest), digest } as NamedDigest } : {};
  return { class: CLASS_OF_ROLE[role], repository: { kind, base, root, role, ...named } };
}

function placeIn(distro: Distro | undefined, path: string) {
  return placeOf({ distro, classes: [] }, path);
}

describe("paths of real mirrors", () => {
  it("are many", () => {
    expect(CASES.length).toBeGreaterThan(250);
    expect(new Set(CASES.map(([name, path]) => `${name} ${path}`)).size).toBe(CASES.length);
  });

  it.each(CASES)("%s: %s is %s", (_name, path, heading, distro, line) => {
    const { rule: _rule, ...place } = placeIn(distro, path);
    expect(place).toEqual(expectedAt(heading, line));
  });
});

describe("the table of places", () => {
  it("takes the top of a mirror for a listing", () => {
    expect(placeIn("fedora", "")).toEqual({ class: "volatile", rule: "listing", repository: null });
  });

  it("names its rule, and says when none holds", () => {
    expect(placeIn("debian", "dists/sid/InRelease").rule).toBe("apt-release");
    expect(placeIn("debian", "README").rule).toBe("unknown");
  });

  it("lets patterns of the mirror come first, in their order", () => {
    const classes = [
      { pattern: /^frozen\//u, class: "package" },
      { pattern: /\.rpm$/u, class: "volatile" },
    ] as const;
    const own = (path: string) => placeOf({ distro: "fedora", classes }, path);
    expect(own("frozen/latest/x-1.rpm")).toEqual({ class: "package", rule: "configured: ^frozen\\/", repository: null });
    expect(own("frozen/repodata/repomd.xml")).toEqual({ class: "package", rule: "configured: ^frozen\\/", repository: null });
    expect(own("x-1.rpm").class).toBe("volatile");
    expect(own("x-1.iso").class).toBe("package");
  });

  it("passes work/ of koji only: elsewhere it is a folder like others", () => {
    expect(placeIn("fedora", "work/x-1.0-1.x86_64.rpm").class).toBe("package");
  });

  it("never throws, and no path makes a pattern run for ever", () => {
    const distro = fc.constantFrom<(Distro | undefined)[]>("fedora", "koji", "debian", undefined);
    fc.assert(fc.property(distro, fc.string({ unit: "binary" }), (given, path) => placeIn(given, path).rule !== ""));
    for (const piece of ["/", "-", "a/", "dists/", "2025-", "latest", "repos/a/", ".tar", "-1", "x86_64"]) {
      expect(placeIn(undefined, `dists/${piece.repeat(900 / piece.length)}!`).class).toBeDefined();
    }
  });
});
