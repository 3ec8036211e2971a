import type { Question, Reply } from "./ask.ts";

/** The result of one check. */
export interface Finding {
  readonly check: string;
  /** `unsure`: there may be a good reason for it. */
  readonly verdict: "good" | "bad" | "unsure";
  readonly detail: string;
  /** How to mend it. */
  readonly remedy?: string;
}

/** Checks one answer. Null: it is right; else what is wrong. */
export type Judge = (reply: Reply) => string | null;

/** One request with what its answer must be. */
export interface Trial {
  readonly check: string;
  readonly question: Question;
  readonly judge: Judge;
}

/** Long enough for the mirror's error line, which may name the failures of several upstreams. */
const MAX_QUOTED_CHARACTERS = 2000;

export const BOT_CHECK_REMEDY =
  "Cloudflare: add a WAF rule that skips bot checks (Security → WAF → Custom rules → Skip) for this host name, and turn Bot Fight Mode off.";
export const TRANSFORM_REMEDY =
  "Turn off whatever changes answers between here and the mirror: compression, minification, Rocket Loader; in nginx set gzip off and leave proxy_force_ranges unset.";
export const PROXY_REMEDY =
  "A proxy between here and the mirror changes requests or answers: make it pass them on unchanged, or let clients reach the mirror directly.";
export const OUTER_CACHE_REMEDY =
  "A cache in front of the mirror answers in its place: on Cloudflare remove cache rules (Cache Everything) for this host; elsewhere let that cache pass everything on, or obey Cache-Control.";

export function good(check: string, detail: string): Finding {
  return { check, verdict: "good", detail };
}

export function bad(check: string, detail: string, remedy: string): Finding {
  return { check, verdict: "bad", detail, remedy };
}

export function unsure(check: string, detail: string, remedy?: string): Finding {
  return { check, verdict: "unsure", detail, ...(remedy === undefined ? {} : { remedy }) };
}

/** An answer, or why there is none. */
export type Attempt = Reply | { readonly error: string };

/** Never rejects. */
export function attempt(asked: Promise<Reply>): Promise<Attempt> {
  return asked.catch((error: unknown) => ({ error: reasonOf(error) }));
}

export function reasonOf(error: unknown): string {
  // Node tried several addresses: the error for all of them has no message of its own.
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}

/** The first line of an error page, without control characters, which could move the terminal's cursor. */
export function heading(body: Buffer): string {
  return (body.toString("utf8").split("\n", 1)[0] ?? "").replaceAll(/\p{Cc}/gu, "?").slice(0, MAX_QUOTED_CHARACTERS);
}
