import type { Observer } from "../compose.ts";
import type { Counters } from "./counters.ts";

/** Counts what the parts of the core tell. */
export function observe(counters: Counters): Observer {
  return {
    upstreamEvent(event) {
      const at = Date.now();
      switch (event.kind) {
        case "breaker":
          counters.trouble({
            at,
            where: event.upstream,
            kind: "breaker",
            cause: event.state === "open" ? `left out for ${event.openMs} ms` : "works again",
          });
          break;
        case "fault":
          counters.trouble({ at, where: event.upstream, kind: "fault", cause: `${event.path}: ${event.detail}` });
          break;
        case "broken":
          counters.trouble({
            at,
            where: event.upstream,
            kind: "broken",
            cause: `${event.path} at byte ${event.position}: ${event.detail}`,
          });
          break;
        case "resumed":
      }
    },
    stored: (target, object) => counters.stored(target.mirror.name, object.size),
    refused: (target, upstream, reason) =>
      counters.trouble({ at: Date.now(), where: target.key, kind: "refused", cause: `${upstream}: ${reason}` }, target.mirror.name),
  };
}
