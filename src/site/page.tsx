import type { Child } from "hono/jsx";

interface PageProps {
  readonly title: string;
  /** Whether the operator's pages exist: they need a token. */
  readonly hasStatus: boolean;
  /** Where the operator's pages are, with a slash at the end; of such a page itself, relative to it: behind a balancer each instance has its own. */
  readonly operatorBase?: string;
  /** URLs of the page's scripts. */
  readonly scripts?: readonly string[];
  readonly children?: Child;
}

/** The title of the first page, which the titles of the others end with. */
export const NAME = "Lazy Mirror";

/** A whole page: heading, navigation, content. */
export function Page({ title, hasStatus, operatorBase = "/-/", scripts = [], children }: PageProps) {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{title === NAME ? title : `${title} – ${NAME}`}</title>
        <link rel="stylesheet" href="/-/style.css" />
        <link rel="icon" href="data:," />
        {scripts.map((script) => (
          <script src={script} defer></script>
        ))}
      </head>
      <body>
        <header>
          <nav aria-label="Pages">
            <a href="/-/">Mirrors</a>
            <a href="/-/setup/">Client setup</a>
            {hasStatus && <a href={`${operatorBase}status`}>Status</a>}
          </nav>
        </header>
        <main>
          <h1>{title}</h1>
          {children}
        </main>
      </body>
    </html>
  );
}

/** URL of the script that adds the buttons which copy a `Code`, and the search. */
export const PAGE_SCRIPT_URL = "/-/page.js";

/** Text to copy, by a button where the page has its script. One click selects all of it, and the keyboard can scroll it. */
export function Code({ label, text }: { readonly label: string; readonly text: string }) {
  return (
    <div class="code">
      <pre tabindex={0} role="region" aria-label={label}>
        <code data-copy={label}>{text.trimEnd()}</code>
      </pre>
    </div>
  );
}

/** A field that filters what has `data-search`. It shows only where the page's script runs. */
export function Search({ label }: { readonly label: string }) {
  return (
    <p class="search" hidden>
      <label for="search">{label}</label> <input type="search" id="search" autocomplete="off" spellcheck={false} />{" "}
      <span id="found" role="status"></span>
    </p>
  );
}

interface TableProps {
  readonly label: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly Child[])[];
  readonly empty?: string;
  /** For each row the text that `Search` looks in. */
  readonly searched?: readonly string[];
}

/** Rows of cells under `head`, the first cell of each as its heading. Without rows the text `empty`, if there is one. */
export function Table({ label, head, rows, empty, searched }: TableProps) {
  if (rows.length === 0 && empty !== undefined) return <p class="soft">{empty}</p>;
  return (
    <div class="wide" tabindex={0} role="region" aria-label={label}>
      <table>
        <thead>
          <tr>
            {head.map((title) => (
              <th scope="col">{title}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((cells, row) => (
            <tr data-search={searched?.[row]}>{cells.map((cell, at) => (at === 0 ? <th scope="row">{cell}</th> : <td>{cell}</td>))}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
