import * as v from "valibot";
import { bad, type Finding, good, unsure } from "./finding.ts";

/** What the doctor reads of `/-/status.json`. Fields that another version lacks are not judged. */
export const STATUS = v.object({
  now: v.number(),
  since: v.number(),
  plan: v.optional(v.nullable(v.string())),
  offline: v.optional(v.boolean()),
  sweptAt: v.optional(v.nullable(v.number())),
  mirrors: v.array(v.object({ name: v.string(), refused: v.number(), cut: v.number() })),
  storage: v.nullable(v.object({ used: v.number(), reserved: v.number(), budget: v.number() })),
  roots: v.nullable(v.array(v.object({ mirror: v.string(), root: v.string(), trouble: v.nullable(v.string()) }))),
  upstreams: v.array(v.object({ upstream: v.string(), state: v.string(), failures: v.number() })),
  troubles: v.array(v.object({ where: v.string(), kind: v.optional(v.string()), cause: v.string() })),
});
type Status = v.InferOutput<typeof STATUS>;

const HOUR_MS = 3_600_000;
/** Cron runs each hour; one run may be late, or fail. */
const LATE_MS = 2.5 * HOUR_MS;
const MAX_NAMED = 3;

/** The findings of a status. */
export function* judgeStatus(status: Status): Generator<Finding> {
  yield judgeStorage(status);
  if (status.sweptAt !== undefined && status.storage !== null) yield judgeCron(status.sweptAt, status);
  if (status.plan !== undefined && status.plan !== null) {
    const meaning =
      status.plan === "free" ? "10 ms of CPU a request: indexes are not read" : "a free account would end requests at 10 ms of CPU";
    yield good("plan", `configured for the ${status.plan} plan (${meaning})`);
  }
  if (status.offline === true) {
    yield unsure(
      "offline",
      "OFFLINE is true: no upstream is asked, and what is not stored is a 504",
      "Take OFFLINE out of [vars] when the network is back.",
    );
  }
  yield judgeUpstreams(status.upstreams);
  if (status.roots !== null) {
    const held = status.roots.filter(({ trouble }) => trouble !== null);
    yield held.length === 0
      ? good("repositories", `${status.roots.length}, none held back`)
      : unsure(
          "repositories",
          `${held.length} held back: ${some(held.map(({ mirror, root, trouble }) => `${mirror}/${root}: ${trouble}`))}`,
          "/-/status says until when.",
        );
  }
  const counts = status.mirrors.map(({ name, refused, cut }) => `${name} refused ${refused}, cut ${cut}`);
  // Clients that leave are usual: the doctor itself does. So are files that the budget has no place for.
  const troubles = status.troubles.filter(({ kind }) => kind !== "cut" && kind !== "unstored");
  yield troubles.length > 0
    ? unsure(
        "troubles",
        `${troubles.length} lately: ${some(troubles.map(({ where, cause }) => `${where}: ${cause}`))}`,
        "/-/status lists them all.",
      )
    : good("troubles", `none since ${new Date(status.since).toISOString()}${counts.length === 0 ? "" : `; ${counts.join("; ")}`}`);
}

function judgeStorage({ storage }: Status): Finding {
  if (storage === null)
    return bad(
      "ledger",
      "it cannot be reached: nothing is evicted, and new files may not be stored",
      "npx wrangler tail shows why; on a free account look at the daily limit of Durable Objects.",
    );
  const { used, budget } = storage;
  const share = `${gigabytes(used)} of ${gigabytes(budget)} GB used`;
  return used > budget
    ? unsure("ledger", `${share}, above the budget`, "Cron evicts what is too much; if it stays so, see whether cron runs.")
    : good("ledger", share);
}

function judgeCron(sweptAt: number | null, { now, since }: Status): Finding {
  const remedy =
    "Workers → Triggers shows whether [triggers] crons is deployed, and Past events what failed; a free account has five cron triggers in all.";
  if (sweptAt === null) {
    const detail = "it has not run yet";
    return now - since > LATE_MS ? bad("cron", detail, remedy) : unsure("cron", detail, "It runs each hour: ask again later.");
  }
  const ago = `last ran ${Math.round((now - sweptAt) / 60_000)} min ago`;
  return now - sweptAt > LATE_MS ? bad("cron", ago, remedy) : good("cron", ago);
}

function judgeUpstreams(upstreams: Status["upstreams"]): Finding {
  const away = upstreams.filter(({ state }) => state !== "ready");
  if (away.length === 0) return good("upstreams", upstreams.length === 0 ? "none asked yet" : `${upstreams.length}, all ready`);
  const detail = `${away.length} of ${upstreams.length} not used just now: ${some(away.map(({ upstream, state, failures }) => `${upstream} (${state}, ${failures} failures)`))}`;
  const remedy = "Correct its URL in wrangler.toml, or put another upstream first; clients are served by the others.";
  return away.length === upstreams.length ? bad("upstreams", detail, remedy) : unsure("upstreams", detail, remedy);
}

function some(all: readonly string[]): string {
  return all.slice(0, MAX_NAMED).join("; ") + (all.length > MAX_NAMED ? "; …" : "");
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(2);
}
