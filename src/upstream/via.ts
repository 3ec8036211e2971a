import type { Config, Mirror } from "../config/config.ts";
import { type Place, placeOf } from "../route/place.ts";

export type Via = ReturnType<typeof createVia>;

/** A request that has passed this many mirrors is refused: no sensible chain is longer. */
const MAX_MIRRORS = 8;
/** Only names of lazy mirrors are passed on: a client's other proxies are none of an upstream's concern. */
const NAME = /\blazy-mirror-[0-9a-f]{8}\b/g;

/**
 * The Via header (RFC 9110 §7.6.3). Each lazy mirror adds its name, which `config` gives it, to requests upstream, so that a mirror notices when its
 * upstreams lead back to it.
 */
export function createVia(config: Pick<Config, "mirrors">) {
  const name = nameOf(config);
  const waiting = new Map<string, Set<readonly string[]>>();
  return {
    /** Why a request with this Via must be refused: it passed this mirror before, or too many mirrors. Null: it is welcome. */
    refuse(header: string | null): string | null {
      const passed = namesIn(header);
      if (passed.includes(name)) return "This request has been here before: the mirror's upstreams lead back to itself; change them";
      return passed.length >= MAX_MIRRORS ? `This request has passed ${passed.length} mirrors, should be under ${MAX_MIRRORS}` : null;
    },
    /** Notes that a request with this Via waits for `key`, until the returned function is called. */
    enter(key: string, header: string | null): () => void {
      const passed = namesIn(header);
      const all = waiting.get(key) ?? new Set();
      waiting.set(key, all.add(passed));
      return () => {
        all.delete(passed);
        if (all.size === 0 && waiting.get(key) === all) waiting.delete(key);
      };
    },
    /**
     * The header to send with a request upstream for `key`: this mirror's name, after those that every request waiting for `key` has passed. All of
     * them get the answer, so that a name which one of them claims must not decide it.
     */
    headerFor(key: string): string {
      const [first = [], ...others] = waiting.get(key) ?? [];
      const shared = new Set(first.filter((each) => others.every((passed) => passed.includes(each))));
      return [...shared, name].map((each) => `1.1 ${each}`).join(", ");
    },
  };
}

/**
 * What requests upstream are made for: a repository fetches its root, in each of its forms, for a client that asked for another of its files. Keyed by path
 * alone, a loop would go on unseen in those requests.
 */
export function viaKey(
  mirror: Mirror,
  path: string,
  query: string,
  { repository }: Pick<Place, "repository"> = placeOf(mirror, path),
): string {
  const root = repository?.root;
  return root === undefined ? `${mirror.name}/${path}${query}` : `${mirror.name}/${root}`;
}

function namesIn(header: string | null): readonly string[] {
  return header?.match(NAME) ?? [];
}

/**
 * The name of this mirror: equal in every isolate, and for two deployments with the same configuration, which count as one mirror in a loop. FNV-1a
 * is enough: only a few mirrors can stand in one chain, so names hardly collide.
 */
function nameOf({ mirrors }: Pick<Config, "mirrors">): string {
  const text = JSON.stringify([...mirrors.values()].map(({ name, hosts, upstreams }) => [name, hosts, upstreams.map(({ url }) => url)]));
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return `lazy-mirror-${(hash >>> 0).toString(16).padStart(8, "0")}`;
}
