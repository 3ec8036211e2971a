import { join } from "node:path";

/** What the defaults depend on: `root` is the folder of the installation. */
export interface Place {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly root: string;
  readonly exists: (path: string) => boolean;
}

/** The verbs that serve by a configuration, those that have any, and those on the state folder of one server. */
const SERVING = ["start", "instances"];
const WITH_CONFIG = [...SERVING, "deploy"];
const WITH_STATE = ["start", "mirror"];

/**
 * The arguments of `lazy-mirror <verb>` with what an installation knows before them, so that an option of the user's goes first: `LAZY_MIRROR_CONFIG` and
 * `LAZY_MIRROR_STATE`, which the container and the Debian package set; and the configuration that came with the package, where the working directory has no
 * wrangler.toml.
 */
export function argumentsOf(verb: string, given: readonly string[], { env, root, exists }: Place): readonly string[] {
  const { LAZY_MIRROR_CONFIG: config = "", LAZY_MIRROR_STATE: state = "" } = env;
  const packaged = exists("wrangler.toml") ? "" : join(root, "wrangler.toml");
  // A Worker is deployed by a configuration that names its code, which the server's own need not do.
  const chosen = SERVING.includes(verb) && config !== "" ? config : packaged;
  return [...option(WITH_CONFIG, "--config", chosen), ...option(WITH_STATE, "--state", state), ...given];

  function option(verbs: readonly string[], name: string, value: string): readonly string[] {
    return verbs.includes(verb) && value !== "" ? [name, value] : [];
  }
}
