import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeNoise } from "../support/fixture.ts";
import { startMirror } from "../support/mirror.ts";
import type { MirrorProcess } from "../support/mirror.ts";
import { startOrigin } from "../support/origin.ts";
import type { Origin } from "../support/origin.ts";
import { requireTools } from "../support/run-tool.ts";
import { CHROMIUM, findObjections, isTooWide, LOOKS, openBrowser, openDetails, shoot } from "./browser.ts";

const LARGE = "pool/large_1.0.tar.gz";
const LARGE_BYTES = 12_000_000;
const SMALL = "pool/small_1.0.tar.gz";

describe.runIf(requireTools(CHROMIUM))("the pages in a browser", () => {
  let folder: string;
  let origin: Origin;
  let mirror: MirrorProcess;
  let browser: Browser;
  let httpCredentials: { username: string; password: string };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "lazy-mirror-site-"));
    mkdirSync(join(folder, "pool"));
    writeFileSync(join(folder, LARGE), makeNoise("site", LARGE_BYTES));
    writeFileSync(join(folder, SMALL), makeNoise("small", 50_000));
    origin = await startOrigin(folder);
    const distros = ["debian", "fedora", "opensuse", "archlinux", "alpine", "koji"];
    mirror = await startMirror({ mirrors: Object.fromEntries(distros.map((distro) => [distro, { distro, upstreams: [origin.url] }])) });
    httpCredentials = { username: "operator", password: readFileSync(join(mirror.stateFolder, "admin-token"), "utf8").trim() };
    await (await fetch(`${mirror.prefixUrl("debian")}/${SMALL}`)).arrayBuffer();
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await mirror?.remove();
    await origin?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  describe.each(Object.entries(LOOKS))("%s", (look, options) => {
    // One tab for all pages: a new one takes a second. The page that goes on fetching comes last: its fetches would fail under the next.
    let context: BrowserContext;
    let page: Page;
    let errors: string[] = [];
    beforeAll(async () => {
      context = await browser.newContext({ ...options, httpCredentials });
      page = await context.newPage();
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
      page.on("requestfailed", (request) => errors.push(request.url()));
    });
    afterAll(() => context?.close());

    it.each(["/", "/-/setup/", "/-/setup/debian", "/-/setup/koji", `/-/why/debian/${SMALL}`, "/-/status"])(
      "%s looks right to axe, fits the window and has no errors",
      async (path) => {
        errors = [];
        await page.goto(mirror.url + path);
        await openDetails(page);
        expect(await findObjections(page)).toEqual([]);
        expect(await isTooWide(page)).toBe(false);
        await shoot(page, `${path} ${look}`);
        expect(errors).toEqual([]);
      },
    );
  });

  it("status shows a fill under way and its end without being loaded again", async () => {
    const context = await browser.newContext({ httpCredentials });
    const page = await context.newPage();
    await page.goto(`${mirror.url}/-/status`);
    let loads = 0;
    page.on("load", () => loads++);
    const stall = origin.fault(`/${LARGE}`, { kind: "stall", at: 0.5 });
    const download = fetch(`${mirror.prefixUrl("debian")}/${LARGE}`).then((response) => response.arrayBuffer());
    const fill = page.locator("#fills tbody tr");
    await fill.waitFor({ timeout: 15_000 });
    expect(await fill.textContent()).toContain(`debian/${LARGE}`);
    await shoot(page, "status with a fill");
    stall.clear();
    expect((await download).byteLength).toBe(LARGE_BYTES);
    await fill.waitFor({ state: "detached", timeout: 15_000 });
    await page.locator("#top tbody tr", { hasText: LARGE }).waitFor({ timeout: 15_000 });
    expect(loads).toBe(0);
    await context.close();
  });

  it("status says when it is no longer live", async () => {
    const context = await browser.newContext({ httpCredentials });
    const page = await context.newPage();
    await page.goto(`${mirror.url}/-/status`);
    await page.locator("#live-state", { hasText: /^Live$/ }).waitFor({ timeout: 15_000 });
    await context.setOffline(true);
    await page.locator("#live-state", { hasText: "Not live" }).waitFor({ timeout: 15_000 });
    await context.close();
  });

  it("every page is readable without JavaScript", async () => {
    const context = await browser.newContext({ httpCredentials, javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(`${mirror.url}/-/status`);
    expect(await page.locator("#mirrors tbody tr").count()).toBe(6);
    expect(await page.locator("#top tbody").textContent()).toContain(SMALL);
    await page.goto(`${mirror.url}/`);
    await page.locator("summary", { hasText: "debian" }).click();
    expect(await page.locator("details[open] pre").first().isVisible()).toBe(true);
    await context.close();
  });
});
