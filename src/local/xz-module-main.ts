// npm runs this after an installation, and wrangler before it bundles the Worker (`[build]` in wrangler.toml): a wrangler.toml of your own may lack that.
import { writeXzModule } from "./xz-module.ts";

writeXzModule();
