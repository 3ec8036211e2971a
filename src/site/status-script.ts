/** The browser script that keeps the status page current: it fetches the page again and replaces the sections that changed. Without it the page stays as it was loaded. */
export const STATUS_SCRIPT = `
"use strict";
const EVERY_MS = 2000;
const live = document.getElementById("live");
const state = document.getElementById("live-state");
async function update() {
  if (document.hidden) return;
  try {
    const response = await fetch(location.href, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(10000) });
    if (!response.ok) throw new Error("status " + response.status);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const section of live.children) {
      const next = page.getElementById(section.id);
      if (next === null || next.innerHTML === section.innerHTML) continue;
      // Not a section with the focus or a selection: the reader would lose it.
      if (section.contains(document.activeElement) || (!getSelection().isCollapsed && section.contains(getSelection().anchorNode))) continue;
      // Nor one with an open table: it would close.
      if (section.querySelector("details[open]") !== null) continue;
      section.innerHTML = next.innerHTML;
    }
    state.textContent = "Live";
  } catch (error) {
    state.textContent = "Not live: " + error.message;
  }
}
setInterval(update, EVERY_MS);
document.addEventListener("visibilitychange", update);
`.trim();
