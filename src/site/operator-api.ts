import { type Context, Hono } from "hono";
import * as v from "valibot";
import { BOOK_SHARD, shardOf } from "../retention/batch.ts";
import type { Remote } from "../retention/book.ts";
import { type KeyPattern, parseKeyPattern } from "../store/key-pattern.ts";
import type { LedgerRow } from "../retention/ledger.ts";
import type { LedgerObjectBase } from "../retention/ledger-object.ts";
import type { LedgerPage } from "../retention/shard.ts";
import type { FailedLogins } from "../watch/failed-logins.ts";
import { judgeToken, TOO_MANY } from "./guard.ts";
import { send } from "./respond.ts";
import { addTransferVerbs, type TransferDependencies } from "./transfer-api.ts";

/** One ledger, as the operator's verbs call it; `view`, `next`, `sweepAll` and `repositoryPage` only on the book's. All methods reject if its Durable Object fails. */
export type OperatorLedger = Remote<
  LedgerObjectBase<unknown>,
  "view" | "next" | "sweepAll" | "repositoryPage" | "list" | "purge" | "pin" | "unpin" | "pins"
>;

/** What the operator's verbs work with. */
export interface OperatorDependencies {
  /** Absent or empty: every verb answers 404. */
  readonly token: string | undefined;
  /** Opens only the pages that the operator reads: status, metrics and why. Absent or empty: there is no such token. */
  readonly readToken?: string | undefined;
  /** Logs and limits logins that fail; absent: they are neither logged nor limited. */
  readonly logins?: FailedLogins;
  /** Bytes. */
  readonly budget: number;
  readonly retentionDays: number;
  readonly ledger: (name: string) => OperatorLedger;
  /** Reports what this isolate has collected to the ledger, so that a verb also sees what was stored a moment ago. */
  readonly flush: () => Promise<void>;
  /** Has the repository `<mirror>/<base>` forget the roots of what a purge of `pattern` deletes. Rejects if it cannot be reached. */
  readonly forget: (repository: string, pattern: string) => Promise<unknown>;
  /** Called with the keys that a purge deleted, so that no cache in front of the store goes on answering for them. Never rejects. */
  readonly onPurged: (keys: readonly string[]) => Promise<void>;
  readonly transfer: TransferDependencies;
}

/** Rows of what goes next, of which each ledger is asked for as many; and objects that one call deletes, of which it reads the heads first. */
const MAX_ROWS = 200;

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
export function createOperatorApi({
  token,
  logins,
  budget,
  retentionDays,
  ledger,
  flush,
  forget,
  onPurged,
  transfer,
}: OperatorDependencies): Hono {
  const api = new Hono();
  const book = () => ledger(BOOK_SHARD);

  api.use("*", async (context, next) => {
    if (token === undefined || token === "") return sendError(context, 404, "There is no such page");
    const given = /^Bearer +(\S+)$/i.exec(context.req.header("authorization") ?? "")?.[1] ?? "";
    const judged = await judgeToken(context, given === "" ? null : given, [token], logins);
    if (!judged.isRight && judged.waitSeconds > 0) {
      context.header("Retry-After", String(judged.waitSeconds));
      return sendError(context, 429, TOO_MANY.trimEnd());
    }
    if (!judged.isRight) {
      context.header("WWW-Authenticate", 'Bearer realm="lazy-mirror"');
      return sendError(context, 401, "Cannot let you in: send the admin token as Authorization: Bearer <token>");
    }
    await flush();
    await next();
  });

  api.onError((error, context) => {
    if (!v.isValiError(error)) throw error;
    return sendError(
      context,
      400,
      error.issues.map((issue) => `Cannot use ${v.getDotPath(issue) ?? "the request"}: ${issue.message}`).join("\n"),
    );
  });

  api.get("/", async (context) => {
    const view = await book().view();
    const pins = await Promise.all(view.shards.map(async ({ shard }) => ledger(shard).pins()));
    return sendObject(context, { budget, retentionDays, ...view, pins: [...new Set(pins.flat())] });
  });

  api.get("/objects", async (context) => {
    const { pattern, after, limit } = v.parse(LIST, context.req.query());
    const { rows, after: next } = await overLedgers({ pattern, after, limit }, (one, from, count) => one.list(pattern.text, from, count));
    return sendObject(context, { rows, after: next });
  });

  api.get("/repositories", async (context) => {
    const { pattern, after, limit } = v.parse(LIST, context.req.query());
    return sendObject(context, await book().repositoryPage(pattern.text, after, limit));
  });

  api.get("/next", async (context) => {
    const { limit } = v.parse(v.object({ limit: LIMIT }), context.req.query());
    const rows = await book().next(Math.min(limit, MAX_ROWS));
    return sendObject(context, { rows: rows.map((row) => ({ ...row, why: explain(row) })) });
  });

  api.post("/purge", async (context) => {
    const { pattern, after, dryRun } = v.parse(PURGE, await context.req.json().catch(() => null));
    const { isContentDone, ...page } = await overLedgers({ pattern, after, limit: MAX_ROWS }, (one, from, count) =>
      one.purge(pattern.text, from, count, dryRun),
    );
    if (!dryRun) await onPurged(page.rows.map(({ key }) => key));
    // What names the files that have gone is to be fetched anew, with files that belong together.
    if (!dryRun && isContentDone && !isOfContent(pattern)) await forgetRepositories(pattern.text);
    return sendObject(context, page);
  });

  api.post("/sweep", async (context) => sendObject(context, { shards: await book().sweepAll(true) }));

  api.post("/pins", async (context) => {
    const { pattern } = v.parse(PIN, await context.req.json().catch(() => null));
    const { text } = pattern;
    const names = await ledgerNames();
    const reached = reachedBy(pattern, names);
    if (reached.length === 0) {
      const starts = names.map((name) => `${name}/`).join(", ");
      return sendError(context, 400, `Cannot pin "${text}": no key can match it; begin with one of ${starts}, or with *`);
    }
    await Promise.all(reached.map(async (name) => ledger(name).pin(text)));
    return sendObject(context, { pinned: text });
  });

  api.delete("/pins", async (context) => {
    const { text } = v.parse(PIN, context.req.query()).pattern;
    const found = await Promise.all((await ledgerNames()).map(async (name) => ledger(name).unpin(text)));
    if (!found.includes(true)) return sendError(context, 404, `Cannot unpin "${text}": there is no such pin`);
    return sendObject(context, { unpinned: text });
  });

  addTransferVerbs(api, transfer);
  return api;

  async function forgetRepositories(pattern: string): Promise<void> {
    for (let after: string | null = ""; after !== null;) {
      const page = await book().repositoryPage(pattern, after, MAX_ROWS);
      await Promise.all(page.rows.map(({ name }) => forget(name, pattern)));
      ({ after } = page);
    }
  }

  async function ledgerNames(): Promise<readonly string[]> {
    return (await book().view()).shards.map(({ shard }) => shard);
  }

  /**
   * One page of one ledger, whose `after` leads to the next page, or to the next ledger. The last ledger of a pattern of paths, that of what lies by its
   * content, comes on the page of the one before, where there is room. `isContentDone`: it has no more of them.
   */
  async function overLedgers(
    { pattern, after, limit }: { readonly pattern: KeyPattern; readonly after: string; readonly limit: number },
    read: (one: OperatorLedger, after: string, limit: number) => LedgerPage | Promise<LedgerPage>,
  ): Promise<LedgerPage & { readonly isContentDone: boolean }> {
    const names = reachedBy(pattern, await ledgerNames());
    const at = after === "" ? 0 : names.findIndex((one) => one === shardOf(after));
    const [name, following] = at < 0 ? [] : names.slice(at);
    if (name === undefined) return { rows: [], after: null, isContentDone: false };
    const page = await read(ledger(name), shardOf(after) === name ? after : "", limit);
    if (page.after !== null) return { ...page, isContentDone: false };
    const left = limit - page.rows.length;
    if (following === BOOK_SHARD && left > 0) {
      const content = await read(ledger(following), "", left);
      return { rows: [...page.rows, ...content.rows], after: content.after, isContentDone: content.after === null };
    }
    return { ...page, after: following === undefined ? null : `${following}/`, isContentDone: name === BOOK_SHARD };
  }
}

/**
 * Those ledgers of `names` that may have keys that match. Where these are paths of mirrors, the one of what lies by its content comes last: the paths may
 * name that too.
 */
function reachedBy(pattern: KeyPattern, names: readonly string[]): readonly string[] {
  const reached = names.filter((name) => pattern.reaches(`${name}/`));
  return reached.length === 0 || reached.includes(BOOK_SHARD) ? reached : [...reached, BOOK_SHARD];
}

/** Whether the pattern is one of keys by content alone. */
function isOfContent({ text }: KeyPattern): boolean {
  return text.startsWith(`${BOOK_SHARD}/`);
}

function explain({ uses, priority, held, lastUsedAt }: LedgerRow): string {
  const age = priority - uses;
  const spared = held > 0 ? "; a live generation names it, so it goes after all others" : "";
  return `${uses} uses, the last ${new Date(lastUsedAt).toISOString()}, when L was ${age}: key ${priority}${spared}`;
}

function sendObject(context: Context, body: object, status?: 400 | 401 | 404 | 429): Response {
  return send(context, "application/json", JSON.stringify(body), status);
}

function sendError(context: Context, status: 400 | 401 | 404 | 429, error: string): Response {
  return sendObject(context, { error }, status);
}
