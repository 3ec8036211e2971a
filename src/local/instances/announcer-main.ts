import { Command } from "commander";
import { printError, printLines } from "../print.ts";
import { startAnnouncer } from "./announcer.ts";

const program = new Command("announcer")
  .description(
    "Makes every instance know what the others serve, by the lines that a balancer sends over UDP (npm run instances has one of its own).",
  )
  .argument("<urls...>", "the instances, such as http://mirror-1:8787")
  .option("--ip <address>", "address to take the lines on", "127.0.0.1")
  .option("--port <number>", "UDP port to take the lines on", "8780")
  .option("--authorization <value>", 'for mirrors with access: an Authorization header, such as "Basic …"')
  .parse();
const { ip, port, authorization } = program.opts<{ ip: string; port: string; authorization?: string }>();

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(0));
await startAnnouncer({
  host: ip,
  port: Number(port),
  instances: program.args,
  ...(authorization === undefined ? {} : { authorization }),
  log: printError,
}).catch((error: Error) => {
  printError(`Cannot take lines on ${ip}:${port}: ${error.message}`);
  process.exit(1);
});
printLines(`Takes the balancer's lines on UDP ${ip}:${port}, for ${program.args.join(", ")}.`);
