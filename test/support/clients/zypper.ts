import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endDaemons, runTool } from "../run-tool.ts";
import type { ToolRun } from "../run-tool.ts";
import type { ClientRoot } from "./client.ts";
import { readFiles, readPayload } from "./files.ts";

export const ZYPPER_TOOLS = ["zypper", "rpm", "rpmbuild", "rpmsign", "createrepo_c", "gpg"] as const;

/** After an upstream's trouble zypper waits half a minute and tries again, many times; a test need not see the end of that. */
const PATIENCE_MS = 20_000;

/** zypper over the repository at `url`, with packages and metadata checked against `repodata/repomd.xml.key` there; `isUnsigned`: what has no signature is taken. */
export function openZypper(url: string, { isUnsigned = false } = {}): ClientRoot {
  const root = mkdtempSync(join(tmpdir(), "lazy-mirror-zypper-root-"));
  mkdirSync(join(root, "etc/zypp/repos.d"), { recursive: true });
  const repo = [
    "[test]",
    "name=test",
    "enabled=1",
    "autorefresh=0",
    `baseurl=${url}`,
    "type=rpm-md",
    `gpgcheck=${isUnsigned ? 0 : 1}`,
    "keeppackages=1",
  ];
  mkdirSync(join(root, "tmp"));
  writeFileSync(join(root, "etc/zypp/repos.d/test.repo"), `${repo.join("\n")}\n`);
  const zypper = (...args: readonly string[]): Promise<ToolRun> =>
    runTool("zypper", ["--root", root, "--non-interactive", "--gpg-auto-import-keys", ...args], {
      cwd: root,
      env: { ZYPPTMPDIR: join(root, "tmp"), TMPDIR: join(root, "tmp") },
      timeoutMs: PATIENCE_MS,
    });
  return {
    root,
    refresh: () => zypper("refresh", "--force"),
    install: (...wanted) => zypper("--no-refresh", "install", "--no-recommends", ...wanted.map((one) => one.name)),
    download: (...wanted) => zypper("--no-refresh", "install", "--download-only", "--no-recommends", ...wanted.map((one) => one.name)),
    downloads: () => readFiles(join(root, "var/cache/zypp/packages"), ".rpm"),
    installed: (name) => readPayload(root, name),
    remove() {
      endDaemons(root);
      rmSync(root, { recursive: true, force: true });
    },
  };
}
