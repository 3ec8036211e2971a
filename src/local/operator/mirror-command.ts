import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import { adminTokenPath } from "../admin-token.ts";
import { parseServerUrl } from "../server-url.ts";
import { createMirrorClient, type MirrorClient } from "./mirror-client.ts";
import { findPackages } from "./package-paths.ts";
import { createProgress } from "./progress.ts";
import { parseWarmList, type WarmTarget } from "./warm-list.ts";
import { endWithReader, printLines, printError } from "../print.ts";

/** How many files `warm` downloads at the same time by default. */
const PARALLEL = 4;
/** Rows that `ls` asks for at once: as many as the server gives at most. */
const LIST_PAGE = "999";

const program = new Command("npm run mirror --")
  .description(
    "The operator's verbs of a running mirror. A pattern matches stored keys: * stands for any characters, also /, and ? for one.",
  )
  .option("--server <url>", "the mirror, such as mirror.lan:8787", parseServer, new URL("http://127.0.0.1:8787"))
  .option("--state <folder>", "the server's state folder, which holds its admin token", ".lazy-mirror")
  .option("--token <token>", "the admin token; default: $ADMIN_TOKEN, else the state folder's")
  .option("--json", "print JSON, one value a line")
  .showHelpAfterError();

program
  .command("status")
  .description("what is stored, by mirror, and the budget")
  .action(() =>
    run(async (client, print) => {
      const status = await client.verb("GET", "/");
      if (print.isJson) return print.value(status);
      const { used, budget, reserved, retentionDays, pins, shards } = status as unknown as Status;
      print.text(
        `${size(used)} of ${size(budget)} (${((used / budget) * 100).toFixed(1)} %), ${size(reserved)} of it reserved; kept ${retentionDays} days`,
      );
      for (const { shard, objects, live, dead } of shards) {
        const name = shard === "-" ? "(by content)" : shard;
        print.text(
          `  ${name.padEnd(20)} ${String(objects).padStart(8)} objects ${size(live).padStart(10)}, evicted but not yet deleted ${size(dead)}`,
        );
      }
      if (pins.length > 0) print.text(`pinned: ${pins.join("  ")}`);
    }),
  );

program
  .command("ls")
  .description("stored objects that match")
  .argument("[pattern]", "such as 'fedora/*.iso'", "*")
  .action((pattern: string) =>
    run(async (client, print) => {
      const rows = client.rows((after) => client.verb("GET", `/objects?${query({ pattern, after, limit: LIST_PAGE })}`));
      for await (const row of rows)
        print.row(row, `${Number(row["uses"])} uses, stored ${date(row["storedAt"])}, used ${date(row["lastUsedAt"])}`);
    }),
  );

program
  .command("purge")
  .description("delete stored objects that match; the next request fetches them anew")
  .argument("<pattern>", "such as 'fedora/updates/*'")
  .option("--dry-run", "only print what would be deleted")
  .action((pattern: string, { dryRun = false }: { dryRun?: boolean }) =>
    run(async (client, print) => {
      const rows = client.rows((after) => client.verb("POST", "/purge", { pattern, dryRun, after }));
      for await (const row of rows) print.row(row, dryRun ? "would be deleted" : "deleted");
    }),
  );

program
  .command("pin")
  .description("never evict what matches, whatever its age and use")
  .argument("<pattern>")
  .action((pattern: string) =>
    run(async (client, print) => print.done(await client.verb("POST", "/pins", { pattern }), `pinned ${pattern}`)),
  );

program
  .command("unpin")
  .argument("<pattern>", "as it was pinned")
  .description("remove a pin")
  .action((pattern: string) =>
    run(async (client, print) => print.done(await client.verb("DELETE", `/pins?${query({ pattern })}`), `unpinned ${pattern}`)),
  );

program
  .command("evict")
  .description("run cron's housekeeping once: delete what is too old, over the budget, or slices without a head; begin a scrub")
  .option("--dry-run", "only print what would be evicted next, and why")
  .option("--limit <count>", "how many to print", "20")
  .action(({ dryRun = false, limit }: { dryRun?: boolean; limit: string }) =>
    run(async (client, print) => {
      if (!dryRun) return print.done(await client.verb("POST", "/sweep"), "done; see status");
      const { rows } = await client.verb("GET", `/next?${query({ limit })}`);
      for (const row of rows as readonly Record<string, unknown>[]) print.row(row, String(row["why"]));
    }),
  );

program
  .command("warm")
  .description("fetch files before clients ask for them")
  .argument("<what...>", "a file with one path, URL or log line per line (- reads the input); with --repository: names of packages")
  .option(
    "--repository <path>",
    "the repository of these packages, such as fedora/updates/43/Everything/x86_64 or debian/dists/trixie/main/binary-amd64",
  )
  .option("--parallel <count>", "how many files to download at the same time", parseParallel, PARALLEL)
  .action((what: readonly string[], { repository, parallel }: { repository?: string; parallel: number }) =>
    run(async (client, print) => {
      const found = repository === undefined ? null : await findPackages(repository, what, client.read);
      const targets = found?.paths.map((path) => ({ path: `/${path}` })) ?? what.flatMap(readList);
      const missing = found?.missing ?? [];
      for (const name of missing) printError(`Cannot find the package ${name} in ${repository}`);
      const failed = await warm(client, targets, parallel, print);
      if (failed + missing.length > 0) throw new Error(`Cannot warm ${failed + missing.length} of these files: see above`);
    }),
  );

endWithReader();
await program.parseAsync();

function readList(file: string): readonly WarmTarget[] {
  return parseWarmList(readFileSync(file === "-" ? 0 : file, "utf8"));
}

async function warm(client: MirrorClient, targets: readonly WarmTarget[], parallel: number, print: Printer): Promise<number> {
  const left = [...targets];
  const progress = createProgress(targets.length, process.stderr);
  let failed = 0;
  const worker = async () => {
    for (let target = left.shift(); target !== undefined; target = left.shift()) {
      const { status, bytes, detail } = await client.warm(target, () => {});
      progress.step(bytes);
      const isWarm = status === 200;
      if (!isWarm) failed++;
      if (print.isJson) print.value({ ...target, status, bytes, detail });
      else if (!isWarm) progress.say(`${target.path}: ${status} ${detail}`);
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  progress.end();
  return failed;
}

interface Status {
  readonly used: number;
  readonly budget: number;
  readonly reserved: number;
  readonly retentionDays: number;
  readonly pins: readonly string[];
  readonly shards: readonly { readonly shard: string; readonly objects: number; readonly live: number; readonly dead: number }[];
}

type Printer = ReturnType<typeof createPrinter>;

function createPrinter(isJson: boolean) {
  const text = printLines;
  const value = (one: object): void => text(JSON.stringify(one));
  return {
    isJson,
    text,
    value,
    /** Prints a row of the ledger; `note` only as text. */
    row(row: Readonly<Record<string, unknown>>, note: string): void {
      if (isJson) value(row);
      else text(`${size(Number(row["size"])).padStart(10)}  ${String(row["key"])}  (${note})`);
    },
    done: (answer: object, line: string): void => (isJson ? value(answer) : text(line)),
  };
}

async function run(verb: (client: MirrorClient, print: Printer) => Promise<unknown>): Promise<void> {
  const { server, state, token, json = false } = program.opts<{ server: URL; state: string; token?: string; json?: true }>();
  try {
    await verb(
      createMirrorClient(server, () => token ?? readToken(state)),
      createPrinter(json),
    );
  } catch (error) {
    printError((error as Error).message);
    process.exitCode = 1;
  }
}

function readToken(state: string): string {
  const given = process.env["ADMIN_TOKEN"];
  if (given !== undefined && given !== "") return given;
  const path = adminTokenPath(state);
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    throw new Error(`Cannot read the admin token "${path}": name the server's folder with --state, or the token with --token`);
  }
}

function parseServer(text: string): URL {
  const url = parseServerUrl(text);
  if (url === null) throw new InvalidArgumentError("It must be an http or https URL, or a host and port such as mirror.lan:8787.");
  return url;
}

function parseParallel(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > 64) throw new InvalidArgumentError("It must be a number from 1 to 64.");
  return count;
}

function query(fields: Readonly<Record<string, string>>): string {
  return String(new URLSearchParams(fields));
}

/** Decimal units, as BUDGET_GB has. */
function size(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(2)} GB`;
  return bytes >= 1e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.ceil(bytes / 1e3)} kB`;
}

function date(value: unknown): string {
  return new Date(Number(value)).toISOString().slice(0, 10);
}
