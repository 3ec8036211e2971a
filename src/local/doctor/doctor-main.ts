import { lookup } from "node:dns/promises";
import { Command, InvalidArgumentError } from "commander";
import { ask, type Ask } from "./ask.ts";
import { diagnose, type Finding } from "./doctor.ts";
import { printLines } from "../print.ts";

const MARKS: Readonly<Record<Finding["verdict"], string>> = { good: "good", bad: "BAD ", unsure: "?   " };

const EXAMPLE = "http://localhost:8787/debian/dists/stable/Release";

const command = new Command("npm run doctor --")
  .description("Ask a mirror as its clients do, and print what is wrong and what helps. Exits with 1 if anything is wrong.")
  .argument("<url>", `a file of a mirror, such as ${EXAMPLE}`, parseUrl)
  .option("--user <name:password>", "for a mirror that requires a password")
  .showHelpAfterError(`Usage: npm run doctor -- <url of a file of a mirror>, such as\n  npm run doctor -- ${EXAMPLE}`)
  .parse();

process.exitCode = await main(command.processedArgs[0] as URL, command.opts<{ user?: string }>().user);

async function main(url: URL, user: string | undefined): Promise<number> {
  const authorization = user === undefined ? {} : { Authorization: `Basic ${Buffer.from(user).toString("base64")}` };
  const askAs: Ask = (target, question) => ask(target, { ...question, headers: { ...authorization, ...question?.headers } });
  const resolve = async (host: string) => (await lookup(host.replace(/^\[|\]$/g, ""), { all: true })).map(({ address }) => address);
  let problems = 0;
  for await (const { verdict, check, detail, remedy } of diagnose(url, { ask: askAs, resolve, now: Date.now })) {
    printLines(`${MARKS[verdict]}  ${check.padEnd(20)} ${detail}`);
    if (verdict !== "good" && remedy !== undefined) printLines(`      ${"".padEnd(20)} → ${remedy}`);
    if (verdict === "bad") problems++;
  }
  printLines(problems === 0 ? "\nClients will be well served." : `\n${problems} ${problems === 1 ? "thing is" : "things are"} wrong.`);
  return problems === 0 ? 0 : 1;
}

function parseUrl(text: string): URL {
  if (!URL.canParse(text) || !/^https?:/.test(text)) throw new InvalidArgumentError("It must be an http or https URL.");
  const url = new URL(text);
  if (url.pathname.startsWith("/-/") || url.pathname.endsWith("/"))
    throw new InvalidArgumentError(
      `It must be the URL of a file of a mirror, not of a folder or a page, such as ${new URL(EXAMPLE).pathname} on that server.`,
    );
  return url;
}
