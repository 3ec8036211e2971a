import { createReadStream, existsSync, statSync } from "node:fs";
import type { Command } from "commander";
import { MalformedError } from "../../metadata/formats/parsed-root.ts";
import { printError, printLines } from "../print.ts";
import { createByteProgress } from "./byte-progress.ts";
import { findCached } from "./cached-file.ts";
import { planBundle, writeBundle } from "./export-bundle.ts";
import { formatSize } from "./format.ts";
import { importBundle } from "./import-bundle.ts";
import { importFile, placesOf } from "./import-files.ts";
import type { MirrorClient } from "./mirror-client.ts";
import { readPublished } from "./published-packages.ts";
import { createTransferClient, type TransferClient } from "./transfer-client.ts";

/** Runs a command with the clients of the server that its options name, and prints what it throws. */
export type Run = (verb: (client: MirrorClient) => Promise<unknown>) => Promise<void>;

export interface TransferCommands {
  readonly run: Run;
  readonly server: () => URL;
  readonly token: () => string;
}

interface ImportFlags {
  readonly mirror?: string;
  readonly as?: string;
  readonly dryRun?: true;
}

/** Adds `import` and `export` to the operator's verbs. */
export function addTransferCommands(program: Command, { run, server, token }: TransferCommands): void {
  const transfer = (): TransferClient => createTransferClient(server(), token);

  program
    .command("import")
    .description("store files of another cache, tree or mounted image, or a bundle of export; each is verified first")
    .argument("<path...>", "folders, files, or a bundle such as x.tar; - is a bundle on the input")
    .option("--mirror <name>", "the mirror whose tree it is: paths below the folder are paths of the mirror")
    .option("--as <prefix>", "with --mirror: the folder of the mirror that the tree is, such as debian-cd/current")
    .option("--dry-run", "only print where each file would go")
    .action((paths: readonly string[], flags: ImportFlags) =>
      run(async (client) => {
        for (const path of paths) checkPath(path);
        await checkMirror(flags, client);
        let failed = 0;
        for (const path of paths)
          failed += isBundle(path) ? await importArchive(path, client, transfer()) : await importFolder(path, flags, client, transfer());
        if (failed > 0) throw new Error(`Cannot import ${failed} of these files: see above`);
      }),
    );

  program
    .command("export")
    .description("write what is stored and matches as a bundle for import on another server, with the metadata of matching repositories")
    .argument("<pattern>", "such as 'debian/*'; matches stored keys and paths of roots")
    .action((pattern: string) =>
      run(async (client) => {
        if (process.stdout.isTTY)
          throw new Error("Cannot write a bundle to a terminal: send it to a file, as in export 'debian/*' > debian.tar");
        refuseBanner();
        const plan = await planBundle(pattern, client, transfer());
        const { files } = plan.manifest;
        const total = files.reduce((sum, { size }) => sum + size, 0);
        const progress = createByteProgress(total, process.stderr);
        await writeBundle(plan, transfer(), process.stdout, progress.step);
        progress.end();
        printError(`${files.length} files, ${formatSize(total)}, ${plan.manifest.generations.length} repositories`);
      }),
    );
}

/** Throws an Error where npm has written lines of its own to the output: the bundle could not be read. */
function refuseBanner({ npm_lifecycle_event: script, npm_config_loglevel: level } = process.env): void {
  if (script !== "mirror" || level === "silent") return;
  throw new Error("Cannot write a bundle behind npm's own lines: silence them, as in npm run -s mirror -- export 'debian/*' > debian.tar");
}

/** Throws an Error where a path of the command line leads nowhere. */
function checkPath(path: string): void {
  if (path !== "-" && !existsSync(path))
    throw new Error(`Cannot import "${path}": there is no such file or folder that this user may read`);
}

/** Throws an Error where `--mirror` is none of the server's, or `--as` has no mirror: else each file of a tree would be refused for it. */
async function checkMirror({ mirror, as }: ImportFlags, client: MirrorClient): Promise<void> {
  if (mirror === undefined && as !== undefined) throw new Error("Cannot use --as alone: name the mirror with --mirror");
  if (mirror === undefined) return;
  const mirrors = await client.mirrors();
  if (!mirrors.includes(mirror)) throw new Error(`Cannot import into the mirror "${mirror}": use one of ${mirrors.join(", ")}`);
}

function isBundle(path: string): boolean {
  return path === "-" || (path.endsWith(".tar") && statSync(path).isFile());
}

/** Returns how many files could not be imported. */
async function importArchive(path: string, client: MirrorClient, transfer: TransferClient): Promise<number> {
  const input = path === "-" ? process.stdin : createReadStream(path);
  let progress = createByteProgress(0, process.stderr);
  let [done, failed] = [0, 0];
  await importBundle(input, client, transfer, {
    onManifest: ({ files }) =>
      void (progress = createByteProgress(
        files.reduce((sum, { size }) => sum + size, 0),
        process.stderr,
      )),
    onBytes: (bytes) => progress.step(bytes),
    onDone: (name, reason) => {
      if (reason === null) return void done++;
      failed++;
      progress.say(`${name}: ${reason}`);
    },
  })
    .catch((error: unknown) => {
      throw error instanceof MalformedError ? new Error(`Cannot import ${path}: ${error.message}`) : error;
    })
    .finally(() => progress.end());
  printLines(`${path}: ${done} files and repositories imported, ${failed} refused`);
  return failed;
}

/** Returns how many files could not be imported. */
async function importFolder(
  top: string,
  { mirror, as, dryRun }: ImportFlags,
  client: MirrorClient,
  transfer: TransferClient,
): Promise<number> {
  const { files, metadata } = findCached(top);
  const published = await readPublished(client, transfer, printError);
  const progress = createByteProgress(
    files.reduce((sum, { size }) => sum + size, 0),
    process.stderr,
  );
  let failed = 0;
  let bytes = 0;
  for (const cached of files) {
    const places = placesOf(cached, published, {
      ...(mirror === undefined ? {} : { mirror }),
      ...(as === undefined ? {} : { prefix: as }),
    });
    if (dryRun === true) {
      printLines(`${cached.file} -> ${places[0] ?? "nowhere: no index names it"}`);
      continue;
    }
    const reason = await importFile(cached, places, transfer, progress.step);
    if (reason === null) bytes += cached.size;
    else {
      failed++;
      progress.say(`${cached.file}: ${reason}`);
    }
  }
  progress.end();
  const left = metadata === 0 ? "" : `; ${metadata} files of metadata and signatures left, which the server fetches itself`;
  if (dryRun !== true) printLines(`${top}: ${files.length - failed} of ${files.length} files are stored, ${formatSize(bytes)}${left}`);
  return failed;
}
