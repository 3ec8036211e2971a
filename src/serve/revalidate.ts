import { isImmutable } from "../config/config.ts";
import type { CacheStatus } from "../http/cache-status.ts";
import { isUnsettled, parseHttpDate } from "../http/http-date.ts";
import type { Target } from "../route/target.ts";
import type { StoredBody } from "../store/object-store.ts";
import { keyAtRest } from "../store/keys.ts";
import { rewriteObject } from "../store/rewrite-object.ts";
import { isUnproven, type StoredObject } from "../store/stored-object.ts";
import type { Absent, Representation, UpstreamAnswer } from "../upstream/upstream.ts";
import { answer } from "./answer/answer.ts";
import { redirectToFolder, refuseAbsent } from "./answer/failure.ts";
import { explainDoubt, isGone } from "./shared/absent.ts";
import type { Client } from "./shared/client.ts";
import type { Outcome, ServeDependencies } from "./shared/dependencies.ts";
import { ageSecondsOf, needsRenewal } from "./freshness.ts";
import { deleteVersion } from "../store/delete-version.ts";
import { compareWithIndex } from "./judge/published.ts";
import { miss } from "./miss.ts";
import { storedSource } from "./stored-source.ts";

/** Asks the upstream whether the stored copy is still its own (RFC 9111 §4.3), once for all requests that ask at the same time, and answers. */
export async function revalidate(client: Client, target: Target, found: StoredBody, deps: ServeDependencies): Promise<Outcome> {
  const { key } = target;
  const { object } = found;
  const limitMs = deps.config.upstreamFirstByteSeconds * 1_000 * (target.mirror.upstreams.length + 1);
  const validated = await deps.confirmations.once(key, limitMs, () => validate(target, object, deps));
  if (validated === null) {
    // Another request asked. By now another version may lie there.
    await found.body?.cancel();
    return { kind: "look-again", settled: { kind: "hit", detail: "just revalidated" } };
  }
  switch (validated.kind) {
    case "not-published":
      await found.body?.cancel();
      return { kind: "look-again" };
    case "same":
      return answerFound({ kind: "forwarded", reason: "stale", status: 304 });
    case "failed":
      return answerFound({ kind: "hit", ttlSeconds: -1, detail: `stale: ${validated.detail}` });
    case "absent":
      // A package that the upstream has removed is still what the index named; a file that may change is gone.
      if (isImmutable(target.class)) return answerFound({ kind: "hit", detail: "the upstream has removed it" });
      await found.body?.cancel();
      return refuseAbsent(validated, target, "stale");
    case "folder":
      await found.body?.cancel();
      return redirectToFolder(target, "stale");
    case "changed": {
      const outcome = await miss(client, target, deps, { opened: validated.answer, isFirstLook: true });
      // Whatever the upstream has now (a web page, half a file) is no file: the stored one is.
      const isBroken = outcome instanceof Response && outcome.status >= 500;
      if (isBroken) return answerFound({ kind: "hit", ttlSeconds: -1, detail: "stale: the upstream's new one is broken" });
      await found.body?.cancel();
      return outcome;
    }
  }

  function answerFound(cacheStatus: CacheStatus): Promise<Outcome> {
    const ageSeconds = ageSecondsOf(object, deps.confirmations.at(key), deps.now());
    return answer(client, target, storedSource(client, target, found, deps), { cacheStatus, ageSeconds }, deps);
  }
}

type Validated =
  /** It is not the file that its index names, and is gone. */
  | { readonly kind: "not-published" }
  | { readonly kind: "same" }
  | { readonly kind: "changed"; readonly answer: UpstreamAnswer }
  | Absent
  | { readonly kind: "folder" }
  | { readonly kind: "failed"; readonly detail: string };

async function validate(target: Target, object: StoredObject, deps: ServeDependencies): Promise<Validated> {
  const { mirror, path, query, key } = target;
  const { confirmations, now } = deps;
  const comparison = await compareWithIndex(target, object, deps);
  if (comparison === "other") return { kind: "not-published" };
  // Validators of a file that may change, and had just done so when it was fetched, prove nothing: it is fetched again. Neither do they prove that
  // bytes are those of an index, nor that a copy is whole which may have been cut off.
  const isSettled = !isUnsettled(object.lastModified, object.storedAt) && !isUnproven(object);
  const isComparable = comparison === "fits" && (isImmutable(target.class) || isSettled);
  const conditional = {
    ...(object.etag === undefined ? {} : { etag: object.etag }),
    ...(object.lastModified === undefined ? {} : { lastModified: object.lastModified }),
    upstream: object.upstream,
  };
  const answered = await deps.upstreams.open({ mirror, path, query, class: target.class, ...(isComparable ? { conditional } : {}) });
  switch (answered.kind) {
    case "not-modified":
      return confirm();
    case "body":
      if (isComparable && isSameVersion(object, answered.representation)) {
        answered.source.cancel("unchanged");
        return confirm();
      }
      if (isBehind(answered.representation, object, target, deps)) {
        answered.source.cancel("older than the stored copy");
        confirmations.noteFailure(key, now());
        return { kind: "failed", detail: `${answered.representation.upstream} has an older one than ${object.upstream} had` };
      }
      // What comes may be broken, so that nothing is confirmed yet. But until it is there, one fetch of it is enough.
      confirmations.noteFailure(key, now());
      return { kind: "changed", answer: answered };
    case "absent":
      if (!isImmutable(target.class) && !isGone(answered)) {
        confirmations.noteFailure(key, now());
        return { kind: "failed", detail: explainDoubt(answered) };
      }
      confirmations.note(key, now());
      // Before the requests that wait for this one look at the store.
      if (!isImmutable(target.class))
        await deleteVersion(deps.store, key, object.version).catch((error: unknown) => deps.log(`Cannot delete ${key}: ${String(error)}`));
      return answered;
    case "folder":
      // Only a version that followed the redirect stored a listing here.
      if (!isImmutable(target.class)) return answered;
      return { kind: "failed", detail: "the upstream has a folder of that name" };
    case "failure":
      if (answered.isRing !== true) confirmations.noteFailure(key, now());
      return { kind: "failed", detail: answered.detail };
    default:
      return { kind: "failed", detail: `the upstream's answer was ${answered.kind}` };
  }

  async function confirm(): Promise<Validated> {
    confirmations.note(key, now());
    await renew(keyAtRest(target, object), object, deps);
    return { kind: "same" };
  }
}

/** An upstream that ignores conditions: equal validators and size say as much as its 304 would. Without validators nothing does. */
function isSameVersion(object: StoredObject, now: Representation): boolean {
  if (now.size !== object.size) return false;
  if (now.upstream === object.upstream && (now.etag !== undefined || object.etag !== undefined)) return now.etag === object.etag;
  return now.lastModified !== undefined && now.lastModified === object.lastModified;
}

/**
 * Whether another upstream than the one that gave the copy has an older file: it lags behind. Dates of two servers may disagree, and the first may be gone
 * for good, so that this holds for DOUBT_SECONDS after the copy was last confirmed. An upstream that goes back to an older file itself is followed, and so
 * is another once the mirror does not ask the first any more.
 */
function isBehind(sent: Representation, object: StoredObject, { mirror, key }: Target, deps: ServeDependencies): boolean {
  const { config, confirmations, now } = deps;
  const [sentDate, storedDate] = [parseHttpDate(sent.lastModified), parseHttpDate(object.lastModified)];
  if (sent.upstream === object.upstream || sentDate === null || storedDate === null) return false;
  if (!mirror.upstreams.some(({ url }) => url === object.upstream)) return false;
  // A date in the future is a wrong clock.
  const isOlder = sentDate < storedDate && storedDate <= now();
  return isOlder && ageSecondsOf(object, confirmations.at(key), now()) < config.doubtSeconds;
}

/** An object past its retention that the upstream still has starts a new life. */
async function renew(key: string, object: StoredObject, { store, config, now, log }: ServeDependencies): Promise<void> {
  if (!needsRenewal(object, now(), config.retentionDays)) return;
  try {
    await rewriteObject(store, key, object.version, config.sliceBytes, (current) => ({ ...current, storedAt: now() }));
  } catch (error) {
    log(`Cannot renew ${key}: ${String(error)}`);
  }
}
