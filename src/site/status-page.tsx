import type { Child } from "hono/jsx";
import { DayChart } from "./day-chart.tsx";
import { formatBytes, formatPercent, formatSeconds, formatTime } from "./format.ts";
import { Page } from "./page.tsx";
import type { Status, UpstreamLine } from "./status.ts";

/** The status page. `isLocal`: on one machine one isolate has all the counts; at the edge each isolate has its own. */
export function StatusPage({ status, isLocal }: { readonly status: Status; readonly isLocal: boolean }) {
  const { storage } = status;
  return (
    <Page title="Status" hasStatus script="/-/status.js">
      <p class="soft">
        {isLocal ? "Counts of this server" : "Counts of the one isolate at Cloudflare that made this page"} since {formatTime(status.since)}
        .{" "}
        <span id="live-state" role="status">
          As of when this page was loaded
        </span>
        . <a href="/-/status.json">As JSON</a>, <a href="/-/metrics">as metrics</a>.
      </p>
      <div id="live">
        <Section id="mirrors" title="Mirrors">
          <Table
            label="Mirrors"
            head={["Mirror", "Requests", "Served", "Saved", "Byte hits", "Fetched", "Holds", "Bad bodies caught", "Cut off", "Turned away"]}
            rows={status.mirrors.map((one) => [
              one.name,
              one.requests,
              formatBytes(one.served),
              formatBytes(one.saved),
              one.byteHitRatio === null ? "–" : formatPercent(one.byteHitRatio),
              formatBytes(one.stored),
              `${formatBytes(one.held)} in ${one.objects}`,
              one.refused,
              one.cut,
              one.turnedAway,
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
            <p>The ledger does not answer.</p>
          ) : (
            <>
              <p id="storage-text">
                {formatBytes(storage.used)} of {formatBytes(storage.budget)} ({formatPercent(storage.used / storage.budget)}),{" "}
                {formatBytes(storage.reserved)} reserved.
              </p>
              <meter aria-labelledby="storage-text" min="0" max={storage.budget} high={storage.budget * 0.95} value={storage.used}></meter>
            </>
          )}
        </Section>
        <Section id="fills" title="Being fetched">
          {!isLocal && <p class="soft">By this isolate only: others may fetch other files.</p>}
          {status.fills.length === 0 && <p class="soft">Nothing.</p>}
          {status.fills.length > 0 && (
            <Table
              label="Being fetched"
              head={["File", "Done", "Of", "Readers"]}
              rows={status.fills.map(({ key, size, done, readers }) => [
                key,
                size === null ? formatBytes(done) : <progress aria-label={key} max={size} value={done}></progress>,
                size === null ? "unknown" : `${formatBytes(done)} of ${formatBytes(size)}`,
                readers,
              ])}
            />
          )}
        </Section>
        <Section id="upstreams" title="Upstreams">
          {status.upstreams.length === 0 && <p class="soft">No upstream has been asked yet.</p>}
          {status.upstreams.length > 0 && (
            <Table
              label="Upstreams"
              head={["Upstream", "State", "Failures in a row", "First byte", "Rate", "Bodies under way"]}
              rows={status.upstreams.map((one) => [
                one.upstream,
                <span class={one.state === "ready" ? "good" : "bad"}>{STATES[one.state]}</span>,
                one.failures,
                one.firstByteMs === undefined ? "–" : `${Math.round(one.firstByteMs)} ms`,
                one.bytesPerSecond === undefined ? "–" : `${formatBytes(one.bytesPerSecond)}/s`,
                one.bodies,
              ])}
            />
          )}
        </Section>
        <Section id="top" title="Most wanted">
          {status.top.length === 0 && <p class="soft">Nothing has been asked for yet.</p>}
          {status.top.length > 0 && (
            <Table
              label="Most wanted"
              head={["File", "Requests", "Bytes"]}
              rows={status.top.map(({ mirror, path, requests, bytes }) => [
                <a href={`/-/why/${mirror}/${encodeURIComponent(path).replaceAll("%2F", "/")}`}>{`${mirror}/${path}`}</a>,
                requests,
                formatBytes(bytes),
              ])}
            />
          )}
        </Section>
        <Section id="troubles" title="What went wrong lately">
          {status.troubles.length === 0 && <p class="soft">Nothing.</p>}
          {status.troubles.length > 0 && (
            <Table
              label="What went wrong lately"
              head={["Ago", "What", "Where", "Cause"]}
              rows={status.troubles.map(({ at, kind, where, cause }) => [
                formatSeconds((status.now - at) / 1_000),
                TROUBLES[kind],
                where,
                cause,
              ])}
            />
          )}
        </Section>
      </div>
    </Page>
  );
}

function Days({ status: { days, dayNames } }: { readonly status: Status }) {
  if (days === null) return <p>The ledger does not answer.</p>;
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
          head={["Day", "Mirror", "Requests", "Served", "Saved", "Byte hits", "Fetched", "Bad bodies caught", "Cut off", "Turned away"]}
          rows={days
            .toReversed()
            .map((one) => [
              one.day,
              one.mirror,
              one.requests,
              formatBytes(one.served),
              formatBytes(one.saved),
              one.byteHitRatio === null ? "–" : formatPercent(one.byteHitRatio),
              formatBytes(one.fetched),
              one.refused,
              one.cut,
              one.turnedAway,
            ])}
        />
      </details>
    </>
  );
}

function Roots({ status: { roots, now } }: { readonly status: Status }) {
  if (roots === null) return <p>The ledger does not answer.</p>;
  if (roots.length === 0) return <p class="soft">No repository has been asked for yet.</p>;
  const ago = (at: number) => `${formatSeconds((now - at) / 1_000)} ago`;
  return (
    <Table
      label="Repositories"
      head={["Repository", "State", "Adopted", "Cause"]}
      rows={roots.map(({ mirror, root, adoptedAt, confirmedAt, behindSince, trouble }) => [
        `${mirror}/${root}`,
        behindSince !== null ? (
          <span class="bad">{`behind for ${formatSeconds((now - behindSince) / 1_000)}`}</span>
        ) : trouble !== null ? (
          <span class="bad">{`confirmed last ${ago(confirmedAt)}`}</span>
        ) : (
          <span class="good">newest</span>
        ),
        ago(adoptedAt),
        trouble ?? "–",
      ])}
    />
  );
}

const STATES: Readonly<Record<UpstreamLine["state"], string>> = {
  ready: "ready",
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
};

function Section({ id, title, children }: { readonly id: string; readonly title: string; readonly children?: Child }) {
  return (
    <section id={id}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function Table({
  label,
  head,
  rows,
}: {
  readonly label: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly Child[])[];
}) {
  return (
    <div class="wide" tabindex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            {head.map((title) => (
              <th scope="col">{title}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((cells) => (
            <tr>{cells.map((cell, at) => (at === 0 ? <th scope="row">{cell}</th> : <td>{cell}</td>))}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
