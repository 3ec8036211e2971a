import type { Config } from "../config/config.ts";

/** Who a request has passed: each lazy mirror adds itself, so that one whose upstreams lead back to it notices (RFC 9110 §7.6.3). */
export interface Via {
  /** What is wrong with a request that came by `header`: it has been here, or it goes from mirror to mirror without end. */
  refuse(header: string | null): string | null;
  /** Until the returned function is called, requests upstream for `key` are made for this one too, and name whom it has passed. */
  enter(key: string, header: string | null): () => void;
  /** The Via of a request upstream for `key`. */
  headerFor(key: string): string;
}

/** More mirrors in a row than anyone would want. */
const MAX_MIRRORS = 8;
/** Of a Via, only the names of lazy mirrors go on: an upstream has no business with a client's other proxies. */
const NAME = /\blazy-mirror-[0-9a-f]{8}\b/g;

export function createVia(config: Pick<Config, "mirrors">): Via {
  const name = nameOf(config);
  const waiting = new Map<string, Set<readonly string[]>>();
  return {
    refuse(header) {
      const passed = namesIn(header);
      if (passed.includes(name)) return "This request has been here before: the mirror's upstreams lead back to itself; change them";
      return passed.length >= MAX_MIRRORS ? `This request has passed ${passed.length} mirrors, should be under ${MAX_MIRRORS}` : null;
    },
    enter(key, header) {
      const passed = namesIn(header);
      if (passed.length === 0) return () => {};
      const all = waiting.get(key) ?? new Set();
      waiting.set(key, all.add(passed));
      return () => {
        all.delete(passed);
        if (all.size === 0 && waiting.get(key) === all) waiting.delete(key);
      };
    },
    headerFor: (key) => [...new Set([...(waiting.get(key) ?? [])].flat()), name].map((each) => `1.1 ${each}`).join(", "),
  };
}

function namesIn(header: string | null): readonly string[] {
  return header?.match(NAME) ?? [];
}

/**
 * The same in every isolate, and for every mirror with the same upstreams: for a loop these are one. FNV-1a; chance collisions of a
 * handful of mirrors need no better.
 */
function nameOf({ mirrors }: Pick<Config, "mirrors">): string {
  const text = JSON.stringify([...mirrors.values()].map(({ name, hosts, upstreams }) => [name, hosts, upstreams.map(({ url }) => url)]));
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return `lazy-mirror-${(hash >>> 0).toString(16).padStart(8, "0")}`;
}
