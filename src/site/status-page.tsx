import type { Child } from "hono/jsx";
import { DayChart } from "./day-chart.tsx";
import { formatBytes } from "../http/format-bytes.ts";
import { formatCount, formatPercent, formatSeconds, formatTime } from "./format.ts";
import { Page, Table } from "./page.tsx";
import type { RootProtection } from "../watch/history.ts";
import type { HoldKind } from "../watch/hold.ts";
import { pathOf } from "./read-question.ts";
import { WhyForm } from "./why-page.tsx";
import { describeProtection, type MirrorLine, type Status } from "./status.ts";

interface StatusPageProps {
  readonly status: Status;
  /** On one machine one isolate has all the counts; at the edge each isolate has its own. */
  readonly isLocal: boolean;
  /** As in `Page`. */
  readonly base: string;
}

/** The status page. */
export function StatusPage({ status, isLocal, base }: StatusPageProps) {
  const { storage } = status;
  return (
    <Page title="Status" hasStatus operatorBase={base} scripts={[`${base}status.js`]}>
      <p class="soft">
        {isLocal ? "Counts of this server" : "Counts of the one isolate at Cloudflare that made this page"} since {formatTime(status.since)}
        .{" "}
        <span id="live-state" role="status">
          As of when this page was loaded
        </span>
        . <a href={`${base}status.json`}>As JSON</a>, <a href={`${base}metrics`}>as metrics</a>.
      </p>
      <WhyForm base={base} />
      <div id="live">
        {status.offline && <p>OFFLINE is true: no upstream is asked, and what is stored is served however old it is.</p>}
        <Section id="mirrors" title="Mirrors">
          <Table
            label="Mirrors"
            head={["Mirror", ...SERVED_HEAD, "Holds", ...FAILED_HEAD]}
            rows={status.mirrors.map((one) => [
              one.name,
              ...servedCells(one, one.stored),
              `${formatBytes(one.held)}${one.quota === null ? "" : ` of ${formatBytes(one.quota)}`} in ${formatCount(one.objects)} files`,
              ...failedCells(one),
            ])}
          />
        </Section>
        <Section id="days" title="By day">
          <Days status={status} />
        </Section>
        <Section id="roots" title="Repositories">
          <Roots status={status} />
        </Section>
        <Section id="storage" title="Storage">
          {storage === null ? (
            <NoLedger />
          ) : (
            <>
              <p id="storage-text">
                {formatBytes(storage.used)} of {formatBytes(storage.budget)} ({formatPercent(storage.used / storage.budget)}),{" "}
                {formatBytes(storage.reserved)} reserved. The largest file that is stored is of {formatBytes(storage.largest)}; one over
                half of the budget takes the place of others only when it is asked for again.
              </p>
              <meter aria-labelledby="storage-text" min="0" max={storage.budget} high={storage.budget * 0.95} value={storage.used}></meter>
              {status.memory !== null && (
                <p>
                  In memory: {formatBytes(status.memory.bytes)} of {formatBytes(status.memory.maxBytes)},{" "}
                  {formatCount(status.memory.bodies)} small files that are used often; {formatCount(status.memory.hits)} answers came from
                  there.
                </p>
              )}
              <Scrub status={status} />
            </>
          )}
        </Section>
        <Section id="fills" title="Being fetched">
          {!isLocal && <p class="soft">By this isolate only: others may fetch other files.</p>}
          <Table
            label="Being fetched"
            head={["File", "Done", "Of", "Readers"]}
            rows={status.fills.map(({ key, size, done, readers }) => [
              key,
              size === null ? formatBytes(done) : <progress aria-label={key} max={size} value={done}></progress>,
              size === null ? "unknown" : `${formatBytes(done)} of ${formatBytes(size)}`,
              readers,
            ])}
            empty="Nothing."
          />
        </Section>
        <Section id="upstreams" title="Upstreams">
          <p class="soft">Those that are not listed have not been asked since then.</p>
          <Table
            label="Upstreams"
            head={["Upstream", "State", "Failures in a row", "First byte", "Rate", "Bodies under way"]}
            rows={status.upstreams.map((one) => [
              one.upstream,
              <UpstreamState upstream={one} />,
              one.failures,
              one.firstByteMs === undefined ? "–" : `${Math.round(one.firstByteMs)} ms`,
              one.bytesPerSecond === undefined ? "–" : `${formatBytes(one.bytesPerSecond)}/s`,
              one.bodies,
            ])}
            empty="No upstream has been asked yet."
          />
        </Section>
        <Section id="top" title="Most wanted">
          <Table
            label="Most wanted"
            head={["File", "Requests", "Bytes"]}
            rows={status.top.map(({ mirror, path, requests, bytes }) => [
              <a href={`${base}why/${pathOf({ mirror: { name: mirror }, path, query: "" })}`}>{`${mirror}/${path}`}</a>,
              formatCount(requests),
              formatBytes(bytes),
            ])}
            empty="Nothing has been asked for yet."
          />
        </Section>
        <Section id="troubles" title="What went wrong lately">
          <Table
            label="What went wrong lately"
            head={["Last", "What", "Where", "Cause", "Times"]}
            rows={status.troubleGroups.map(({ at, kind, where, cause, count, since }) => [
              `${formatSeconds((status.now - at) / 1_000)} ago`,
              TROUBLES[kind],
              where,
              cause,
              count === 1 ? "1" : `${formatCount(count)} in ${formatSeconds((status.now - since) / 1_000)}`,
            ])}
            empty="Nothing."
          />
        </Section>
      </div>
    </Page>
  );
}

/** How far stored bytes were compared with their digests. */
function Scrub({ status: { scrub, now } }: { readonly status: Status }) {
  if (scrub === null) return <p>Stored bytes are not compared with their digests but for clients that ask with no-cache.</p>;
  const { began, ended, objects, bytes, unknown, rotten, last } = scrub;
  const when = ended === null ? `goes on since ${formatTime(began)}` : `ended ${formatSeconds((now - ended) / 1_000)} ago`;
  return (
    <>
      <p>
        Scrub ({when}): {formatCount(objects)} files of {formatBytes(bytes)} were compared with their digests, {formatCount(unknown)} could
        not be; <span class={rotten === 0 ? "good" : "bad"}>{formatCount(rotten)} had changed</span> and were deleted.
      </p>
      {last.length > 0 && (
        <Table
          label="Stored files that had changed"
          head={["Ago", "File", "Cause"]}
          rows={last.map(({ at, key, reason }) => [formatSeconds((now - at) / 1_000), key, reason])}
        />
      )}
    </>
  );
}

function Days({ status: { days, dayNames } }: { readonly status: Status }) {
  if (days === null) return <NoLedger />;
  if (days.length === 0) return <p class="soft">Nothing has been asked for yet.</p>;
  return (
    <>
      <p class="soft">
        Bytes served: <span class="key bar-held">from the store</span> and <span class="key bar-fetched">fetched for it</span>. All isolates
        together; each mirror has a scale of its own.
      </p>
      <div class="charts">
        {[...Map.groupBy(days, ({ mirror }) => mirror)].map(([mirror, counts]) => (
          <DayChart mirror={mirror} days={dayNames} counts={counts} />
        ))}
      </div>
      <details>
        <summary>The same as a table</summary>
        <Table
          label="Mirrors by day"
          head={["Day", "Mirror", ...SERVED_HEAD, ...FAILED_HEAD]}
          rows={days.toReversed().map((one) => [one.day, one.mirror, ...servedCells(one, one.fetched), ...failedCells(one)])}
        />
      </details>
    </>
  );
}

function Roots({ status: { roots, now } }: { readonly status: Status }) {
  if (roots === null) return <NoLedger />;
  const ago = (at: number) => `${formatSeconds((now - at) / 1_000)} ago`;
  return (
    <Table
      label="Repositories"
      head={["Repository", "State", "Adopted", "Cause", "Until", "Missing", "Packages"]}
      rows={roots.map(({ mirror, root, adoptedAt, confirmedAt, behindSince, trouble, hold, holes, protection }) => [
        `${mirror}/${root}`,
        behindSince !== null ? (
          <span class="bad">{`behind for ${formatSeconds((now - behindSince) / 1_000)}`}</span>
        ) : trouble !== null ? (
          <span class="bad">{`confirmed last ${ago(confirmedAt)}`}</span>
        ) : (
          <span class="good">newest</span>
        ),
        ago(adoptedAt),
        hold === null ? (trouble ?? "–") : `${HOLDS[hold.kind]}: ${hold.reason}`,
        hold === null ? "–" : formatTime(hold.until),
        holes.length === 0 ? "–" : <Holes holes={holes} ago={ago} />,
        protection === undefined ? "–" : <span class={isWell(protection) ? "good" : "bad"}>{describeProtection(protection)}</span>,
      ])}
      empty="No repository has been asked for yet."
    />
  );
}

function Holes({ holes, ago }: { readonly holes: NonNullable<Status["roots"]>[number]["holes"]; readonly ago: (at: number) => string }) {
  return (
    <details>
      <summary>{holes.length === 1 ? "1 file" : `${holes.length} files`}</summary>
      <ul>
        {holes.map(({ reason, since }) => (
          <li>{`${reason}, seen ${ago(since)}`}</li>
        ))}
      </ul>
    </details>
  );
}

/** What is waited for, in a word or two: docs/generations.md has a row for each. */
const HOLDS: Readonly<Record<HoldKind, string>> = {
  needed: "needed file missing",
  sync: "sync under way",
  cached: "replaced packages cached",
  older: "older root",
  future: "root from the future",
  malformed: "unreadable root",
  expired: "expired root",
  unsigned: "signature gone",
  gone: "root gone",
  unreachable: "upstream unreachable",
};

/** Whether nothing could be better: all is bound, or nothing is because that is as it should be. */
function isWell({ state, isExpected }: RootProtection): boolean {
  return state === "bound" || isExpected === true;
}

function NoLedger() {
  return <p>The ledger does not answer.</p>;
}

/** Columns of a mirror's counts, in all or of one day. */
type Counts = Pick<MirrorLine, "requests" | "served" | "saved" | "byteHitRatio" | "refused" | "cut" | "turnedAway">;
const SERVED_HEAD = ["Requests", "Served", "Saved", "Byte hits", "Fetched"];
const FAILED_HEAD = ["Bad bodies caught", "Cut off", "Turned away"];

function servedCells({ requests, served, saved, byteHitRatio }: Counts, fetched: number): readonly Child[] {
  const hits = byteHitRatio === null ? "–" : formatPercent(byteHitRatio);
  return [formatCount(requests), formatBytes(served), formatBytes(saved), hits, formatBytes(fetched)];
}

function failedCells({ refused, cut, turnedAway }: Counts): readonly Child[] {
  return [refused, cut, turnedAway].map(formatCount);
}

type Upstream = Status["upstreams"][number];

function UpstreamState({ upstream: { state, outcome, failures } }: { readonly upstream: Upstream }) {
  if (state !== "ready") return <span class="bad">{STATES[state]}</span>;
  if (outcome === "unknown") return <span class="soft">not known yet</span>;
  return outcome === "good" ? (
    <span class="good">good</span>
  ) : (
    <span class="bad">{failures === 0 ? "asked us to wait lately" : failures === 1 ? "failed last" : "failed the last times"}</span>
  );
}

const STATES: Readonly<Record<Exclude<Upstream["state"], "ready">, string>> = {
  "probe-due": "failed: due to be tried again",
  open: "failed: not used for now",
  held: "asked us to wait",
};

const TROUBLES: Readonly<Record<Status["troubles"][number]["kind"], string>> = {
  refused: "bad body caught",
  cut: "answer cut off",
  fault: "upstream fault",
  broken: "upstream body broke",
  breaker: "breaker",
  answer: "failed answer",
  "set-aside": "set aside",
  rotten: "stored file had changed",
  unstored: "passed on, not stored",
};

function Section({ id, title, children }: { readonly id: string; readonly title: string; readonly children?: Child }) {
  return (
    <section id={id}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}
