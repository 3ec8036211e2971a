import { deployCommand, ROOT } from "./deploy-command.ts";
import { createWrangler } from "./deploy-wrangler.ts";
import { endWithReader, printError, printLines } from "../print.ts";

endWithReader();
process.exitCode = await deployCommand(process.argv.slice(2), {
  env: process.env,
  createRun: (wrangler) => createWrangler([process.execPath, wrangler], ROOT),
  print: printLines,
  printError,
});
