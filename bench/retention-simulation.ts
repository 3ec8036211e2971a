/**
 * Replays a synthetic trace of a distribution mirror against the ways to choose what goes, and prints the share of bytes that each serves from
 * the store; then the same for LFUDA where only one of so many uses is reported, at random. Run: node bench/retention-simulation.ts [docs/retention.svg]
 */
import { writeFileSync } from "node:fs";
import { createUseSampler } from "../src/retention/sample-uses.ts";
import { HIGH_SHARE, isLarge, isStorableSize, LOW_SHARE, priorityOf, raiseAge } from "../src/retention/policy.ts";

interface Item {
  readonly size: number;
}

/** Requests in order, as numbers of items; `next[i]`: when the same item is asked for again (Infinity: never). */
interface Trace {
  readonly items: readonly Item[];
  readonly requests: Uint32Array;
  readonly next: Float64Array;
}

const REQUESTS = 400_000;
/** Every so often a batch of updates takes the place of what clients asked for before. */
const BATCHES = 60;
const PACKAGES_PER_BATCH = 600;
/** Of the release itself, which does not age; most are asked for once or never again. */
const PACKAGES_OF_RELEASE = 30_000;
/** How fast a batch is asked for less as newer ones come. */
const DECAY = 0.75;
const ZIPF = 0.9;
const ISO_SHARE = 0.0003;

/** A small generator with a seed (mulberry32): the same trace on every machine. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** `steady`: share of requests for the release: installations and builds; the rest are updates. */
function createTrace(seed: number, steady: number): Trace {
  const random = createRandom(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const items: Item[] = [];
  // Bytes: half of the packages are below 100 kB, a few above 50 MB; images are of 0.7 to 4 GB.
  const sizeOf = () => (random() < ISO_SHARE ? 7e8 + random() * 3.3e9 : Math.min(4e8, Math.exp(11.5 + 2 * normal())));
  const batches: { readonly first: number; readonly sums: Float64Array }[] = [];
  for (let batch = 0; batch < BATCHES; batch++) {
    const first = items.length;
    const sums = new Float64Array(batch === 0 ? PACKAGES_OF_RELEASE : PACKAGES_PER_BATCH);
    let sum = 0;
    for (let rank = 1; rank <= sums.length; rank++) {
      items.push({ size: Math.ceil(sizeOf()) });
      sums[rank - 1] = sum += 1 / rank ** ZIPF;
    }
    batches.push({ first, sums });
  }
  const requests = new Uint32Array(REQUESTS);
  for (let at = 0; at < REQUESTS; at++) {
    const newest = Math.floor((at / REQUESTS) * BATCHES);
    // The first batch is the release itself: it never ages.
    const age = Math.floor(Math.log(1 - random()) / Math.log(DECAY));
    const batch = batches[random() < steady ? 0 : Math.max(1, newest - age)] as (typeof batches)[number];
    const wanted = random() * (batch.sums.at(-1) ?? 0);
    let low = 0;
    for (let high = batch.sums.length - 1; low < high;) {
      const middle = (low + high) >> 1;
      if ((batch.sums[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    requests[at] = batch.first + low;
  }
  const next = new Float64Array(REQUESTS);
  const seen = new Map<number, number>();
  for (let at = REQUESTS - 1; at >= 0; at--) {
    const item = requests[at] as number;
    next[at] = seen.get(item) ?? Infinity;
    seen.set(item, at);
  }
  return { items, requests, next };
}

/** Says at each use what the item's key is; the lowest key goes first. */
interface Rule {
  readonly name: string;
  key(use: { readonly at: number; readonly uses: number; readonly next: number; readonly firstAt: number; readonly size: number }): number;
  evicted?(key: number): void;
  /** As how many uses one counts; absent: as one. */
  weigh?(): number;
}

function rules(): readonly Rule[] {
  let lfudaAge = 0;
  let gdsfAge = 0;
  return [
    { name: "FIFO", key: ({ firstAt }) => firstAt },
    { name: "LRU", key: ({ at }) => at },
    { name: "LFU", key: ({ uses }) => uses },
    { name: "GDSF", key: ({ uses, size }) => gdsfAge + (uses * 1e6) / size, evicted: (key) => void (gdsfAge = Math.max(gdsfAge, key)) },
    {
      name: "LFUDA",
      // Below 1: the use breaks ties.
      key: ({ at, uses }) => priorityOf(uses, lfudaAge) + at / REQUESTS / 2,
      evicted: (key) => void (lfudaAge = raiseAge(lfudaAge, { priority: Math.floor(key) })),
    },
    // Knows the future. A byte of room saves the same whatever it belongs to, so only the time until the next use counts.
    { name: "Belady", key: ({ next }) => -next },
  ];
}

const ONE_IN = [1, 2, 4, 8, 16, 32, 64] as const;

/** LFUDA, told of one of `oneIn` uses. */
function sampledRule(oneIn: number): Rule {
  const lfuda = rules().find(({ name }) => name === "LFUDA") as Rule;
  const sampler = createUseSampler({ random: createRandom(2), now: () => 0 });
  sampler.follow(oneIn);
  return { ...lfuda, name: `1 in ${oneIn}`, weigh: () => sampler.weigh("mirror/package") };
}

/** Share of bytes served from the store. */
function simulate({ items, requests, next }: Trace, budget: number, rule: Rule): number {
  const heap = createHeap();
  const stored = new Map<number, { key: number; uses: number; firstAt: number }>();
  const askedOnce = new Set<number>();
  let used = 0;
  let hitBytes = 0;
  let allBytes = 0;
  for (let at = 0; at < requests.length; at++) {
    const item = requests[at] as number;
    const { size } = items[item] as Item;
    allBytes += size;
    const known = stored.get(item);
    if (known !== undefined) hitBytes += size;
    else if (!isStorableSize(size, budget)) continue;
    else if (isLarge(size, budget) && used + size > budget * HIGH_SHARE && !askedOnce.has(item)) {
      askedOnce.add(item);
      continue;
    }
    const weight = rule.weigh?.() ?? 1;
    // The ledger knows nothing of it.
    if (known !== undefined && weight === 0) continue;
    const uses = (known?.uses ?? 0) + weight;
    const firstAt = known?.firstAt ?? at;
    const key = rule.key({ at, uses, next: next[at] as number, firstAt, size });
    if (known === undefined && used + size > budget * HIGH_SHARE) {
      while (used + size > budget * LOW_SHARE) {
        const lowest = heap.pop();
        if (lowest === null) break;
        // A later use has given it a later entry.
        if (stored.get(lowest.item)?.key !== lowest.key) continue;
        stored.delete(lowest.item);
        used -= (items[lowest.item] as Item).size;
        rule.evicted?.(lowest.key);
      }
    }
    if (known === undefined) used += size;
    stored.set(item, { key, uses, firstAt });
    heap.push({ key, item });
  }
  return hitBytes / allBytes;
}

interface Entry {
  readonly key: number;
  readonly item: number;
}

function createHeap() {
  const entries: Entry[] = [];
  const at = (index: number) => entries[index] as Entry;
  const swap = (one: number, other: number) => ([entries[one], entries[other]] = [at(other), at(one)]);
  return {
    push(entry: Entry): void {
      entries.push(entry);
      for (let index = entries.length - 1; index > 0;) {
        const parent = (index - 1) >> 1;
        if (at(parent).key <= at(index).key) break;
        swap(parent, index);
        index = parent;
      }
    },
    pop(): Entry | null {
      const [first] = entries;
      const last = entries.pop();
      if (first === undefined || last === undefined) return null;
      if (entries.length > 0) entries[0] = last;
      for (let index = 0; ;) {
        const [left, right] = [2 * index + 1, 2 * index + 2];
        let least = index;
        if (left < entries.length && at(left).key < at(least).key) least = left;
        if (right < entries.length && at(right).key < at(least).key) least = right;
        if (least === index) return first;
        swap(index, least);
        index = least;
      }
    },
  };
}

const BUDGETS_GB = [2, 4, 9, 20, 50, 100] as const;
const COLOURS: Readonly<Record<string, string>> = {
  FIFO: "#999999",
  LRU: "#e69f00",
  LFU: "#cc79a7",
  GDSF: "#56b4e9",
  LFUDA: "#0072b2",
  Belady: "#009e73",
};

type Results = ReadonlyMap<string, readonly number[]>;

function formatTable(results: Results): string {
  const head = `| budget | ${[...results.keys()].join(" | ")} |`;
  const rows = BUDGETS_GB.map(
    (gb, row) => `| ${gb} GB | ${[...results.values()].map((shares) => `${((shares[row] ?? 0) * 100).toFixed(1)} %`).join(" | ")} |`,
  );
  return [head, head.replaceAll(/[^|]+/g, " --- "), ...rows].join("\n");
}

function formatPlot(results: Results): string {
  const [width, height, left, top] = [560, 320, 56, 20];
  const x = (gb: number) => left + (Math.log(gb / 2) / Math.log(50)) * width;
  const y = (share: number) => top + (1 - share) * height;
  const text = (at: string, content: string) => `<text ${at}>${content}</text>`;
  const lines = [...results].flatMap(([name, shares], index) => {
    const points = shares.map((share, row) => `${x(BUDGETS_GB[row] ?? 2).toFixed(1)},${y(share).toFixed(1)}`);
    const stroke = `stroke="${COLOURS[name] ?? "#000000"}" stroke-width="${name === "LFUDA" ? 3 : 1.5}"`;
    const dash = name === "Belady" ? ' stroke-dasharray="6 4"' : "";
    const legend = top + 14 + index * 18;
    return [
      `<polyline points="${points.join(" ")}" fill="none" ${stroke}${dash}/>`,
      `<line x1="${left + 12}" x2="${left + 36}" y1="${legend}" y2="${legend}" ${stroke}${dash}/>`,
      text(`x="${left + 42}" y="${legend + 4}"`, name),
    ];
  });
  const grid = [0, 0.2, 0.4, 0.6, 0.8, 1].flatMap((share) => [
    `<line x1="${left}" x2="${left + width}" y1="${y(share)}" y2="${y(share)}" stroke="#dddddd"/>`,
    text(`x="${left - 8}" y="${y(share) + 4}" text-anchor="end"`, `${share * 100} %`),
  ]);
  const ticks = BUDGETS_GB.map((gb) => text(`x="${x(gb).toFixed(1)}" y="${top + height + 18}" text-anchor="middle"`, `${gb} GB`));
  const title = text(`x="${left + width / 2}" y="${top + height + 38}" text-anchor="middle"`, "budget; bytes served from the store");
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 380" font-family="sans-serif" font-size="12">`,
    `<rect width="640" height="380" fill="#ffffff"/>`,
    ...grid,
    ...ticks,
    title,
    ...lines,
    "</svg>\n",
  ].join("\n");
}

interface Run {
  readonly results: Results;
  /** Bytes of all files that were asked for. */
  readonly footprint: number;
}

function run(steady: number): Run {
  const trace = createTrace(1, steady);
  const footprint = [...new Set(trace.requests)].reduce((sum, item) => sum + (trace.items[item]?.size ?? 0), 0);
  const asked = trace.requests.reduce((sum, item) => sum + (trace.items[item]?.size ?? 0), 0);
  console.log(
    `\n${steady * 100} % installations: ${REQUESTS} requests for ${(asked / 1e12).toFixed(2)} TB, of ${(footprint / 1e9).toFixed(0)} GB of files`,
  );
  const results: Results = new Map(
    rules().map(({ name }) => [
      name,
      BUDGETS_GB.map((gb) => simulate(trace, gb * 1e9, rules().find((rule) => rule.name === name) as Rule)),
    ]),
  );
  console.log(formatTable(results));
  const sampled = ONE_IN.map((oneIn) => [`1 in ${oneIn}`, BUDGETS_GB.map((gb) => simulate(trace, gb * 1e9, sampledRule(oneIn)))] as const);
  console.log(`\nLFUDA where so many uses are reported:\n${formatTable(new Map(sampled))}`);
  return { results, footprint };
}

// Builds and installations ask for the same again and again; machines fetch each update once.
const builds = run(0.75);
run(0.25);
const [, , plot] = process.argv;
if (plot !== undefined) writeFileSync(plot, formatPlot(builds.results));
const { results, footprint } = builds;
const loses = BUDGETS_GB.filter(
  (gb, row) => gb * 1e9 <= footprint / 3 && (results.get("LFUDA")?.[row] ?? 0) <= (results.get("LRU")?.[row] ?? 1),
);
if (loses.length > 0) {
  console.error(`LFUDA does not beat LRU at ${loses.join(", ")} GB`);
  process.exitCode = 1;
}
