import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { parse } from "smol-toml";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import { dayOf, HISTORY_DAYS, type DayCount } from "../../src/watch/history.ts";
import { createCounters } from "../../src/watch/counters.ts";
import type { StatusSources } from "../../src/site/status.ts";
import { requireTools } from "../support/run-tool.ts";
import { siteDependencies } from "../unit/site/site.ts";
import { CHROMIUM, findObjections, isTooWide, LOOKS, openBrowser, shoot } from "./browser.ts";

const ROOT = join(import.meta.dirname, "../..");
/** `npm run pictures` writes those of the README anew. */
const PICTURES = process.env["PICTURES"] === "1" ? join(ROOT, "docs/pictures") : null;
const SITE = "http://mirror.lan";
const TOKEN = "example";
const NOW = Date.UTC(2026, 10, 22, 14, 5);
const DAY_MS = 86_400_000;
const GB = 1e9;

/** Two weeks of a mirror in use, without an origin or a clock: the same in each picture. */
function exampleSources(mirrors: readonly string[]): StatusSources {
  const counters = createCounters();
  const answered = (mirror: string, path: string, cache: string, times: number, bytes: number): void => {
    for (let at = 0; at < times; at++)
      counters.answered({ method: "GET", mirror, path, status: 200, bytes, cache, ms: 3 }, NOW - 3_600_000);
  };
  answered("fedora", "updates/43/Everything/x86_64/Packages/k/kernel-core-6.17.8-300.fc43.x86_64.rpm", "hit", 41, 20_400_000);
  answered("debian", "pool/main/l/linux/linux-image-6.12.57+deb13-amd64_6.12.57-1_amd64.deb", "hit", 29, 102_000_000);
  answered("debian", "dists/trixie/InRelease", "hit", 118, 140_000);
  answered("archlinux", "extra/os/x86_64/firefox-145.0-1-x86_64.pkg.tar.zst", "fwd=miss; stored", 1, 78_000_000);
  counters.stored("archlinux", 78_000_000);
  counters.trouble(
    { at: NOW - 240_000, where: "fedora/updates/43/x.rpm", kind: "refused", cause: "https://two.example: SHA-256 is another" },
    "fedora",
  );
  counters.trouble({ at: NOW - 900_000, where: "https://two.example", kind: "broken", cause: "pool/x.deb at byte 3145728: closed early" });
  const used = mirrors.filter((name) => /^(fedora|debian|archlinux)$/.test(name));
  const days = Array.from({ length: HISTORY_DAYS }, (_, at) => dayOf(NOW - (HISTORY_DAYS - 1 - at) * DAY_MS)).flatMap((day, at) =>
    used.map((mirror, which): DayCount => {
      const served = Math.round((1 + ((at * 5 + which * 3) % 7)) * (3 - which) * GB);
      const fetched = Math.round(served / (at === 0 ? 1.2 : 4 + ((at + which) % 5)));
      const requests = Math.round(served / 2e6);
      return { mirror, day, requests, served, saved: served - fetched, fetched, refused: at % 6 === 2 ? 1 : 0, cut: at % 4, turnedAway: 0 };
    }),
  );
  const ago = (minutes: number) => NOW - minutes * 60_000;
  return {
    counters,
    mirrors,
    budget: 500 * GB,
    now: () => NOW,
    fills: () => [{ key: "debian/pool/main/f/firefox-esr/firefox-esr_140.5.0esr-1_amd64.deb", size: 68e6, done: 41e6, readers: 7 }],
    upstreams: () => [
      {
        upstream: "https://one.example/debian",
        state: "ready",
        outcome: "good",
        failures: 0,
        firstByteMs: 24,
        bytesPerSecond: 61e6,
        bodies: 1,
      },
      {
        upstream: "https://two.example/fedora",
        state: "open",
        outcome: "failing",
        failures: 5,
        firstByteMs: 310,
        bytesPerSecond: 2e6,
        bodies: 0,
      },
    ],
    storage: async () => ({
      used: 212 * GB,
      reserved: 68e6,
      shards: used.map((shard, at) => ({ shard, objects: 9_000 - at * 2_000, live: (90 - at * 20) * GB, dead: 0 })),
    }),
    verify: "index",
    repositories: async () => ({ counts: [{ mirror: "debian", repositories: 3 }], latest: [{ name: "debian/", usedAt: ago(1) }] }),
    history: async () => ({
      days,
      roots: [
        {
          mirror: "debian",
          root: "dists/trixie",
          adoptedAt: ago(300),
          confirmedAt: ago(1),
          behindSince: null,
          trouble: null,
          hold: null,
          holes: [],
          protection: { state: "bound", packages: 63_440, skipped: 0, detail: null },
        },
        {
          mirror: "fedora",
          root: "updates/43/Everything/x86_64/repodata",
          adoptedAt: ago(700),
          confirmedAt: ago(12),
          behindSince: ago(11),
          trouble: "https://two.example/fedora: primary.xml.gz is not there yet",
          hold: {
            kind: "needed",
            upstream: "https://two.example/fedora",
            reason: "https://two.example/fedora: primary.xml.gz is not there yet",
            since: ago(11),
            until: ago(11) + 7 * 86_400_000,
          },
          holes: [
            { path: "updates/43/Everything/x86_64/repodata/other.xml.gz", reason: "other.xml.gz is named but not there", since: ago(700) },
          ],
        },
      ],
    }),
  };
}

describe.runIf(requireTools(CHROMIUM))("the pages of the shipped configuration, in use", () => {
  const { vars } = parse(readFileSync(join(ROOT, "wrangler.toml"), "utf8"));
  const deps = siteDependencies(vars as Record<string, unknown>);
  const status = exampleSources([...deps.config.mirrors.keys()]);
  const app = createApp({
    ...deps,
    ownHosts: ["mirror.lan"],
    operator: { ...deps.operator, token: TOKEN },
    pages: { ...deps.pages, status },
  });
  let browser: Browser;
  beforeAll(async () => void (browser = await openBrowser()));
  afterAll(() => browser?.close());

  async function open(path: string, options: BrowserContextOptions): Promise<Page> {
    const page = await browser.newPage(options);
    await page.route(`${SITE}/**`, async (route) => {
      const headers = { ...(await route.request().allHeaders()), host: "mirror.lan", authorization: `Bearer ${TOKEN}` };
      const response = await app.fetch(new Request(route.request().url(), { headers }));
      await route.fulfill({ status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() });
    });
    await page.goto(SITE + path);
    return page;
  }

  for (const [look, options] of Object.entries(LOOKS)) {
    it.each([
      ["/", "landing"],
      ["/-/status", "status"],
    ])(`%s is in order when there is much to show (${look})`, async (path, name) => {
      const page = await open(path, options);
      expect(await findObjections(page)).toEqual([]);
      expect(await isTooWide(page)).toBe(false);
      await shoot(page, `full ${name} ${look}`);
      if (PICTURES !== null && look === "desktop") {
        mkdirSync(PICTURES, { recursive: true });
        if (name === "landing") await page.getByText("debian", { exact: true }).click();
        await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true, clip: { x: 0, y: 0, width: 1200, height: 1300 } });
      }
      await page.close();
    });
  }
});
