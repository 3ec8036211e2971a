import type { UpstreamStatus } from "../upstream/upstream.ts";
import { DURATION_BOUNDS_SECONDS } from "../watch/counters.ts";
import type { RootLine } from "../watch/history.ts";
import { setAsideNow, type StatusSources } from "./status.ts";

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number, suffix?: string];
type Family = readonly [name: string, type: "counter" | "gauge" | "histogram", help: string, samples: readonly Sample[]];

/** Content-Type of Prometheus' text format, version 0.0.4. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/**
 * All metrics in that format. Counters are this isolate's since it started; storage and repositories are the whole mirror's, and absent if the ledger
 * fails.
 */
export async function formatMetrics(sources: StatusSources): Promise<string> {
  const { counters, budget, quotas, now } = sources;
  const mirrors = [...counters.mirrors()];
  const upstreams = sources.upstreams();
  const storage = await sources.storage().catch(() => null);
  const roots = (await sources.history().catch(() => null))?.roots ?? [];
  const shards = storage?.shards ?? [];
  const held = (await sources.repositories().catch(() => null))?.counts ?? [];
  const scrub = storage?.scrub;
  const perMirror = (what: "storedBytes" | "refused" | "cut"): readonly Sample[] =>
    mirrors.map(([mirror, counts]) => [{ mirror }, counts[what]]);
  const perResult = (what: "requests" | "bytes"): readonly Sample[] =>
    mirrors.flatMap(([mirror, counts]) => Object.entries(counts[what]).map(([result, value]): Sample => [{ mirror, result }, value]));
  const perUpstream = (valueOf: (one: UpstreamStatus) => number | undefined): readonly Sample[] =>
    upstreams.flatMap((one) => known(valueOf(one), { upstream: one.upstream }));
  const perRoot = (valueOf: (one: RootLine) => number): readonly Sample[] =>
    roots.map((one) => [{ mirror: one.mirror, root: one.root }, valueOf(one)]);
  const durations = mirrors.flatMap(([mirror, { seconds }]): readonly Sample[] => [
    ...DURATION_BOUNDS_SECONDS.map((bound, at): Sample => [{ mirror, le: String(bound) }, seconds.buckets[at] ?? 0, "_bucket"]),
    [{ mirror, le: "+Inf" }, seconds.count, "_bucket"],
    [{ mirror }, seconds.sum, "_sum"],
    [{ mirror }, seconds.count, "_count"],
  ]);
  const events = [...counters.upstreamEvents()].map(([name, value]): Sample => {
    const [upstream = "", event = ""] = name.split(" ");
    return [{ upstream, event }, value];
  });
  const stored = shards.flatMap(({ shard, live, dead }): readonly Sample[] => [
    [{ mirror: shard, state: "live" }, live],
    [{ mirror: shard, state: "dead" }, dead],
  ]);
  const ready = perUpstream((one) => Number(one.state === "ready"));
  const firstByteSeconds = perUpstream((one) => one.firstByteMs && one.firstByteMs / 1_000);
  const behind = perRoot(({ behindSince }) => (behindSince === null ? 0 : Math.max(0, now() - behindSince) / 1_000));
  const heldUntil = roots.flatMap(({ mirror, root, hold }): readonly Sample[] =>
    hold === null ? [] : [[{ mirror, root, kind: hold.kind }, hold.until / 1_000]],
  );
  const setAsideUntil = setAsideNow(sources).map(({ mirror, base, part, until }): Sample => [{ mirror, base, part }, until / 1_000]);
  const hot = sources.hot?.();
  const confirmed = perRoot((one) => Number(one.trouble === null));
  const families: readonly Family[] = [
    ["start_time_seconds", "gauge", "When these counters began, in Unix seconds.", [[{}, (counters.since() || now()) / 1_000]]],
    ["requests_total", "counter", "Answered requests, by where the answer came from.", perResult("requests")],
    ["response_bytes_total", "counter", "Bytes of bodies sent, by where the answer came from.", perResult("bytes")],
    ["request_duration_seconds", "histogram", "From the request to the last byte of its answer.", durations],
    ["stored_bytes_total", "counter", "Bytes fetched from upstreams and stored.", perMirror("storedBytes")],
    ["refused_bodies_total", "counter", "Bodies from upstreams whose length, structure or digest was wrong.", perMirror("refused")],
    [
      "rotten_objects_total",
      "counter",
      "Stored files that were deleted as their bytes had changed at rest.",
      [...counters.rottenObjects()].map(([mirror, count]): Sample => [{ mirror }, count]),
    ],
    ["cut_responses_total", "counter", "Answers whose body ended early, by the client's or our doing.", perMirror("cut")],
    ["upstream_events_total", "counter", "Faults, broken bodies and breaker changes of upstreams.", events],
    ["upstream_ready", "gauge", "1 if the upstream is used, 0 if its breaker is open or it asked us to wait.", ready],
    ["upstream_first_byte_seconds", "gauge", "Smoothed time until the upstream's headers arrive.", firstByteSeconds],
    ["upstream_bytes_per_second", "gauge", "Smoothed rate of the upstream's bodies.", perUpstream((one) => one.bytesPerSecond)],
    ["upstream_bodies", "gauge", "Bodies that the upstream is sending now.", perUpstream((one) => one.bodies)],
    ["fills", "gauge", "Files being fetched.", [[{}, sources.fills().length]]],
    ["repository_behind_seconds", "gauge", "How long an upstream has had another root that could not be adopted; 0 if none has.", behind],
    ["repository_held_until_seconds", "gauge", "When what holds the repository back gives way, in Unix seconds.", heldUntil],
    [
      "repository_set_aside_until_seconds",
      "gauge",
      "Until when a part of the repository over which the runtime stood still is not read, in Unix seconds.",
      setAsideUntil,
    ],
    [
      "repository_missing_files",
      "gauge",
      "Files that the repository's root names and no upstream has.",
      perRoot(({ holes }) => holes.length),
    ],
    ["repository_confirmed", "gauge", "1 if an upstream confirmed the repository's root at the last try, 0 if none did.", confirmed],
    ["repositories", "gauge", "Repositories that have published something.", held.map((one) => [{ mirror: one.mirror }, one.repositories])],
    ["storage_objects", "gauge", "Objects stored.", shards.map((one) => [{ mirror: one.shard }, one.objects])],
    ["storage_bytes", "gauge", "Bytes stored; dead are slices of evicted objects that are still to be deleted.", stored],
    ["storage_reserved_bytes", "gauge", "Bytes that fills under way have reserved.", known(storage?.reserved, {})],
    [
      "storage_quota_bytes",
      "gauge",
      "Bytes that the mirror's own files may take, where it has a limit of its own.",
      [...(quotas ?? [])].map(([mirror, bytes]): Sample => [{ mirror }, bytes]),
    ],
    ["memory_reads_total", "counter", "Bodies that were read from memory and not from the disk.", known(hot?.hits, {})],
    ["memory_bodies", "gauge", "Bodies held in memory.", known(hot?.bodies, {})],
    ["memory_bytes", "gauge", "Their bytes.", known(hot?.bytes, {})],
    ["memory_limit_bytes", "gauge", "Bytes of bodies that memory may hold.", known(hot?.maxBytes, {})],
    ["scrub_objects", "gauge", "Stored files that this pass, or the last one, compared with their digests.", known(scrub?.objects, {})],
    ["scrub_bytes", "gauge", "Their bytes.", known(scrub?.bytes, {})],
    ["scrub_rotten_objects", "gauge", "Those of them that had changed at rest, and were deleted.", known(scrub?.rotten, {})],
    ["storage_budget_bytes", "gauge", "Bytes that may be stored.", [[{}, budget]]],
  ];
  return families.map(formatFamily).join("");
}

function known(value: number | undefined, labels: Labels): readonly Sample[] {
  return value === undefined ? [] : [[labels, value]];
}

function formatFamily([name, type, help, samples]: Family): string {
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
