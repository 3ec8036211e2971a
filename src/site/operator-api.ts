import { type Context, Hono } from "hono";
import * as v from "valibot";
import { isSameSecret } from "../http/credentials.ts";
import { BOOK_SHARD, shardOf } from "../retention/batch.ts";
import type { Book } from "../retention/book.ts";
import { type KeyPattern, parseKeyPattern } from "../retention/glob.ts";
import type { LedgerRow } from "../retention/ledger.ts";
import type { LedgerPage } from "../retention/shard.ts";

/** One ledger, as the operator's verbs call it; `view`, `next` and `sweepAll` only on the book's. All methods reject if its Durable Object fails. */
export interface OperatorLedger {
  view(): Promise<ReturnType<Book["view"]>>;
  next(limit: number): Promise<readonly LedgerRow[]>;
  sweepAll(): ReturnType<Book["sweep"]>;
  list(pattern: string, after: string, limit: number): Promise<LedgerPage | null>;
  purge(pattern: string, after: string, limit: number, dryRun: boolean): Promise<LedgerPage | null>;
  pin(pattern: string): Promise<void>;
  unpin(pattern: string): Promise<boolean>;
  pins(): Promise<readonly string[]>;
}

/** What the operator's verbs work with. */
export interface OperatorDependencies {
  /** Absent or empty: every verb answers 404. */
  readonly token: string | undefined;
  /** Bytes. */
  readonly budget: number;
  readonly retentionDays: number;
  readonly ledger: (name: string) => OperatorLedger;
  /** Reports what this isolate has collected to the ledger, so that a verb also sees what was stored a moment ago. */
  readonly flush: () => Promise<void>;
}

const MAX_ROWS = 200;
const NO_STORE = { "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" };

const PATTERN = v.pipe(
  v.string(),
  v.transform(parseKeyPattern),
  v.custom<KeyPattern>((pattern) => pattern !== null, "name keys such as fedora/*.iso"),
);
const LIMIT = v.optional(v.pipe(v.string(), v.regex(/^\d{1,3}$/, "use a number of at most 3 digits"), v.transform(Number)), "100");
const AFTER = v.optional(v.pipe(v.string(), v.maxLength(1024)), "");
const LIST = v.object({ pattern: v.optional(PATTERN, "*"), after: AFTER, limit: LIMIT });
const PURGE = v.strictObject({ pattern: PATTERN, after: AFTER, dryRun: v.optional(v.boolean(), false) });
const PIN = v.strictObject({ pattern: PATTERN });

/**
 * The operator's verbs as JSON below `/-/ledger` (docs/ledger.md), for requests with the token (RFC 6750: `Authorization: Bearer …`). Without a
 * configured token every path answers 404, like a page that does not exist.
 */
export function createOperatorApi({ token, budget, retentionDays, ledger, flush }: OperatorDependencies): Hono {
  const api = new Hono();
  const book = () => ledger(BOOK_SHARD);

  api.use("*", async (context, next) => {
    if (token === undefined || token === "") return answer(context, { error: "There is no such page" }, 404);
    const given = /^Bearer +(\S+)$/i.exec(context.req.header("authorization") ?? "")?.[1] ?? "";
    if (!(await isSameSecret(given, token))) {
      context.header("WWW-Authenticate", 'Bearer realm="lazy-mirror"');
      return answer(context, { error: "Cannot let you in: send the admin token as Authorization: Bearer <token>" }, 401);
    }
    await flush();
    await next();
  });

  api.get("/", async (context) => {
    const view = await book().view();
    const pins = await Promise.all(view.shards.map(({ shard }) => ledger(shard).pins()));
    return answer(context, { budget, retentionDays, ...view, pins: [...new Set(pins.flat())] });
  });

  api.get("/objects", async (context) => {
    const asked = v.safeParse(LIST, context.req.query());
    if (!asked.success) return refuse(context, asked.issues);
    const { pattern, after, limit } = asked.output;
    return answer(
      context,
      await overShards(pattern, after, (name, from) => ledger(name).list(pattern.text, from, Math.min(limit, MAX_ROWS))),
    );
  });

  api.get("/next", async (context) => {
    const asked = v.safeParse(v.object({ limit: LIMIT }), context.req.query());
    if (!asked.success) return refuse(context, asked.issues);
    const rows = await book().next(Math.min(asked.output.limit, MAX_ROWS));
    return answer(context, { rows: rows.map((row) => ({ ...row, why: explain(row) })) });
  });

  api.post("/purge", async (context) => {
    const asked = v.safeParse(PURGE, await context.req.json().catch(() => null));
    if (!asked.success) return refuse(context, asked.issues);
    const { pattern, after, dryRun } = asked.output;
    return answer(context, await overShards(pattern, after, (name, from) => ledger(name).purge(pattern.text, from, MAX_ROWS, dryRun)));
  });

  api.post("/sweep", async (context) => answer(context, { shards: await book().sweepAll() }));

  api.post("/pins", async (context) => {
    const asked = v.safeParse(PIN, await context.req.json().catch(() => null));
    if (!asked.success) return refuse(context, asked.issues);
    const { text } = asked.output.pattern;
    const names = await ledgerNames();
    const reached = reachedBy(asked.output.pattern, names);
    if (reached.length === 0) {
      const starts = names.map((name) => `${name}/`).join(", ");
      return answer(context, { error: `Cannot pin "${text}": no key can match it; begin with one of ${starts}, or with *` }, 400);
    }
    await Promise.all(reached.map((name) => ledger(name).pin(text)));
    return answer(context, { pinned: text });
  });

  api.delete("/pins", async (context) => {
    const asked = v.safeParse(PIN, context.req.query());
    if (!asked.success) return refuse(context, asked.issues);
    const { text } = asked.output.pattern;
    const found = await Promise.all((await ledgerNames()).map((name) => ledger(name).unpin(text)));
    if (!found.includes(true)) return answer(context, { error: `Cannot unpin "${text}": there is no such pin` }, 404);
    return answer(context, { unpinned: text });
  });

  return api;

  async function ledgerNames(): Promise<readonly string[]> {
    return (await book().view()).shards.map(({ shard }) => shard);
  }

  /** One page of one ledger. Its `after` leads to the next page, or to the next ledger. */
  async function overShards(
    pattern: KeyPattern,
    after: string,
    ask: (name: string, after: string) => Promise<LedgerPage | null>,
  ): Promise<LedgerPage> {
    const names = reachedBy(pattern, await ledgerNames());
    const left = after === "" ? names : names.filter((name) => name >= shardOf(after));
    const [name, following] = left;
    if (name === undefined) return { rows: [], after: null };
    const page = (await ask(name, shardOf(after) === name ? after : "")) ?? { rows: [], after: null };
    return page.after === null && following !== undefined ? { ...page, after: `${following}/` } : page;
  }
}

/** Those ledgers of `names` that may have keys that match. */
function reachedBy(pattern: KeyPattern, names: readonly string[]): readonly string[] {
  return names.filter((name) => pattern.reaches(`${name}/`));
}

function explain({ uses, priority, held, lastUsedAt }: LedgerRow): string {
  const age = priority - uses;
  const spared = held > 0 ? "; a live generation names it, so it goes after all others" : "";
  return `${uses} uses, the last ${new Date(lastUsedAt).toISOString()}, when L was ${age}: key ${priority}${spared}`;
}

function refuse(context: Context, issues: readonly v.BaseIssue<unknown>[]): Response {
  const problems = issues.map((issue) => `Cannot use ${v.getDotPath(issue as never) ?? "the request"}: ${issue.message}`);
  return answer(context, { error: problems.join("\n") }, 400);
}

function answer(context: Context, body: object, status: 200 | 400 | 401 | 404 = 200): Response {
  return context.json(body, status, NO_STORE);
}
