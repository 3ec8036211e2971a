import { describeInstall } from "../support/clients/install-suite.ts";
import { SCENARIOS } from "../support/clients/scenario.ts";

for (const downloader of ["curl", "wget", "aria2c", "requests", "urllib"] as const) describeInstall(SCENARIOS[downloader]);
