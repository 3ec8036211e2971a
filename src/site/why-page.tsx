import type { Child } from "hono/jsx";
import { formatBytes } from "../http/format-bytes.ts";
import { formatSeconds, formatTime } from "./format.ts";
import { Page } from "./page.tsx";
import type { Why } from "./why.ts";

const PROOFS = {
  none: "nothing",
  length: "its length",
  structure: "its own structure and length",
  digest: "a published digest",
} as const;

/** The page on which an operator asks for a file. `question`: what was asked and what may be meant, if it was unclear; `problem`: why it names no file. */
export function WhySearchPage({
  text = "",
  meant,
  problem,
  base,
}: {
  readonly text?: string;
  readonly meant: readonly string[];
  readonly problem?: string;
  readonly base: string;
}) {
  return (
    <Page title="Why is a file served as it is?" hasStatus operatorBase={base}>
      {problem !== undefined && <p class="notice">{problem}</p>}
      <WhyForm base={base} text={text} />
      <p class="soft">
        A path of this server, or a URL of it or of an upstream: the page says whether the file is stored, by what it was checked, when it
        goes, and why it was not stored.
      </p>
      {meant.length > 0 && (
        <>
          <h2>{text === "" ? "Mirrors" : "Did you mean"}</h2>
          <ul>
            {meant.map((path) => (
              <li>
                <a href={`${base}why/${path}`}>{path}</a>
              </li>
            ))}
          </ul>
        </>
      )}
    </Page>
  );
}

/** The field for a path or URL; `base` as in `Page`. */
export function WhyForm({ base, text = "" }: { readonly base: string; readonly text?: string }) {
  return (
    <form class="search" method="get" action={`${base}why`}>
      <label for="why">Path or URL of a file</label>{" "}
      <input type="search" id="why" name="q" value={text} required spellcheck={false} autocomplete="off" />{" "}
      <button type="submit">Why?</button>
    </form>
  );
}

/** The page that explains how a path is answered. `base`: as in `Page`. */
export function WhyPage({ why, now, base }: { readonly why: Why; readonly now: number; readonly base: string }) {
  const { stored, expected, generation } = why;
  const since = (ms: number) => `${formatTime(ms)} (${formatSeconds((now - ms) / 1_000)} ago)`;
  return (
    <Page title={`Why ${why.path === "" ? why.mirror : why.path}`} hasStatus operatorBase={base}>
      <WhyForm base={base} text={`${why.mirror}/${why.path}`} />
      <p>{why.next}</p>
      <dl>
        <Fact name="Mirror">{why.mirror}</Fact>
        <Fact name="Class">
          {why.class}, by the rule <code>{why.rule}</code>
        </Fact>
        <Fact name="Key">
          <code>{why.key}</code>
        </Fact>
        <Fact name="Stored">{stored === null ? "no" : `since ${since(stored.storedAt)}`}</Fact>
        {why.unstored !== null && <Fact name="Why not">{`${why.unstored.reason} (${since(why.unstored.at)})`}</Fact>}
        {stored !== null && (
          <>
            <Fact name="Size">
              {formatBytes(stored.size)} ({stored.size} bytes)
              {stored.sliceBytes !== undefined && `, in slices of ${formatBytes(stored.sliceBytes)}`}
            </Fact>
            <Fact name="From">{stored.upstream}</Fact>
            <Fact name="Verified by">
              {PROOFS[stored.verified]}
              {stored.provisional === true &&
                "; an index names it by a digest that is not known of it, so that its next use has it fetched anew"}
              {stored.tainted === true && "; an earlier version turned out to be bad"}
            </Fact>
            {stored.sha256 !== undefined && (
              <Fact name="SHA-256">
                <code>{stored.sha256}</code>
              </Fact>
            )}
            <Fact name="Upstream's date">{stored.lastModified ?? "none"}</Fact>
            <Fact name="Last revalidated">
              {why.checkedAt === null ? "not since it was stored, as far as this isolate knows" : since(why.checkedAt)}
            </Fact>
            <Fact name="Expires">{why.expiresAt === null ? "–" : formatTime(why.expiresAt)}</Fact>
          </>
        )}
        {generation !== null && (
          <Fact name="Generation">
            {generation.state}
            {generation.ageSeconds !== null && `, confirmed ${formatSeconds(generation.ageSeconds)} ago`}
            {generation.detail !== null && `: ${generation.detail}`}
            {generation.hold !== null && ` (${generation.hold.kind}, until ${formatTime(generation.hold.until)} at the latest)`}
          </Fact>
        )}
        <Fact name="Must be">
          {expected.kind === "known"
            ? expected.expectations.map(({ algorithm, digest, source }, index) => (
                <>
                  {index > 0 && ", or "}
                  {algorithm} <code>{digest}</code>, by {source === "name" ? "its name" : "the index"}
                </>
              ))
            : expected.kind === "building"
              ? "not known yet: the index is being read"
              : "no known index names it"}
        </Fact>
        <Fact name="Protection">{why.protection}</Fact>
        {why.uses !== null && <Fact name="Uses">{`${why.uses.count}, the last ${since(why.uses.lastUsedAt)}`}</Fact>}
        <Fact name="Eviction">{why.eviction}</Fact>
        <Fact name="Upstreams">{why.upstreams.join(", ")}</Fact>
      </dl>
    </Page>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children?: Child }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}
