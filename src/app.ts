import { Hono } from "hono";
import type { Config } from "./config/config.ts";

/** What the operator's and newcomer's pages need. */
export interface SiteDependencies {
  readonly config: Config;
}

/** Everything under `/-/`, and `/` on an unmapped host. */
export function createApp(_deps: SiteDependencies): Hono {
  const app = new Hono();
  app.get("/-/health", (context) => context.text("ok\n", 200, { "Cache-Control": "no-store" }));
  return app;
}
