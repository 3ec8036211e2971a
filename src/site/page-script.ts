/**
 * The browser script of the pages with lines to paste: a button that copies each of them, and a search over the mirrors. Without it lines are selected by
 * a click, and the list is whole. Where the page came over plain HTTP the browser gives it no clipboard (`navigator.clipboard` needs a secure context): there the
 * text is copied by way of a selection.
 */
export const PAGE_SCRIPT = `
"use strict";
const said = document.createElement("p");
said.className = "unseen";
said.setAttribute("role", "status");
document.querySelector("main").append(said);

async function copy(text) {
  if (navigator.clipboard !== undefined) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // The visitor's browser forbids it: the old way may go.
    }
  }
  const area = document.createElement("textarea");
  area.className = "unseen";
  area.readOnly = true;
  area.value = text;
  document.body.append(area);
  area.select();
  try {
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    area.remove();
  }
}

for (const code of document.querySelectorAll("[data-copy]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy: " + code.dataset.copy);
  let back;
  button.addEventListener("click", async () => {
    const done = await copy(code.textContent);
    if (!done) getSelection().selectAllChildren(code);
    button.textContent = done ? "Copied" : "Press Ctrl+C";
    said.textContent = done ? "Copied" : "Selected: press Ctrl+C";
    button.focus();
    if (!done) getSelection().selectAllChildren(code);
    clearTimeout(back);
    back = setTimeout(() => {
      button.textContent = "Copy";
      said.textContent = "";
    }, 3000);
  });
  (code.parentElement.tagName === "PRE" ? code.parentElement : code).before(button);
}

const search = document.getElementById("search");
if (search !== null) {
  const items = [...document.querySelectorAll("[data-search]")];
  const count = document.getElementById("found");
  search.closest("[hidden]").hidden = false;
  const filter = () => {
    const words = search.value.toLowerCase().split(/\\s+/).filter((word) => word !== "");
    let found = 0;
    for (const item of items) {
      item.hidden = !words.every((word) => item.dataset.search.toLowerCase().includes(word));
      if (!item.hidden) found++;
    }
    count.textContent = words.length === 0 ? "" : found + " of " + items.length;
  };
  search.addEventListener("input", filter);
  // A page that the browser brings back has its text in the field already.
  filter();
}
`.trim();
