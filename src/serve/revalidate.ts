import type { CacheStatus } from "../http/cache-status.ts";
import type { PathClass } from "../config/config.ts";
import { isUnsettled } from "../http/http-date.ts";
import type { Target } from "../route/target.ts";
import type { StoredBody } from "../store/object-store.ts";
import type { StoredObject } from "../store/stored-object.ts";
import type { UpstreamAnswer } from "../upstream/upstream.ts";
import type { Client } from "./client.ts";
import { refuseAbsent } from "./answer/failure.ts";
import type { ServeDependencies } from "./dependencies.ts";
import { serveMiss } from "./serve-miss.ts";
import { answerStored, lookUp } from "./stored.ts";
import { forget } from "./stored-answer.ts";

/** Files that stay what they are. */
const LASTING: ReadonlySet<PathClass> = new Set<PathClass>(["package", "unstable-package", "hashed"]);

/** Asks the upstream whether the stored copy is still its own, once for all who wonder at the same time, and answers. */
export async function revalidate(client: Client, target: Target, found: StoredBody, deps: ServeDependencies): Promise<Response> {
  const { key } = target;
  const { object } = found;
  const limitMs = deps.config.upstreamFirstByteSeconds * 1_000 * (target.mirror.upstreams.length + 1);
  const checked = await deps.checks.once(key, limitMs, () => check(target, object, deps));
  if (checked === null) {
    // Somebody else asked. The answer may be another version by now.
    await found.body?.cancel();
    const again = await lookUp(client, key, deps);
    return again === null ? serveMiss(client, target, deps) : answer(again, { kind: "hit", detail: "just revalidated" }, 0);
  }
  const ageSeconds = (deps.now() - Math.max(object.storedAt, deps.checks.at(key))) / 1_000;
  switch (checked.kind) {
    case "same":
      return answer(found, { kind: "forwarded", reason: "stale", status: 304 }, ageSeconds);
    case "failed":
      return answer(found, { kind: "hit", ttlSeconds: -1, detail: `stale: ${checked.detail}` }, ageSeconds);
    case "absent":
      // A package that the upstream has removed is still what the index named; a file that may change is gone.
      if (target.class !== "volatile") return answer(found, { kind: "hit", detail: "the upstream has removed it" }, ageSeconds);
      await found.body?.cancel();
      await forget(key, object, deps);
      return refuseAbsent(checked.status, target);
    case "changed": {
      const response = await serveMiss(client, target, deps, { opened: checked.answer });
      // Whatever the upstream has now (a web page, half a file) is no file: the stored one is.
      if (response.status >= 500) {
        return answer(found, { kind: "hit", ttlSeconds: -1, detail: "stale: the upstream's new one is broken" }, ageSeconds);
      }
      await found.body?.cancel();
      return response;
    }
  }

  async function answer(body: StoredBody, status: CacheStatus, age: number): Promise<Response> {
    return (await answerStored(client, { target, key, found: body, status, ageSeconds: age }, deps)) ?? serveMiss(client, target, deps);
  }
}

type Checked =
  | { readonly kind: "same" }
  | { readonly kind: "changed"; readonly answer: UpstreamAnswer }
  | { readonly kind: "absent"; readonly status: 404 | 410 }
  | { readonly kind: "failed"; readonly detail: string };

async function check(target: Target, object: StoredObject, deps: ServeDependencies): Promise<Checked> {
  const { mirror, path, query, key } = target;
  // Of a file that may change, and had just done so when it was fetched, its validators do not tell: it is fetched again.
  const isTold = LASTING.has(target.class) || !isUnsettled(object.lastModified, object.storedAt);
  // An entity tag belongs to the upstream that gave it; the date is the mirrors' common one.
  const conditional = {
    ...(object.etag === undefined ? {} : { etag: object.etag }),
    ...(object.lastModified === undefined ? {} : { lastModified: object.lastModified }),
    upstream: object.upstream,
  };
  const answer = await deps.upstreams.open({ mirror, path, query, class: target.class, ...(isTold ? { conditional } : {}) });
  switch (answer.kind) {
    case "not-modified":
      deps.checks.note(key, deps.now());
      await renew(key, object, deps);
      return { kind: "same" };
    case "body": {
      if (!isTold || !isSame(object, answer.representation)) {
        // Not yet checked: what comes may be broken. But until it is there, one fetch of it is enough.
        deps.checks.noteFailure(key, deps.now());
        return { kind: "changed", answer };
      }
      deps.checks.note(key, deps.now());
      answer.source.cancel("unchanged");
      await renew(key, object, deps);
      return { kind: "same" };
    }
    case "absent":
      deps.checks.note(key, deps.now());
      return answer;
    case "failure":
      deps.checks.noteFailure(key, deps.now());
      return { kind: "failed", detail: answer.detail };
    default:
      return { kind: "failed", detail: `the upstream's answer was ${answer.kind}` };
  }
}

/** An upstream that ignores conditions: equal validators and size say as much as its 304 would. Without validators nothing does. */
function isSame(
  object: StoredObject,
  now: { size: number | undefined; etag: string | undefined; lastModified: string | undefined; upstream: string },
): boolean {
  if (now.size !== object.size) return false;
  if (now.upstream === object.upstream && (now.etag !== undefined || object.etag !== undefined)) return now.etag === object.etag;
  return now.lastModified !== undefined && now.lastModified === object.lastModified;
}

/** An object past its retention that the upstream still has starts a new life. */
async function renew(key: string, object: StoredObject, { store, config, now, log }: ServeDependencies): Promise<void> {
  if (now() - object.storedAt < config.retentionDays * 86_400_000) return;
  // Stored natively as one object, it is too long to be copied through memory: it goes with its age.
  if (object.sliceBytes === undefined && object.size > config.sliceBytes) return;
  try {
    // `get` may be a data centre's memory of a moment ago; `head` is what is there.
    if ((await store.head(key))?.version !== object.version) return;
    const current = await store.get(key);
    if (current?.object.version !== object.version) {
      await current?.body?.cancel();
      return;
    }
    const bytes = current.body === null ? new Uint8Array(0) : new Uint8Array(await new Response(current.body).arrayBuffer());
    await store.put(key, { ...current.object, storedAt: now() }, bytes);
  } catch (error) {
    log(`Cannot renew ${key}: ${String(error)}`);
  }
}
