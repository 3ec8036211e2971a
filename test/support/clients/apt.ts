import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SigningKey } from "../signing-key.ts";
import { runTool } from "../run-tool.ts";
import type { ClientRoot } from "./client.ts";
import { readFiles, readPayload } from "./files.ts";

export const APT_TOOLS = ["apt-get", "dpkg", "dpkg-deb", "apt-ftparchive", "gpg", "xz"] as const;

/** apt and dpkg over the suite `stable` at `url`, which `key` signed; or over another line of sources.list. */
export function openApt(url: string, key: SigningKey | { readonly source: string }): ClientRoot {
  const root = mkdtempSync(join(tmpdir(), "lazy-mirror-apt-root-"));
  for (const folder of [
    "etc/apt/apt.conf.d",
    "etc/apt/preferences.d",
    "var/lib/dpkg/info",
    "var/lib/dpkg/updates",
    "var/lib/apt/lists/partial",
    "var/cache/apt/archives/partial",
    "var/log/apt",
  ]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  writeFileSync(join(root, "var/lib/dpkg/status"), "");
  writeFileSync(
    join(root, "etc/apt/sources.list"),
    `${"source" in key ? key.source : `deb [signed-by=${key.publicKeyFile}] ${url} stable main`}\n`,
  );
  const conf = {
    Dir: root,
    "Dir::Bin::methods": "/usr/lib/apt/methods",
    "Dir::Bin::dpkg": "/usr/bin/dpkg",
    "APT::Architecture": "amd64",
    "APT::Architectures": "amd64",
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "en",
    "Acquire::Retries::Delay::Maximum": "1",
    "Acquire::http::Timeout": "20",
    "DPkg::Options::": `--root=${root}`,
    "Dpkg::Use-Pty": "false",
  };
  const text = Object.entries(conf).map(([name, value]) => `${name} "${value}";\n`);
  writeFileSync(join(root, "apt.conf"), text.join(""));
  const env = { APT_CONFIG: join(root, "apt.conf"), DEBIAN_FRONTEND: "noninteractive" };
  return {
    root,
    // "any": a half-failed update is a failure, as for every script that checks.
    refresh: () => runTool("apt-get", ["update", "--error-on=any"], { env, cwd: root }),
    install: (...wanted) => runTool("apt-get", ["install", "--yes", ...wanted.map((one) => one.name)], { env, cwd: root }),
    download: (...wanted) =>
      runTool("apt-get", ["install", "--yes", "--download-only", ...wanted.map((one) => one.name)], { env, cwd: root }),
    downloads: () => {
      const archives = readFiles(join(root, "var/cache/apt/archives"), ".deb");
      for (const name of readFiles(join(root, "var/cache/apt/archives/partial"), ".deb").keys()) archives.delete(name);
      return archives;
    },
    installed: (name) => readPayload(root, name),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}
