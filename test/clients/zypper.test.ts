import { describeInstall } from "../support/clients/install-suite.ts";
import { SCENARIOS } from "../support/clients/scenario.ts";

describeInstall(SCENARIOS.zypper);
