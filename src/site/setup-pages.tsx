import { Code, NAME, Page, PAGE_SCRIPT_URL, Search, Table } from "./page.tsx";
import type { DistroMirror, MirrorSetup } from "./setup-of.ts";
import type { Snippet } from "./snippet.ts";
import { snippetsOf } from "./snippets-of.ts";

/** One mirror with its set-up. `site`: this site's address. */
interface Entry {
  readonly setup: MirrorSetup;
  readonly site: string;
}

/** What the pages know of this visitor. */
interface View {
  /** Whether the operator's pages exist. */
  readonly hasStatus: boolean;
}

/** The landing page: every mirror with its set-up. */
export function LandingPage({ entries, hasStatus }: View & { readonly entries: readonly Entry[] }) {
  return (
    <Page title={NAME} hasStatus={hasStatus} scripts={[PAGE_SCRIPT_URL]}>
      <p>
        Mirrors of {entries.length === 1 ? "one Linux tree" : `${entries.length} Linux trees`}. To their clients they are complete: the
        mirror fetches a file when a client first asks for it, checks it, and keeps it.
      </p>
      <h2>Mirrors</h2>
      {entries.length > 1 && <Search label="Search mirrors" />}
      {entries.map((entry) => (
        <details open={entries.length === 1} data-search={searchedOf(entry.setup)}>
          <summary>
            <strong>{entry.setup.mirror.name}</strong>
            <code class="soft">{entry.setup.base}/</code>
          </summary>
          <div>
            <Instructions {...entry} isShort />
          </div>
        </details>
      ))}
    </Page>
  );
}

/** The page for a visitor to whom no address of a mirror can be shown. */
export function UnknownHostPage({ hasStatus }: View) {
  return (
    <Page title={NAME} hasStatus={hasStatus}>
      <p class="notice">
        The host in your URL is not one that this server knows as its own, so that it can show you no address of its mirrors. Ask the
        operator to add it, without port, to <code>SERVER_NAMES</code> in wrangler.toml, or to set <code>PUBLIC_URL</code> there.
      </p>
    </Page>
  );
}

/** The page for one mirror. */
export function SetupPage({ setup, site, hasStatus }: View & Entry) {
  return (
    <Page title={`Setting up ${setup.mirror.name}`} hasStatus={hasStatus} scripts={[PAGE_SCRIPT_URL]}>
      <p>
        The mirror is at <a href={`${setup.base}/`}>{setup.base}/</a>.
      </p>
      <h2>What to do</h2>
      <Instructions setup={setup} site={site} />
    </Page>
  );
}

/** The table of mirrors, with the command that sets each up. */
export function SetupOverview({ entries, hasStatus }: View & { readonly entries: readonly Entry[] }) {
  return (
    <Page title="Client setup" hasStatus={hasStatus} scripts={[PAGE_SCRIPT_URL]}>
      {entries.length > 1 && <Search label="Search mirrors" />}
      <Table
        label="Mirrors"
        searched={entries.map(({ setup }) => searchedOf(setup))}
        head={["Mirror", "Client", "Set up by"]}
        rows={entries.map(({ setup, site }) => [
          <a href={`/-/setup/${setup.mirror.name}`}>{setup.mirror.name}</a>,
          clientOf(setup),
          setup.kind === "distro" ? <code data-copy={`Command that sets up ${setup.mirror.name}`}>{command(setup, site)}</code> : "hand",
        ])}
      />
      <h2>For programs</h2>
      <p>
        <code>/-/setup/&lt;mirror&gt;?for=apt&amp;release=trixie</code> gives the lines as plain text; without <code>for</code> those for
        the client that sends the request.
      </p>
    </Page>
  );
}

/** What to do on a client. `isShort`: of lines for other tools than the client's package manager only their names, which lead to the mirror's page. */
function Instructions({ setup, site, isShort = false }: Entry & { readonly isShort?: boolean }) {
  const snippets = snippetsOf(setup, site);
  const own = snippets.filter(({ group }) => group === "client" || setup.kind !== "distro");
  const others = snippets.filter((one) => !own.includes(one));
  return (
    <>
      {(setup.mirror.access?.users.size ?? 0) > 0 && (
        <p class="notice">
          This mirror requires a name and password. The script asks for them. By hand: put them for <code>NAME</code> and{" "}
          <code>PASSWORD</code> in the lines below, and let root alone read the file.
        </p>
      )}
      {setup.kind === "distro" && (
        <>
          <h3>By script</h3>
          <Code label={`Command that sets up ${setup.mirror.name}`} text={command(setup, site)} />
          <p class="soft">
            It puts the mirror's address in place of the distribution's, keeps copies of the files that it changes, and updates once. If
            that fails, or by the line below, it restores everything. <a href={`/-/setup/${setup.places.name}.sh`}>Read it first</a>.
          </p>
          <Code
            label={`Command that undoes the set-up of ${setup.mirror.name}`}
            text={`sudo sh /var/lib/lazy-mirror/${setup.places.name}/undo`}
          />
          <h3>By hand</h3>
        </>
      )}
      {own.map(({ title, text }) => (
        <>
          <p>{title}:</p>
          <Code label={title} text={text} />
        </>
      ))}
      {setup.kind === "distro" && hintOf(setup) !== "" && <p class="soft">{hintOf(setup)}</p>}
      {others.length > 0 && <Others page={`/-/setup/${setup.mirror.name}`} snippets={others} isShort={isShort} />}
    </>
  );
}

/** Lines for other tools: as links, or by group with their text. */
function Others({ page, snippets, isShort }: { readonly page: string; readonly snippets: readonly Snippet[]; readonly isShort: boolean }) {
  if (isShort)
    return (
      <p>
        Lines to paste for other tools:{" "}
        {snippets.map(({ client, title }, at) => (
          <>
            {at > 0 && ", "}
            <a href={`${page}#${client}`} title={title}>
              {client}
            </a>
          </>
        ))}
        .
      </p>
    );
  return (
    <>
      <h2>Lines to paste for other tools</h2>
      {[...Map.groupBy(snippets, ({ group }) => group)].map(([group, some]) => (
        <>
          <h3>{GROUPS[group]}</h3>
          {some.map(({ client, title, text }) => (
            <details>
              <summary>
                <strong>{client}</strong> {title}
              </summary>
              <div id={client}>
                <Code label={title} text={text} />
                <p>
                  <a href={`${page}?for=${client}`}>As plain text</a>
                </p>
              </div>
            </details>
          ))}
        </>
      ))}
    </>
  );
}

const GROUPS: Readonly<Record<Snippet["group"], string>> = {
  client: "Package managers",
  machine: "Machines",
  installer: "Installers",
  image: "Images",
  job: "Jobs of CI",
  build: "Build systems",
};

/** What the search over the mirrors looks in. */
function searchedOf(setup: MirrorSetup): string {
  return [setup.mirror.name, setup.mirror.distro ?? "", clientOf(setup), setup.base].join(" ");
}

/** The command that runs the set-up script. */
function command(setup: DistroMirror, site: string): string {
  return `curl -fsS ${site}/-/setup/${setup.places.name}.sh | sudo sh`;
}

function clientOf(setup: MirrorSetup): string {
  return setup.kind === "distro" ? setup.setup.manager : setup.kind === "koji" ? "kojid, koji, mock" : "any";
}

function hintOf({ setup }: DistroMirror): string {
  switch (setup.manager) {
    case "apt":
      return `Replace ${setup.release.example} by your release, and turn off the entries for the distribution's own archive (Enabled: no).`;
    case "dnf":
      return "In the distribution's own files, set enabled=0 for the repositories that these replace.";
    case "zypper":
      return "These are for Tumbleweed; for Leap add ?release=15.6 or ?release=16.0 to this URL. Disable the distribution's own repositories: zypper modifyrepo --disable.";
    case "apk":
      return `Replace the addresses in that file by these, and ${setup.release.example} by your release.`;
    case "pacman":
      return "";
  }
}
