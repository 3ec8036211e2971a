import type { FillEnd } from "../fill/shared/fill.ts";
import { parseRange } from "../http/byte-ranges.ts";
import type { ForwardReason } from "../http/cache-status.ts";
import type { Target } from "../route/target.ts";
import type { UpstreamAnswer } from "../upstream/upstream.ts";
import { answer } from "./answer/answer.ts";
import { redirectToFolder, refuseAbsent, refuseFailure, refuseUnsatisfiable } from "./answer/failure.ts";
import { type Client, withoutStepsBack } from "./shared/client.ts";
import type { Outcome, ServeDependencies } from "./shared/dependencies.ts";
import { passGrowing } from "./pass/growing.ts";
import { passHead, sizeUpstream } from "./pass/head.ts";
import { asOrdinaryFile, isKnownByRoot, isNamedByRoot } from "./pass/misnamed.ts";
import { passThrough } from "./pass/through.ts";
import { fillRequest, readingSource } from "./reading-source.ts";

export interface MissOptions {
  /** Whether another request may have stored it since the store was looked at. */
  readonly isFirstLook: boolean;
  /** The answer of a revalidation that found another version. */
  readonly opened?: UpstreamAnswer;
  /** As of a look again: the file is fetched for this request alone. */
  readonly isApart?: boolean;
}

/** Not in the store: fetched once for all who ask, verified, and answered as it comes. */
export async function miss(client: Client, target: Target, deps: ServeDependencies, options: MissOptions): Promise<Outcome> {
  const { opened, isFirstLook, isApart = false } = options;
  const reason = opened === undefined ? "miss" : "stale";
  // HEAD fetches no body: the upstream is asked as the client asks.
  if (client.method === "HEAD" && opened === undefined) return passHead(client, target, deps);
  if (target.class === "hashed" && isFirstLook && opened === undefined) {
    const outcome = await askRepository(target, deps);
    if (outcome !== null) return outcome;
  }
  const span = opened === undefined ? await wantedSpan(client, target, deps) : { first: 0 };
  const request = { ...span, isApart, recheck: isFirstLook && opened === undefined, ...(opened === undefined ? {} : { opened }) };
  let fill = await deps.fills.open(fillRequest(client, target, deps, request));
  // What is behind the end is one of several ranges, of another version (If-Range), or what another request asked for.
  if (fill.kind === "unsatisfiable" && !isBehindEnd(client, fill.size))
    fill = await deps.fills.open(fillRequest(client, target, deps, { first: 0, isApart, recheck: false }));
  if (fill.kind !== "reading") return answerEnd(client, target, fill, reason, deps);

  const { reading } = fill;
  const ordinary = asOrdinaryFile(target);
  // Bytes that went out under this name before were not those of its digest.
  if (ordinary !== null && reading.object?.tainted === true && !(await isNamedByRoot(target, deps))) {
    reading.close();
    return passThrough(client, ordinary, deps);
  }
  // Small bodies are answered only once whole: most failures then are tried again unseen, or are an answer that every client retries.
  const isHeld = (reading.object?.size ?? 0) <= deps.config.holdBytes;
  // What no root names may not be the file of its name: its bytes decide, before the client has any.
  const isOpen = ordinary !== null && !isHeld && !(await isKnownByRoot(target, deps));
  const end = await reading.hold(isOpen ? deps.config.metadataWaitSeconds * 1_000 : isHeld ? deps.config.holdMs : 0);
  const { growing } = reading;
  if (end === null && growing !== null) return passGrowing(client, target, reading, growing, reason);
  if (end !== null && (end.kind === "failure" || reading.object === null)) {
    reading.close();
    return answerEnd(client, target, end, reason, deps);
  }
  const { isStorable, collapsed } = reading;
  const asking = isStorable ? client : withoutStepsBack(client);
  const source = readingSource(asking, target, reading, deps);
  return answer(
    asking,
    target,
    source,
    { cacheStatus: { kind: "forwarded", reason, status: 200, stored: isStorable, collapsed }, ageSeconds: 0 },
    deps,
  );
}

/** The repository may know the file by another name, and is to know that its clients use it. Null: of another generation, or too large to fetch ahead. */
async function askRepository(target: Target, { repositories }: ServeDependencies): Promise<Outcome | null> {
  const resolution = await repositories.resolve(target);
  switch (resolution.kind) {
    case "object":
      return { kind: "look-again", settled: { kind: "forwarded", reason: "miss", stored: true } };
    case "absent":
      return refuseAbsent(resolution, target);
    case "failure":
      return refuseFailure(resolution);
    case "opaque":
      return null;
  }
}

/** There is nothing (more) to read from the fill. */
async function answerEnd(client: Client, target: Target, end: FillEnd, reason: ForwardReason, deps: ServeDependencies): Promise<Outcome> {
  switch (end.kind) {
    case "stored":
      return { kind: "look-again", settled: { kind: "forwarded", reason, collapsed: true, stored: true } };
    case "absent":
      return refuseAbsent(end, target, reason);
    case "folder":
      return redirectToFolder(target, reason);
    case "failure": {
      const ordinary = end.isRefused === true ? asOrdinaryFile(target) : null;
      if (ordinary !== null && !(await isNamedByRoot(target, deps))) return passThrough(client, ordinary, deps);
      return refuseFailure(end);
    }
    case "unsatisfiable":
      return refuseUnsatisfiable(end.size);
    case "changed":
      return { kind: "look-again" };
    case "unproven":
      return { kind: "look-again", isApart: true };
    case "unshared":
      return passThrough(client, target, deps);
  }
}

/** Whether all that the client wants begins at or behind the end (RFC 9110 §14.1.1); one whose If-Range names another version wants the whole. */
function isBehindEnd({ headers }: Client, size = 0): boolean {
  const ranges = headers.has("if-range") ? null : parseRange(headers.get("range"));
  return ranges?.every((range) => "first" in range && range.first > 0 && range.first >= size) === true;
}

/** The part of a cold object that is to be fetched. A suffix needs the length first; several ranges are fetched one by one. */
async function wantedSpan(client: Client, target: Target, deps: ServeDependencies): Promise<{ first: number; last?: number }> {
  const [range] = parseRange(client.headers.get("range")) ?? [];
  if (range === undefined) return { first: 0 };
  if (!("suffix" in range)) return range.last === undefined ? { first: range.first } : { first: range.first, last: range.last };
  const size = await sizeUpstream(target, deps);
  return size === undefined ? { first: 0 } : { first: Math.max(0, size - range.suffix) };
}
