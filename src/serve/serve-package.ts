import { parseRequestCacheControl } from "../http/cache-control.ts";
import type { Target } from "../route/target.ts";
import type { StoredBody } from "../store/object-store.ts";
import type { Client } from "./client.ts";
import { passesIndex } from "./judge/provisional.ts";
import { revalidate } from "./revalidate.ts";
import type { ServeDependencies } from "./dependencies.ts";
import { serveMiss } from "./serve-miss.ts";
import { answerStored, lookUp } from "./stored.ts";

const DAY_MS = 86_400_000;
/** Trees that rebuild under one name are asked once a day. */
const UNSTABLE_TTL_MS = DAY_MS;
/** A client that doubts a package gets the upstream asked, but not more often than this. */
const SUSPICION_MS = 60_000;

/** Files that stay as they are: from the store without a question, unless there is a reason to ask. */
export async function servePackage(client: Client, target: Target, deps: ServeDependencies): Promise<Response> {
  const found = await lookUp(client, target.key, deps);
  if (found === null) return serveMiss(client, target, deps);
  if (await passesIndex(target, found.object, deps)) return serveFound(client, target, found, deps);
  await found.body?.cancel();
  return serveMiss(client, target, deps);
}

/** Answers from the stored copy, asking the upstream first where there is a reason to. */
export async function serveFound(client: Client, target: Target, found: StoredBody, deps: ServeDependencies): Promise<Response> {
  const ageMs = deps.now() - Math.max(found.object.storedAt, deps.checks.at(target.key));
  if (mustAsk(client, target, found, ageMs, deps)) return revalidate(client, target, found, deps);
  const response = await answerStored(client, { target, key: target.key, found, status: { kind: "hit" }, ageSeconds: ageMs / 1_000 }, deps);
  return response ?? serveMiss(client, target, deps);
}

function mustAsk(
  client: Client,
  target: Target,
  { object }: StoredBody,
  ageMs: number,
  { config, now, checks }: ServeDependencies,
): boolean {
  // Nobody could tell just now: the next client need not wait for that too.
  if (now() - checks.failedAt(target.key) < SUSPICION_MS) return false;
  // Its name is its digest: it was right when it was stored, and is right now.
  const isNamed = target.class === "hashed";
  if (now() - object.storedAt >= config.retentionDays * DAY_MS) return true;
  if (isNamed) return false;
  if (target.class === "unstable-package" && ageMs >= UNSTABLE_TTL_MS) return true;
  return isSuspicious(client) && ageMs >= SUSPICION_MS;
}

/** `no-cache`, or a conditional request (squid's refresh-ims): the client would like to know whether this is still the file. */
function isSuspicious({ headers }: Client): boolean {
  if (headers.has("if-modified-since") || headers.has("if-none-match")) return true;
  return parseRequestCacheControl(headers.get("cache-control")).noCache;
}
