import { type Config, problemsAtEdge } from "./config.ts";
import { parseConfig } from "./parse-config.ts";

/** The message lists every problem of the configuration; it is the answer to each request until the configuration is mended. */
export class ConfigError extends Error {}

/** The configuration of a Worker that runs, from its `[vars]`. Throws ConfigError. */
export function readConfig(vars: Parameters<typeof parseConfig>[0], isLocal: boolean): Config {
  const parsed = parseConfig(vars);
  if (!parsed.ok) throw new ConfigError(`Cannot start: [vars] of wrangler.toml has these problems:\n${parsed.problems.join("\n")}`);
  const misplaced = isLocal ? [] : problemsAtEdge(parsed.config);
  if (misplaced.length > 0) throw new ConfigError(misplaced.join("\n"));
  return parsed.config;
}
