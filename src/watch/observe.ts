import type { Target } from "../route/target.ts";
import type { StoredObject } from "../store/stored-object.ts";
import type { UpstreamEvent } from "../upstream/upstream-event.ts";
import type { Counters } from "./counters.ts";

/** What the parts of the core report while they work. Each call returns at once and does no I/O. */
export interface Observer {
  upstreamEvent(event: UpstreamEvent): void;
  /** A fill stored the whole object; an upstream sent its `size` bytes. */
  stored(target: Target, object: StoredObject): void;
  /** The bytes that `upstream` sent for the target are not what they should be; `reason` says why. */
  refused(target: Target, upstream: string, reason: string): void;
}

/** Counts what the parts of the core report. */
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
