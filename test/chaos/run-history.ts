import { type AskPath, type ClientOptions, install, type Installed } from "./clients.ts";
import type { History, Step } from "./history.ts";
import { createMirror, type Got, receive } from "./mirror.ts";
import { createRandom } from "./random.ts";
import { installVirtualTime, type VirtualTime } from "./virtual-time.ts";
import { createWorld } from "./world.ts";

/** A promise that a history broke, with what led to it. */
export interface Violation {
  readonly what: string;
  /** How many steps of the history had been taken. */
  readonly after: number;
  readonly direct: readonly string[];
  readonly mirror: readonly string[];
  readonly log: readonly string[];
}

const TTL_SECONDS = 60;
/** METADATA_TTL or the life of listings, METADATA_WAIT, and the poll of the model client. */
const BASE_SECONDS = 160;
/** DOUBT_SECONDS bounds every wait for a sync. */
const HALF_WAY_SECONDS = 660;
/** The longest back-off of a breaker, and the request that ends it. */
const OUTAGE_SECONDS = 400;
/** An older root, one of the future, or one without its signature is believed after an hour. */
const DOUBT_SECONDS = 4_500;
/** A file that clients got holds a generation back for so long where it is not there any more. */
const USED_FILE_SECONDS = 7 * 86_400 + 3_600;
/** A client gives up on a silent server after this long. */
const PATIENCE_MS = 30_000;
const POLL_SECONDS = 25;
/** The mirror asks an upstream last that needs longer than this for its first byte, and much longer than another one. */
const SLOW_MS = 2_000;

/** `oldest`: the number of the oldest publication that is as good. */
type Direct = Installed & { readonly oldest: number };

/** Runs a history in a time of its own; null: every promise held. */
export async function runHistory(history: History): Promise<Violation | null> {
  const time = installVirtualTime(history.seed);
  try {
    return await runIn(time, history);
  } finally {
    time.uninstall();
  }
}

async function runIn(time: VirtualTime, history: History): Promise<Violation | null> {
  const world = createWorld(history, time.now);
  const mirror = createMirror({
    vars: {
      METADATA_TTL_SECONDS: TTL_SECONDS,
      SLICE_MIB: 0.0625,
      HOLD_MIB: 0.015625,
      MIRRORS: { m: { upstreams: world.upstreams.map(({ url }) => url) } },
    },
    fetch: world.fetch,
    isolates: history.isolates,
  });
  const wrong: string[] = [];
  const random = createRandom(history.seed ^ 0xc11e);
  let outageAt = -Infinity;
  let hasGotFilelists = false;

  let asked = 0;
  const throughMirror: AskPath = async (path) => {
    const headers = isRoot(path) ? { "cache-control": "max-age=0" } : {};
    const got = await mirror.ask(`m/${path}`, { headers, isolate: asked++ });
    if (got.status === 200 && got.cut === null && !world.wasServed(path, got.body))
      wrong.push(`${path}: ${got.body.length} bytes that no upstream ever had`);
    return got;
  };

  /** What a client gets that is set up with the upstreams themselves: from the first one that gives it a root. */
  async function goDirect(client: ClientOptions): Promise<Direct> {
    let last: Installed = { ok: false, why: "no upstream", hasRoot: false, root: null, steps: [] };
    for (const [at, { url }] of world.upstreams.entries()) {
      last = await install((path) => askDirect(`${url}/${path}`), client);
      // The mirror may have a publication of a better upstream, which gives no whole root any more.
      const older = world.upstreams.slice(0, at).map((state) => world.shownBy(state) ?? Infinity);
      if (last.hasRoot) return { ...last, oldest: Math.min(last.ok ? (world.numberOf(last.root) ?? Infinity) : Infinity, ...older) };
    }
    return { ...last, oldest: Infinity };
  }

  async function askDirect(url: string): Promise<Got> {
    const abort = new AbortController();
    const limit = new Promise<Got>((resolve) =>
      setTimeout(() => resolve({ status: 504, headers: new Headers(), body: new Uint8Array(), cut: null }), PATIENCE_MS),
    );
    const fetched = world
      .fetch(url, { signal: abort.signal })
      .then(receive)
      .catch((error: unknown) => ({ status: 502, headers: new Headers(), body: new TextEncoder().encode(String(error)), cut: null }));
    return Promise.race([fetched, limit]).finally(() => abort.abort());
  }

  function limitSeconds(): number {
    const now = time.now();
    if (world.upstreams.some(({ fault, firstByteMs }) => fault !== null || firstByteMs > 1_000)) outageAt = now;
    const isHalfWay = world.isHalfWay() ? HALF_WAY_SECONDS : 0;
    const isOut = now - outageAt < 3_600_000 ? OUTAGE_SECONDS : 0;
    const isDoubtful = world.isDoubtful() ? DOUBT_SECONDS : 0;
    const isUsedGone = hasGotFilelists && world.lacks("filelists") ? USED_FILE_SECONDS : 0;
    return BASE_SECONDS + isHalfWay + isOut + isDoubtful + isUsedGone;
  }

  /**
   * Another upstream shows what the mirror gives, and the mirror goes by that one: while one raises a doubt, which is believed only once every reachable
   * upstream has shown one, or answers much more slowly and so is asked last. A client that is set up with that other one is no better off.
   */
  function isVouchedFor(one: Installed, each: readonly (readonly [shown: number | undefined, direct: Installed])[]): boolean {
    return each.some(([shown, direct]) => direct.hasRoot && shown === world.numberOf(one.root ?? "") && (one.ok || !direct.ok));
  }

  /** What a client gets that is set up with one of the upstreams alone, for each of them; none where the mirror has to go by the preferred one. */
  async function askEach(client: ClientOptions): Promise<readonly (readonly [shown: number | undefined, direct: Installed])[]> {
    if (!world.isDoubtful() && world.upstreams.every(({ firstByteMs }) => firstByteMs <= SLOW_MS)) return [];
    return Promise.all(
      world.upstreams.map(
        async (state) => [world.shownBy(state), await install((path) => askDirect(`${state.url}/${path}`), client)] as const,
      ),
    );
  }

  /** Polls through the mirror until a client gets what going direct gives, or the limit has passed. */
  async function check(after: number): Promise<Violation | null> {
    const limit = limitSeconds();
    const began = time.now();
    let seen: readonly Installed[] = [];
    const client = { ...history.client, usesFilelists: history.client.usesFilelists && random.chance(0.5) };
    let direct = await time.run(goDirect(client));
    const rude = leaveEarly();
    let late = 0;
    for (let waited = 0; ; waited = (time.now() - began) / 1000) {
      seen = await time.run(Promise.all(Array.from({ length: waited === 0 ? 2 : 1 }, () => install(throughMirror, client))));
      hasGotFilelists ||= client.usesFilelists && seen.some(({ ok }) => ok);
      if (wrong.length > 0) return violation(wrong.join("; "), after, direct, seen);
      if (!direct.ok || seen.every((one) => isAsGood(one, direct))) break;
      const each = await time.run(askEach(client));
      if (seen.every((one) => isAsGood(one, direct) || isVouchedFor(one, each))) break;
      // The first request after a deadline ends a wait; the next ones have what comes of it.
      if (waited > limit && ++late > 2)
        return violation(`not what going direct gives, after ${Math.round(waited)} s (limit ${limit})`, after, direct, seen);
      await time.pass((late > 0 ? POLL_SECONDS : Math.max(POLL_SECONDS, waited / 5)) * 1000);
      direct = await time.run(goDirect(client));
    }
    await time.run(rude);
    return refusesBadBytes(after, client, direct, seen);
  }

  /** Another client, which wants a part of a file, and leaves before it has that. */
  async function leaveEarly(): Promise<void> {
    const path = random.pick(world.paths().filter((one) => /\.(?:rpm|deb|tar)$/.test(one)));
    const first = random.below(60_000);
    if (path !== undefined)
      await mirror.ask(`m/${path}`, { headers: { range: `bytes=${first}-` }, leaveAfter: random.below(50_000), isolate: asked++ });
  }

  /** What a client refuses by its digest may have gone out once, while the index was being read; but it is neither stored nor given out again. */
  async function refusesBadBytes(
    after: number,
    client: ClientOptions,
    direct: Installed,
    seen: readonly Installed[],
  ): Promise<Violation | null> {
    const isBad = (one: Installed) => !one.ok && one.why.endsWith("other bytes than named");
    if (history.kind === "files" || !seen.some(isBad)) return null;
    // An isolate may go by an earlier table for one METADATA_TTL.
    await time.pass((TTL_SECONDS + POLL_SECONDS) * 1000);
    const again = await time.run(install(throughMirror, client));
    const isSame = !again.ok && seen.some((one) => !one.ok && one.why === again.why && one.steps[0] === again.steps[0]);
    return isBad(again) && isSame ? violation("bytes that the client refuses go out whole, again and again", after, direct, [again]) : null;
  }

  function isAsGood(one: Installed, direct: Direct): boolean {
    if (!one.ok || !direct.ok) return one.ok;
    return (world.numberOf(one.root) ?? -1) >= direct.oldest;
  }

  function violation(what: string, after: number, direct: Installed, seen: readonly Installed[]): Violation {
    return { what, after, direct: describe(direct), mirror: seen.flatMap(describe), log: mirror.log.slice(-400) };
  }

  function describe(one: Installed): string[] {
    return [
      one.ok ? `installed from publication ${world.numberOf(one.root) ?? "?"}` : `failed: ${one.why}`,
      ...one.steps.map((step) => `  ${step}`),
    ];
  }

  async function take(step: Step): Promise<void> {
    if (step.kind === "restart") mirror.restart();
    else if (step.kind === "pass") await time.pass(step.seconds * 1000);
    else world.apply(step);
  }

  for (const [at, step] of history.steps.entries()) {
    await take(step);
    const found = await check(at + 1);
    if (found !== null) return found;
  }
  return null;
}

function isRoot(path: string): boolean {
  return /(?:repomd\.xml|InRelease|Release|core\.db)$/.test(path);
}
