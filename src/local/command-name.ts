import { basename } from "node:path";

/** The program that `lazy-mirror` runs: one for all commands (src/local/command/command-main.ts, and what packaging/build-package.ts makes of it). */
const PROGRAM = /^command-main\.[jt]s$/;

/** Whether this process was started as `lazy-mirror <verb>`, not as `npm run <verb>`. `program` is the script that Node was started with. */
export function isInstalledCommand(program = process.argv[1] ?? ""): boolean {
  return PROGRAM.test(basename(program));
}

/** What users type to run this verb, as its help shows it: `npm run mirror --`, or `lazy-mirror mirror` where the package is installed. */
export function commandName(verb: string, program?: string): string {
  if (isInstalledCommand(program)) return `lazy-mirror ${verb}`;
  return verb === "start" ? "npm start --" : `npm run ${verb} --`;
}
