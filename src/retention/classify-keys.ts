import type { Config } from "../config/config.ts";
import { classifyPath } from "../route/classify-path.ts";

/** The class of a stored key by its mirror's patterns; content-addressed keys are `member`. */
export function classifyKeys({ mirrors }: Config): (key: string) => string {
  return (key) => {
    const mirror = mirrors.get(key.slice(0, Math.max(0, key.indexOf("/"))));
    if (mirror === undefined) return "member";
    const [path = ""] = key.slice(mirror.name.length + 1).split("?", 1);
    return classifyPath(mirror, path).class;
  };
}
