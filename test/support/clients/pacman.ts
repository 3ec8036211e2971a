import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runTool } from "../run-tool.ts";
import type { ToolRun } from "../run-tool.ts";
import type { ClientRoot } from "./client.ts";
import { readFiles, readPayload } from "./files.ts";

export const PACMAN_TOOLS = ["pacman", "tar", "zstd"] as const;

/** pacman over `core/os/x86_64` at `url`. It asks for signatures and does without, as most repositories' databases have none. */
export function openPacman(url: string): ClientRoot {
  const home = mkdtempSync(join(tmpdir(), "lazy-mirror-pacman-root-"));
  const root = join(home, "root");
  for (const folder of ["root/var/lib/pacman", "cache", "gnupg", "hooks"]) mkdirSync(join(home, folder), { recursive: true });
  const conf = [
    "[options]",
    `RootDir = ${root}`,
    `DBPath = ${root}/var/lib/pacman`,
    `CacheDir = ${home}/cache`,
    `LogFile = ${home}/pacman.log`,
    `GPGDir = ${home}/gnupg`,
    `HookDir = ${home}/hooks`,
    "Architecture = x86_64",
    "SigLevel = PackageOptional DatabaseOptional",
    "[core]",
    `Server = ${url}/$repo/os/$arch`,
  ];
  writeFileSync(join(home, "pacman.conf"), `${conf.join("\n")}\n`);
  const pacman = (...args: readonly string[]): Promise<ToolRun> =>
    runTool("pacman", [...args, "--config", join(home, "pacman.conf"), "--noconfirm"], { cwd: home });
  return {
    root,
    refresh: () => pacman("-Sy"),
    install: (...wanted) => pacman("-S", ...wanted.map((one) => one.name)),
    download: (...wanted) => pacman("-Sw", ...wanted.map((one) => one.name)),
    downloads: () => readFiles(join(home, "cache"), ".pkg.tar.zst"),
    installed: (name) => readPayload(root, name),
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}
