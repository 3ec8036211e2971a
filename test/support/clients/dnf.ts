import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runTool } from "../run-tool.ts";
import type { ToolRun } from "../run-tool.ts";
import type { ClientRoot } from "./client.ts";
import { readFiles, readPayload } from "./files.ts";

export const DNF_TOOLS = ["dnf", "rpm", "rpmbuild", "rpmsign", "createrepo_c", "gpg"] as const;

/**
 * dnf 4 over the repository at `url`, with packages and metadata checked against `repodata/repomd.xml.key` there. `source`: how it is told of the
 * repository, where that is not by its baseurl. `isUnsigned`: no signature is checked.
 */
export function openDnf(url: string, source: DnfSource = { baseurl: url }, { isUnsigned = false } = {}): ClientRoot {
  const home = mkdtempSync(join(tmpdir(), "lazy-mirror-dnf-root-"));
  const root = join(home, "root");
  for (const folder of ["repos", "vars", "root/etc/dnf"]) mkdirSync(join(home, folder), { recursive: true });
  const conf = {
    gpgcheck: 1,
    keepcache: 1,
    plugins: 0,
    reposdir: join(home, "repos"),
    varsdir: join(home, "vars"),
    // Below the install root, as dnf puts the folders of its [main] section there.
    cachedir: "/var/cache/dnf",
    persistdir: "/var/lib/dnf",
    logdir: "/var/log",
    timeout: 20,
    install_weak_deps: 0,
    ip_resolve: 4,
  };
  writeFileSync(join(home, "dnf.conf"), `[main]\n${formatIni(conf)}`);
  const repo = {
    name: "test",
    ...source,
    enabled: 1,
    gpgcheck: isUnsigned ? 0 : 1,
    repo_gpgcheck: isUnsigned ? 0 : 1,
    gpgkey: `${url}/repodata/repomd.xml.key`,
  };
  writeFileSync(join(home, "repos/test.repo"), `[test]\n${formatIni(repo)}`);
  const dnf = (...args: readonly string[]): Promise<ToolRun> =>
    runTool("dnf", ["--config", join(home, "dnf.conf"), "--installroot", root, "--releasever=1", "--assumeyes", ...args], { cwd: home });
  return {
    root,
    refresh: () => dnf("--refresh", "makecache"),
    install: (...wanted) => dnf("install", ...wanted.map((one) => one.name)),
    download: (...wanted) => dnf("install", "--downloadonly", ...wanted.map((one) => one.name)),
    downloads: () => readFiles(join(root, "var/cache/dnf"), ".rpm"),
    installed: (name) => readPayload(root, name),
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}

type DnfSource = { readonly baseurl: string } | { readonly metalink: string } | { readonly mirrorlist: string };

function formatIni(fields: Readonly<Record<string, string | number>>): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}
