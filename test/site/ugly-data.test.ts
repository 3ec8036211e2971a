import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import type { StatusSources } from "../../src/site/status.ts";
import { createCounters } from "../../src/watch/counters.ts";
import { requireTools } from "../support/run-tool.ts";
import { siteDependencies } from "../unit/site/site.ts";
import { CHROMIUM, findObjections, isTooWide, openBrowser, openDetails, shoot } from "./browser.ts";

/** Plain HTTP, where browsers have no `navigator.clipboard`. */
const SITE = "http://mirror.lan";
const NOW = Date.UTC(2026, 10, 22, 14, 5);
const LONG = "m".repeat(64);
const LONG_HOST = `${"host".repeat(15)}.${"domain".repeat(10)}.example`;
const LONG_PATH = `pool/${"directory/".repeat(12)}${"package-name".repeat(16)}_1.0.deb`;
const LONG_WORD = "x".repeat(400);
const FOLDED = "debian/pool/example.iso";

const WIDTHS: Readonly<Record<string, BrowserContextOptions>> = {
  "360 px": { viewport: { width: 360, height: 740 }, colorScheme: "dark", isMobile: true, hasTouch: true },
  "1280 px": { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
};

function uglySources(mirrors: readonly string[]): StatusSources {
  const counters = createCounters();
  for (const path of [LONG_PATH, "<b>&\"'.deb"])
    counters.answered({ method: "GET", mirror: LONG, path, status: 200, bytes: 123_456_789, cache: "hit", ms: 3 }, NOW);
  for (let at = 0; at < 1_234; at++) {
    const path = `pool/${at}/${LONG_PATH}`;
    const cause = `${path}: connect ECONNREFUSED 192.0.2.1:${at} ${LONG_WORD}`;
    counters.trouble({ at: NOW - at, where: `https://${LONG_HOST}/${LONG}`, kind: "fault", cause });
  }
  counters.trouble({ at: NOW, where: `${LONG}/${LONG_PATH}`, kind: "answer", cause: LONG_WORD });
  counters.passed(FOLDED, `its 9.5 GB are more than ${LONG_WORD}`, NOW);
  const trouble = `https://${LONG_HOST}/: ${LONG_WORD}`;
  const hold = { kind: "needed", upstream: `https://${LONG_HOST}`, reason: trouble, since: NOW, until: NOW } as const;
  return {
    counters,
    mirrors,
    budget: 9e9,
    now: () => NOW,
    fills: () => [{ key: `${LONG}/${LONG_PATH}`, size: 68e6, done: 41e6, readers: 7 }],
    upstreams: () => [
      {
        upstream: `https://${LONG_HOST}/${LONG}`,
        state: "ready",
        outcome: "failing",
        failures: 1,
        firstByteMs: 310.123_456,
        bytesPerSecond: 2e6 / 3,
        bodies: 0,
      },
      {
        upstream: "https://new.example",
        state: "ready",
        outcome: "unknown",
        failures: 0,
        firstByteMs: undefined,
        bytesPerSecond: undefined,
        bodies: 1,
      },
    ],
    storage: async () => ({ used: 8.123_456e9, reserved: 1, shards: [{ shard: LONG, objects: 1_234_567, live: 1e9 / 3, dead: 0 }] }),
    hot: () => ({ bodies: 1_234, bytes: 12_345_678, maxBytes: 200e6, hits: 9_876_543 }),
    verify: "index",
    repositories: async () => ({ counts: [], latest: [] }),
    history: async () => ({
      days: [{ mirror: LONG, day: "2026-11-22", requests: 5, served: 1e9, saved: 5e8, fetched: 5e8, refused: 1, cut: 2, turnedAway: 3 }],
      roots: [
        {
          mirror: LONG,
          root: LONG_PATH,
          adoptedAt: NOW,
          confirmedAt: NOW,
          behindSince: NOW,
          trouble,
          hold,
          holes: [{ path: LONG_PATH, reason: trouble, since: NOW }],
          protection: { state: "partly", packages: 63_440, skipped: 2, detail: LONG_WORD },
        },
      ],
    }),
  };
}

describe.runIf(requireTools(CHROMIUM))("the pages with ugly data", () => {
  const mirror = (distro?: string) => ({
    upstreams: [`https://${LONG_HOST}/${LONG}`],
    hosts: [LONG_HOST],
    ...(distro === undefined ? {} : { distro }),
  });
  const deps = siteDependencies({
    MIRRORS: {
      [LONG]: mirror("debian"),
      fedora: { upstreams: ["https://one.example"], distro: "fedora" },
      opensuse: { upstreams: ["https://one.example"], distro: "opensuse" },
      debian: { upstreams: ["https://deb.example/debian"], distro: "debian" },
      plain: { upstreams: ["https://one.example"] },
    },
  });
  const status = uglySources([...deps.config.mirrors.keys()]);
  const why = {
    config: deps.config,
    store: { head: async () => null },
    repositories: { expected: async () => ({ kind: "unknown" }), naming: async () => null, resolve: async () => ({ kind: "opaque" }) },
    checkedAt: () => 0,
    unstored: status.counters.unstored,
    now: () => NOW,
    row: async () => null,
    nextOut: async () => [],
  } as never;
  const app = createApp({
    ...deps,
    ownHosts: ["mirror.lan"],
    operator: { ...deps.operator, token: "example" },
    pages: { ...deps.pages, status, why },
  });
  let browser: Browser;
  beforeAll(async () => void (browser = await openBrowser()));
  afterAll(() => browser?.close());

  async function openTab(options: BrowserContextOptions = {}): Promise<Page> {
    const page = await browser.newPage(options);
    await page.route("**/*", async (route) => {
      const sent = await route.request().allHeaders();
      const headers = { ...sent, host: new URL(route.request().url()).host, authorization: "Bearer example" };
      const response = await app.fetch(new Request(route.request().url(), { headers }));
      const given = { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
      // A redirect that is fulfilled is not followed by this way.
      const to = response.headers.get("location");
      if (to === null) return route.fulfill(given);
      const url = new URL(to, route.request().url()).href;
      return route.fulfill({ contentType: "text/html", body: `<meta http-equiv="refresh" content="0; url=${url}">` });
    });
    return page;
  }
  async function open(path: string, options: BrowserContextOptions = {}): Promise<Page> {
    const page = await openTab(options);
    await page.goto(SITE + path);
    return page;
  }

  describe.each(Object.entries(WIDTHS))("%s wide", (width, options) => {
    // One tab for all pages: a new one takes a second.
    let page: Page;
    beforeAll(async () => void (page = await openTab(options)));
    afterAll(() => page?.close());

    it.each([
      "/",
      "/-/setup/",
      `/-/setup/${LONG}`,
      "/-/setup/opensuse",
      "/-/status",
      "/-/why",
      `/-/why?q=${LONG_WORD}`,
      `/-/why/${LONG}/${LONG_PATH}`,
      `/-/why/${FOLDED}`,
    ])("%s fits and is in order", async (path) => {
      await page.goto(SITE + path);
      await openDetails(page);
      expect(await isTooWide(page)).toBe(false);
      // Once: it takes a second.
      if (options.isMobile === true) expect(await findObjections(page)).toEqual([]);
      await shoot(page, `ugly ${path.slice(0, 40)} ${width}`);
    });
  });

  it("groups the rows of one failure, says how many there are, and wraps its cause", async () => {
    const page = await open("/-/status", WIDTHS["1280 px"]);
    const rows = await page.locator("#troubles tbody tr").allTextContents();
    expect(rows).toHaveLength(3);
    expect(rows.find((row) => row.includes("ECONNREFUSED"))).toContain("1,234");
    const cause = await page.locator("#troubles td", { hasText: "ECONNREFUSED" }).boundingBox();
    expect(cause?.width).toBeLessThan(900);
    await page.close();
  });

  it("shows no upstream as good that only failed, or that has not answered yet", async () => {
    const page = await open("/-/status");
    const states = page.locator("#upstreams td:nth-child(2)");
    expect(await states.allTextContents()).toEqual(["failed last", "not known yet"]);
    expect(await page.locator("#upstreams .good").count()).toBe(0);
    expect(await page.locator("#storage").textContent()).toContain("The largest file that is stored is of 8.1 GB");
    expect(await page.locator("#storage").textContent()).toContain("12.3 MB of 200 MB");
    await page.close();
  });

  it.each([SITE, "http://127.0.0.1"])("a button copies the exact lines, without and with the browser's clipboard (%s)", async (site) => {
    const page = await open("/-/setup/fedora");
    await page.goto(`${site}/-/setup/fedora`);
    expect(await page.evaluate("navigator.clipboard === undefined")).toBe(site === SITE);
    // A field to paste into, as another program has one.
    await page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), { id: 'pasted' }))");
    const codes = await page.locator("pre code").all();
    expect(codes.length).toBeGreaterThan(2);
    for (const [at, code] of codes.slice(0, 3).entries()) {
      const button = page.locator(".code .copy").nth(at);
      await button.focus();
      await page.keyboard.press("Enter");
      await page.locator(".copy", { hasText: "Copied" }).nth(at).waitFor({ timeout: 5_000 });
      await page.locator("#pasted").fill("");
      await page.locator("#pasted").focus();
      await page.keyboard.press("Control+V");
      expect(await page.locator("#pasted").inputValue()).toBe(await code.textContent());
    }
    await page.close();
  });

  it("has the line that undoes the set-up as a whole", async () => {
    const page = await open("/-/setup/fedora");
    const lines = await page.locator("pre code").allTextContents();
    expect(lines).toContain("sudo sh /var/lib/lazy-mirror/fedora/undo");
    await page.close();
  });

  it.each(["/", "/-/setup/"])("%s is searched by name, distribution and client, and is whole without a search", async (path) => {
    const page = await open(path);
    const items = page.locator("[data-search]:visible");
    expect(await items.count()).toBe(5);
    await page.getByLabel("Search mirrors").fill("APT");
    expect(await items.count()).toBe(2);
    await page.getByLabel("Search mirrors").fill("opensuse zypper");
    expect(await items.allTextContents()).toEqual([expect.stringContaining("opensuse")]);
    await page.getByLabel("Search mirrors").fill("");
    expect(await items.count()).toBe(5);
    await page.close();
  });

  it("shows no search and no buttons where no script runs", async () => {
    const page = await open("/", { javaScriptEnabled: false });
    expect(await page.locator("details").count()).toBe(5);
    expect(await page.locator("#search:visible, button:visible").count()).toBe(0);
    await page.close();
  });

  it("leads from a pasted URL to the page that says why", async () => {
    const page = await open("/-/status");
    await page.getByLabel("Path or URL of a file").fill("https://deb.example/debian/pool/example.iso");
    await page.keyboard.press("Enter");
    await page.waitForURL(`${SITE}/-/why/${FOLDED}`, { timeout: 10_000 });
    expect(await page.locator("main").textContent()).toContain("its 9.5 GB are more than");
    expect(await page.getByLabel("Path or URL of a file").inputValue()).toBe(FOLDED);
    await page.close();
  });

  it("suggests mirrors where the path names none", async () => {
    const page = await open("/-/why?q=pool/example.iso");
    await page.getByRole("link", { name: FOLDED }).click();
    await page.waitForURL(`${SITE}/-/why/${FOLDED}`, { timeout: 10_000 });
    await page.close();
  });

  it("opens the lines of a tool by a link from the first page", async () => {
    const page = await open("/-/setup/fedora#docker");
    expect(await page.locator("#docker pre").isVisible()).toBe(true);
    await page.close();
  });
});
