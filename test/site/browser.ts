import { mkdirSync } from "node:fs";
import { join } from "node:path";
import axe from "axe-core";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

const ROOT = join(import.meta.dirname, "../..");
const SHOTS = join(ROOT, "test-output");

export const CHROMIUM = "chromium";

export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: `/usr/bin/${CHROMIUM}`, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

/** The ways a page is looked at. */
export const LOOKS: Readonly<Record<string, BrowserContextOptions>> = {
  desktop: { viewport: { width: 1200, height: 900 }, colorScheme: "light" },
  "dark phone": { viewport: { width: 375, height: 740 }, colorScheme: "dark", isMobile: true, hasTouch: true },
};

interface AxeResult {
  readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[];
}

/** What axe objects to: rule and elements. */
export async function findObjections(page: Page): Promise<readonly string[]> {
  // The page's own policy forbids other scripts: this one comes by the debugger's way.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<AxeResult>("axe.run()");
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

/** Whether the page is wider than its window: on a phone it would slide about. */
export function isTooWide(page: Page): Promise<boolean> {
  return page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth");
}

/** Opens all that is folded, at once: clicks take a tenth of a second each. */
export async function openDetails(page: Page): Promise<void> {
  await page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true");
}

export async function shoot(page: Page, name: string): Promise<void> {
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name.replaceAll(/[^a-z0-9]+/gi, "-")}.png`), fullPage: true });
}
