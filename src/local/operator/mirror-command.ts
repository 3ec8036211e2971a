import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import { adminTokenPath } from "../admin-token.ts";
import { commandName } from "../command-name.ts";
import { parseServerUrl } from "../server-url.ts";
import { formatDay, formatRepository, formatTotals, type RepositoryRow, type Totals } from "./format.ts";
import { createMirrorClient, type MirrorClient } from "./mirror-client.ts";
import { createPrinter, type Printer } from "./printer.ts";
import { addTransferCommands } from "./transfer-command.ts";
import { warm } from "./warm.ts";
import { findTargets } from "./warm-targets.ts";
import { endWithReader, printError } from "../print.ts";

/** How many files `warm` downloads at the same time by default. */
const PARALLEL = 4;
/** Rows that `ls` asks for at once: as many as the server gives at most. */
const LIST_PAGE = "999";

const program = new Command(commandName("mirror"))
  .description(
    "The operator's verbs of a running mirror. A pattern matches paths of stored files, such as debian/dists/trixie/*: * stands for any characters, also /, and ? for one.",
  )
  .option("--server <url>", "the mirror, such as mirror.lan:8787", parseServer, new URL("http://127.0.0.1:8787"))
  .option("--state <folder>", "the server's state folder, which holds its admin token", ".lazy-mirror")
  .option("--token <token>", "the admin token; default: $ADMIN_TOKEN, else the state folder's")
  .option("--json", "print JSON, one value a line")
  .showHelpAfterError();

program
  .command("status")
  .description("what is stored, by mirror, the budget, and how repositories stand")
  .action(() =>
    run(async (client, print) => {
      const status = await client.verb("GET", "/");
      if (print.isJson) return print.value(status);
      for (const line of formatTotals(status as unknown as Totals)) print.text(line);
      const rows = client.rows((after) => client.verb("GET", `/repositories?${query({ after, limit: LIST_PAGE })}`));
      for await (const row of rows) for (const line of formatRepository(row as unknown as RepositoryRow)) print.text(line);
    }),
  );

program
  .command("ls")
  .description("stored objects that match")
  .argument("[pattern]", "such as 'fedora/*.iso'", "*")
  .action((pattern: string) =>
    run(async (client, print) => {
      const rows = client.rows((after) => client.verb("GET", `/objects?${query({ pattern, after, limit: LIST_PAGE })}`));
      await printMatches(pattern, rows, print, ({ uses, storedAt, lastUsedAt }) => {
        return `${Number(uses)} uses, stored ${formatDay(storedAt)}, used ${formatDay(lastUsedAt)}`;
      });
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
      await printMatches(pattern, rows, print, () => (dryRun ? "would be deleted" : "deleted"));
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
  .argument(
    "<what...>",
    "lists (a path, URL or log line per line; - reads the input), paths, patterns such as 'debian/pool/main/h/hello/*.deb', or a mirror and names of packages: debian hello bash",
  )
  .option(
    "--repository <path>",
    "where to look for names and patterns, such as fedora/updates/43/Everything/x86_64 or debian/dists/trixie/main/binary-amd64; default: in the indexes that the mirror holds",
  )
  .option("--parallel <count>", "how many files to download at the same time", parseParallel, PARALLEL)
  .action((what: readonly string[], { repository, parallel }: { repository?: string; parallel: number }) =>
    run(async (client, print) => {
      const { targets, problems, skipped } = await findTargets(what, repository, client);
      for (const line of [...skipped, ...problems]) printError(line);
      const failed = targets.length === 0 ? 0 : await warm(client, targets, parallel, print);
      if (failed + problems.length > 0) throw new Error(`Cannot warm ${failed + problems.length} of these: see above`);
    }),
  );

addTransferCommands(program, {
  run,
  server: () => program.opts<{ server: URL }>().server,
  token: () => {
    const { token, state } = program.opts<{ token?: string; state: string }>();
    return token ?? readToken(state);
  },
});

endWithReader();
await program.parseAsync();

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

type Row = Readonly<Record<string, unknown>>;

/** Prints the rows that match. Says on stderr that none does: a pattern with a mistake would else look like success. */
async function printMatches(pattern: string, rows: AsyncIterable<Row>, print: Printer, note: (row: Row) => string): Promise<void> {
  let count = 0;
  for await (const row of rows) {
    count++;
    print.row(row, note(row));
  }
  const advice = /[*?]/.test(pattern) ? "" : `; '${pattern}*' matches all that begins so`;
  if (count === 0) printError(`Nothing that is stored matches "${pattern}"${advice}`);
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
