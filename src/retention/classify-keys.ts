import type { Config } from "../config/config.ts";
import { placeOf } from "../route/place.ts";

/** The class of a stored key by its mirror's patterns; content-addressed keys are `member`. */
export function classifyKeys({ mirrors }: Config): (key: string) => string {
  return (key) => {
    const mirror = mirrors.get(key.slice(0, Math.max(0, key.indexOf("/"))));
    if (mirror === undefined) return "member";
    const [path = ""] = key.slice(mirror.name.length + 1).split("?", 1);
    return placeOf(mirror, path).class;
  };
}
