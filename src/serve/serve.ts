import type { PathClass } from "../config/config.ts";
import type { Target } from "../route/target.ts";
import { answer } from "./answer/answer.ts";
import { refuse, refuseAbsent, refuseFailure } from "./answer/failure.ts";
import { type Client, isDoubtful } from "./shared/client.ts";
import type { LookAgain, Outcome, ServeDependencies } from "./shared/dependencies.ts";
import { freshness } from "./freshness.ts";
import { locate, type Where } from "./locate.ts";
import { look } from "./look.ts";
import { doubtSigned, signedFileOf } from "./pair.ts";
import { miss } from "./miss.ts";
import { revalidate } from "./revalidate.ts";
import { storedSource } from "./stored-source.ts";

/**
 * A second look follows where the first came to no answer: another request stored the file meanwhile, the store lost what a generation names, or a
 * version was given up that the upstream no longer has. A third where another isolate stored the new version before the second could fetch it.
 */
const MAX_LOOKS = 3;

/** The whole way of a request below a mirror: where its bytes lie, one look at the store, whether what lies there may be used, and the answer. */
export async function serve(client: Client, asked: Target, deps: ServeDependencies): Promise<Response> {
  const { config, confirmations, now, repositories } = deps;
  let before: LookAgain | null = null;
  for (let looks = 0; looks < MAX_LOOKS; looks++) {
    const where = await locate(asked, before, deps);
    if (where.kind === "absent") return refuseAbsent(where, asked);
    const target = targetAt(asked, where);
    const isApart = before?.isApart === true && where.kind === "own";
    const known = where.kind === "generation" ? where.known : undefined;
    // Both at once: a signature costs no second round trip to a bucket that is far.
    const [found, signed] = await Promise.all([isApart ? null : look(client, target, deps, known), signedFileOf(asked, deps)]);
    // Before the client has the file: it asks at once for what the file names, and the file's repository must know by then that it is used.
    if (found !== null && asked.class === "hashed" && before === null) await repositories.noteUse(asked);
    const question = {
      stored: found?.object ?? null,
      where,
      settled: before?.settled,
      class: asked.class,
      isDoubted: isDoubtful(client),
      answeredAt: confirmations.at(target.key),
      failedAt: confirmations.failedAt(target.key),
      doubtedAt: confirmations.doubtedAt(target.key),
      signed,
      now: now(),
    };
    const verdict = freshness(question, config);
    if (signed !== null && verdict.kind !== "use") doubtSigned(signed, deps);
    let outcome: Outcome;
    if (found !== null && verdict.kind === "use")
      outcome = await answer(client, target, storedSource(client, target, found, deps), verdict, deps);
    else if (found !== null && verdict.kind === "ask") outcome = await revalidate(client, target, found, deps);
    else if (where.kind === "generation") {
      await found?.body?.cancel();
      outcome = { kind: "look-again" };
    } else if (where.kind === "failure") outcome = refuseFailure(where.failure);
    else outcome = await miss(client, target, deps, { isFirstLook: before === null, isApart });
    if (outcome instanceof Response) return withLife(outcome, asked.class);
    // What a generation names is the repository's to fetch again.
    before = where.kind === "generation" ? { ...outcome, lost: where.sharedKey ?? where.key } : outcome;
  }
  return refuse(502, `Cannot answer for ${asked.key}: it changed, or the store lost it, each time that it was looked at`);
}

function targetAt(asked: Target, where: Exclude<Where, { kind: "absent" }>): Target {
  if (where.key === asked.key) return asked;
  const shared = "sharedKey" in where && where.sharedKey !== undefined ? { sharedKey: where.sharedKey } : {};
  return { ...asked, key: where.key, ...shared };
}

/** A cache on the way (RFC 9111 §4.2.2 lets it guess a life from the date) would mix old and new metadata, for days in the case of old files. */
const CHANGING: ReadonlySet<PathClass> = new Set<PathClass>(["root", "member", "volatile", "pass"]);

function withLife(response: Response, pathClass: PathClass): Response {
  if (response.status < 400 && CHANGING.has(pathClass)) response.headers.set("Cache-Control", "no-cache, no-transform");
  return response;
}
