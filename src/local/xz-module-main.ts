// wrangler runs this before it bundles the Worker (`[build]` in wrangler.toml).
import { writeXzModule } from "./xz-module.ts";

writeXzModule();
