import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { runTool } from "../run-tool.ts";
import type { ToolRun } from "../run-tool.ts";
import type { ClientRoot, Wanted } from "./client.ts";
import { readFiles } from "./files.ts";

export type Downloader = "curl" | "wget" | "aria2c" | "requests" | "urllib";

/** Debian's own python, which has Debian's python3-requests. */
const PYTHON = "/usr/bin/python3";
const SCRIPT = join(import.meta.dirname, "download.py");

/** The program that a downloader needs. */
export const DOWNLOADER_TOOL: Readonly<Record<Downloader, string>> = {
  curl: "curl",
  wget: "wget",
  aria2c: "aria2c",
  requests: "python3",
  urllib: "python3",
};

const COMMANDS: Readonly<Record<Downloader, (url: string, file: string) => readonly [string, ...string[]]>> = {
  curl: (url, file) => [
    "curl",
    "--fail",
    "--silent",
    "--show-error",
    "--location",
    "--retry",
    "3",
    "--retry-delay",
    "1",
    "--output",
    file,
    url,
  ],
  wget: (url, file) => [
    "wget",
    "--no-config",
    "--no-verbose",
    "--tries=4",
    "--waitretry=1",
    "--timeout=20",
    "--output-document",
    file,
    url,
  ],
  aria2c: (url, file) => [
    "aria2c",
    "--no-conf",
    "--quiet",
    "--split=4",
    "--max-connection-per-server=4",
    "--min-split-size=1M",
    "--max-tries=4",
    "--retry-wait=1",
    "--file-allocation=none",
    "--dir=/",
    `--out=${file}`,
    url,
  ],
  // koji's way: retries on statuses, the length that the headers told, no digest.
  requests: (url, file) => [PYTHON, SCRIPT, "requests", url, file],
  urllib: (url, file) => [PYTHON, SCRIPT, "urllib", url, file],
};

/** A plain downloader of the files under `url`. What it leaves behind when it fails is no download. */
export function openDownloader(downloader: Downloader, url: string): ClientRoot {
  const root = mkdtempSync(join(tmpdir(), `lazy-mirror-${downloader}-`));
  const partial = join(root, "partial");
  const complete = join(root, "complete");
  mkdirSync(partial);
  mkdirSync(complete);
  async function download(wanted: Wanted): Promise<ToolRun> {
    const file = join(partial, basename(wanted.path));
    const [command, ...args] = COMMANDS[downloader](`${url}/${wanted.path.split("/").map(encodeURIComponent).join("/")}`, file);
    rmSync(file, { force: true });
    const run = await runTool(command, args, { cwd: root });
    return run.code === 0 ? runTool("mv", [file, complete]) : run;
  }
  async function downloadAll(...wanted: readonly Wanted[]): Promise<ToolRun> {
    let last: ToolRun = { code: 0, stdout: "", stderr: "" };
    for (const one of wanted) {
      last = await download(one);
      if (last.code !== 0) return last;
    }
    return last;
  }
  return {
    root,
    refresh: async () => ({ code: 0, stdout: "", stderr: "" }),
    install: downloadAll,
    download: downloadAll,
    downloads: () => readFiles(complete, ""),
    installed: () => undefined,
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}
