import type { Child } from "hono/jsx";

interface PageProps {
  readonly title: string;
  /** Whether the operator's pages exist: they need a token. */
  readonly hasStatus: boolean;
  /** Where the operator's pages are, with a slash at the end; of such a page itself, relative to it: behind a balancer each instance has its own. */
  readonly operatorBase?: string;
  /** URL of the page's script. */
  readonly script?: string;
  readonly children?: Child;
}

/** A whole page: heading, navigation, content. */
export function Page({ title, hasStatus, operatorBase = "/-/", script, children }: PageProps) {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{title}</title>
        <link rel="stylesheet" href="/-/style.css" />
        <link rel="icon" href="data:," />
        {script !== undefined && <script src={script} defer></script>}
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

/** Text to copy. One click selects all of it, and the keyboard can scroll it. */
export function Code({ label, text }: { readonly label: string; readonly text: string }) {
  return (
    <pre tabindex={0} role="region" aria-label={label}>
      <code>{text.trimEnd()}</code>
    </pre>
  );
}

interface TableProps {
  readonly label: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly Child[])[];
  readonly empty?: string;
}

/** Rows of cells under `head`, the first cell of each as its heading. Without rows the text `empty`, if there is one. */
export function Table({ label, head, rows, empty }: TableProps) {
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
          {rows.map((cells) => (
            <tr>{cells.map((cell, at) => (at === 0 ? <th scope="row">{cell}</th> : <td>{cell}</td>))}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
