import type { Target } from "../../route/target.ts";

/** A page, an image or a feed of a mirror, opened in a browser, shares this origin with the operator's pages, whose password the browser keeps. */
export const CONTAINED = { "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox" } as const;

/** Chromium starts no download from a sandboxed page without this word. */
const LISTING_POLICY = "sandbox allow-downloads";
const LISTING = /(?:^|\/)(?:index\.html?)?$/;

/**
 * Keeps what a mirror sends from acting in this server's name: a browser runs no script of it, gives it an origin of its own, and takes it for what its
 * Content-Type says. A 304 has these headers too, since it replaces those of the copy that a browser has (RFC 9111 §3.2).
 */
export function contain(headers: Headers, { path }: Pick<Target, "path">): void {
  for (const [name, value] of Object.entries(CONTAINED)) headers.set(name, value);
  if (LISTING.test(path)) headers.set("Content-Security-Policy", LISTING_POLICY);
}
