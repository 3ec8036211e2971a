import { lookup } from "node:dns/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { Command, InvalidArgumentError, Option } from "commander";
import { commandName } from "../command-name.ts";
import { endWithReader, printLines } from "../print.ts";
import { parseServerUrl } from "../server-url.ts";
import { type Ask, askNetwork, limitAsk } from "./ask.ts";
import { compareLarge } from "./compare-large.ts";
import { diagnose, type GroupedFinding } from "./doctor.ts";
import { inspectTls } from "./inspect-tls.ts";

const MARKS: Readonly<Record<GroupedFinding["verdict"], string>> = { good: "good", bad: "BAD ", unsure: "?   " };
/** What one run reads and lasts at most, without `--large`. */
const ALLOWANCE = { bytes: 20_000_000, ms: 5 * 60_000 };
const NAME = commandName("doctor");
const SITE = "https://lazy-mirror.me.workers.dev/";
const FILE = "http://localhost:8787/debian/dists/stable/Release";

interface Options {
  readonly user?: string;
  readonly token?: string;
  readonly large?: URL;
  readonly json?: true;
}

const command = new Command(NAME)
  .description("Ask a mirror as its clients do, and print what is wrong and what helps. Exits with 1 if anything is wrong.")
  .argument("<url>", `the server, such as ${SITE}, also below a path of a proxy, or a file of a mirror, such as ${FILE}`, parseUrl)
  .option("--user <name:password>", "for a mirror that requires a password")
  .addOption(new Option("--token <token>", "the operator's: the doctor then reads /-/status.json too").env("ADMIN_TOKEN"))
  .option("--large <url>", "a file to download twice in whole, and to compare; all else reads at most 20 MB", parseUrl)
  .option("--json", "a line of JSON for each finding: group, check, verdict (good, bad, unsure), detail, remedy")
  .showHelpAfterError(`Usage: ${NAME} <url>, such as\n  ${NAME} ${SITE}\n  ${NAME} ${FILE}`)
  .parse();

endWithReader();
process.exitCode = await main(command.processedArgs[0] as URL, command.opts<Options>());

async function main(url: URL, { user, token, large, json }: Options): Promise<number> {
  const login = user === undefined ? {} : { Authorization: `Basic ${Buffer.from(user).toString("base64")}` };
  const { ask: limited, isOver } = limitAsk(askNetwork, ALLOWANCE);
  const askAsUser: Ask = (target, question) =>
    // The setup pages may name other hosts: they do not get the password.
    limited(target, target.hostname === url.hostname ? { ...question, headers: { ...login, ...question?.headers } } : question);
  const resolve = async (host: string) => (await lookup(host.replace(/^\[|\]$/g, ""), { all: true })).map(({ address }) => address);
  const ports = { ask: askAsUser, askAsStranger: limited, isOver, resolve, inspectTls, sleep, now: Date.now };
  let problems = 0;
  let group = "";
  for await (const finding of all()) {
    if (finding.verdict === "bad") problems++;
    if (json === true) printLines(JSON.stringify(finding));
    else printFinding(finding, finding.group === group);
    ({ group } = finding);
  }
  if (json !== true)
    printLines(`\n${sumUp(problems)}${isOver() ? " The doctor used up its time or its bytes, and did not look at everything." : ""}`);
  return problems === 0 ? 0 : 1;

  async function* all(): AsyncGenerator<GroupedFinding> {
    yield* diagnose(url, ports, token === "" ? undefined : token);
    if (large === undefined) return;
    for await (const finding of compareLarge(large, large.hostname === url.hostname ? login : {}))
      yield { group: "Large file", ...finding };
  }
}

function sumUp(problems: number): string {
  if (problems === 0) return "Clients will be well served.";
  return `${problems} ${problems === 1 ? "thing is" : "things are"} wrong.`;
}

function printFinding({ group, verdict, check, detail, remedy }: GroupedFinding, isSameGroup: boolean): void {
  if (!isSameGroup) printLines(`\n${group}`);
  printLines(`${MARKS[verdict]}  ${check.padEnd(20)} ${detail}`);
  if (verdict !== "good" && remedy !== undefined) printLines(`      ${"".padEnd(20)} → ${remedy}`);
}

function parseUrl(text: string): URL {
  const url = parseServerUrl(text);
  if (url === null) throw new InvalidArgumentError("It must be an http or https URL.");
  return url;
}
