import { DURATION_BOUNDS_SECONDS } from "../watch/counters.ts";
import type { StatusSources } from "./status.ts";

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number, suffix?: string];

/** Content-Type of Prometheus' text format, version 0.0.4. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** All metrics in that format. Counters are this isolate's since it started; storage and repositories are the whole mirror's, and absent if the ledger fails. */
export async function formatMetrics(sources: StatusSources): Promise<string> {
  const { counters, budget } = sources;
  const mirrors = [...counters.mirrors()];
  const upstreams = sources.upstreams();
  const storage = await sources.storage().catch(() => null);
  const roots = (await sources.history().catch(() => null))?.roots ?? [];
  const shards = storage?.shards ?? [];
  const byOutcome = (what: "requests" | "bytes") =>
    mirrors.flatMap(([mirror, counts]) => Object.entries(counts[what]).map(([result, value]): Sample => [{ mirror, result }, value]));
  const known = (value: number | undefined, labels: Labels): readonly Sample[] => (value === undefined ? [] : [[labels, value]]);
  return [
    family("start_time_seconds", "gauge", "When these counters began, in Unix seconds.", [
      [{}, (counters.since() || sources.now()) / 1_000],
    ]),
    family("requests_total", "counter", "Answered requests, by where the answer came from.", byOutcome("requests")),
    family("response_bytes_total", "counter", "Bytes of bodies sent, by where the answer came from.", byOutcome("bytes")),
    family(
      "request_duration_seconds",
      "histogram",
      "From the request to the last byte of its answer.",
      mirrors.flatMap(([mirror, { seconds }]): readonly Sample[] => [
        ...DURATION_BOUNDS_SECONDS.map((bound, at): Sample => [{ mirror, le: String(bound) }, seconds.buckets[at] ?? 0, "_bucket"]),
        [{ mirror, le: "+Inf" }, seconds.count, "_bucket"],
        [{ mirror }, seconds.sum, "_sum"],
        [{ mirror }, seconds.count, "_count"],
      ]),
    ),
    family(
      "stored_bytes_total",
      "counter",
      "Bytes fetched from upstreams and stored.",
      mirrors.map(([mirror, counts]) => [{ mirror }, counts.storedBytes]),
    ),
    family(
      "refused_bodies_total",
      "counter",
      "Bodies from upstreams whose length, structure or digest was wrong.",
      mirrors.map(([mirror, counts]) => [{ mirror }, counts.refused]),
    ),
    family(
      "cut_responses_total",
      "counter",
      "Answers whose body ended early, by the client's or our doing.",
      mirrors.map(([mirror, counts]) => [{ mirror }, counts.cut]),
    ),
    family(
      "upstream_events_total",
      "counter",
      "Faults, broken bodies and breaker changes of upstreams.",
      [...counters.upstreamEvents()].map(([name, value]) => {
        const [upstream = "", event = ""] = name.split(" ");
        return [{ upstream, event }, value];
      }),
    ),
    family(
      "upstream_ready",
      "gauge",
      "1 if the upstream is used, 0 if its breaker is open or it asked us to wait.",
      upstreams.map(({ upstream, state }) => [{ upstream }, state === "ready" ? 1 : 0]),
    ),
    family(
      "upstream_first_byte_seconds",
      "gauge",
      "Smoothed time until the upstream's headers arrive.",
      upstreams.flatMap(({ upstream, firstByteMs }) => known(firstByteMs && firstByteMs / 1_000, { upstream })),
    ),
    family(
      "upstream_bytes_per_second",
      "gauge",
      "Smoothed rate of the upstream's bodies.",
      upstreams.flatMap(({ upstream, bytesPerSecond }) => known(bytesPerSecond, { upstream })),
    ),
    family(
      "upstream_bodies",
      "gauge",
      "Bodies that the upstream is sending now.",
      upstreams.map(({ upstream, bodies }) => [{ upstream }, bodies]),
    ),
    family("fills", "gauge", "Files being fetched.", [[{}, sources.fills().length]]),
    family(
      "repository_behind_seconds",
      "gauge",
      "How long an upstream has had another root that could not be adopted; 0 if none has.",
      roots.map(({ mirror, root, behindSince }) => [
        { mirror, root },
        behindSince === null ? 0 : Math.max(0, sources.now() - behindSince) / 1_000,
      ]),
    ),
    family(
      "repository_confirmed",
      "gauge",
      "1 if an upstream confirmed the repository's root at the last try, 0 if none did.",
      roots.map(({ mirror, root, trouble }) => [{ mirror, root }, trouble === null ? 1 : 0]),
    ),
    family(
      "storage_objects",
      "gauge",
      "Objects stored.",
      shards.map(({ shard, objects }) => [{ mirror: shard }, objects]),
    ),
    family(
      "storage_bytes",
      "gauge",
      "Bytes stored; dead are slices of evicted objects that are still to be deleted.",
      shards.flatMap(({ shard, live, dead }): readonly Sample[] => [
        [{ mirror: shard, state: "live" }, live],
        [{ mirror: shard, state: "dead" }, dead],
      ]),
    ),
    family("storage_reserved_bytes", "gauge", "Bytes that fills under way have reserved.", known(storage?.reserved, {})),
    family("storage_budget_bytes", "gauge", "Bytes that may be stored.", [[{}, budget]]),
  ].join("");
}

function family(name: string, type: "counter" | "gauge" | "histogram", help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return "";
  const full = `lazy_mirror_${name}`;
  const lines = samples.map(([labels, value, suffix = ""]) => `${full}${suffix}${formatLabels(labels)} ${value}\n`);
  return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines.join("")}`;
}

function formatLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/["\\]/g, String.raw`\$&`).replaceAll("\n", String.raw`\n`)}"`,
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
