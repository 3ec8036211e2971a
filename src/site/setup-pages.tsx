import { Code, Page } from "./page.tsx";
import type { DistroMirror, MirrorSetup } from "./setup-of.ts";
import { snippetsOf } from "./snippet.ts";

/** One mirror with what to paste. `site` is this site's address, null where it is not known. */
interface Entry {
  readonly setup: MirrorSetup;
  readonly site: string;
}

/** How the site presents itself to this visitor. */
interface View {
  readonly isKnownHost: boolean;
  /** The operator's pages are there. */
  readonly hasStatus: boolean;
}

/** The landing page: every mirror, and what its clients paste. */
export function LandingPage({ entries, isKnownHost, hasStatus }: View & { readonly entries: readonly Entry[] }) {
  return (
    <Page title="Lazy Mirror" hasStatus={hasStatus}>
      <p>
        Complete mirrors of {entries.length === 1 ? "one Linux tree" : `${entries.length} Linux trees`}, as far as anyone is concerned who
        installs from them. A file is fetched when somebody first asks for it, checked, and kept.
      </p>
      {!isKnownHost && <UnknownHost />}
      <h2>Mirrors</h2>
      {entries.map((entry) => (
        <details open={entries.length === 1}>
          <summary>
            <strong>{entry.setup.mirror.name}</strong>
            <code class="soft">{entry.setup.base}/</code>
          </summary>
          <div>
            <Instructions {...entry} />
          </div>
        </details>
      ))}
    </Page>
  );
}

/** What to do for one mirror. */
export function SetupPage({ setup, site, isKnownHost, hasStatus }: View & Entry) {
  return (
    <Page title={`Setting up ${setup.mirror.name}`} hasStatus={hasStatus}>
      <p>
        The mirror is at <a href={`${setup.base}/`}>{setup.base}/</a>.
      </p>
      {!isKnownHost && <UnknownHost />}
      <h2>What to do</h2>
      <Instructions setup={setup} site={site} />
    </Page>
  );
}

/** The mirrors and what sets each up. */
export function SetupOverview({ entries, isKnownHost, hasStatus }: View & { readonly entries: readonly Entry[] }) {
  return (
    <Page title="Client setup" hasStatus={hasStatus}>
      {!isKnownHost && <UnknownHost />}
      <div class="wide" tabindex={0} role="region" aria-label="Mirrors">
        <table>
          <thead>
            <tr>
              <th scope="col">Mirror</th>
              <th scope="col">Client</th>
              <th scope="col">Set up by</th>
            </tr>
          </thead>
          <tbody>
            {entries.map(({ setup, site }) => (
              <tr>
                <th scope="row">
                  <a href={`/-/setup/${setup.mirror.name}`}>{setup.mirror.name}</a>
                </th>
                <td>{clientOf(setup)}</td>
                <td>{setup.kind === "distro" ? <code>{command(setup, site)}</code> : "hand"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <h2>For programs</h2>
      <p>
        <code>/-/setup/&lt;mirror&gt;?for=apt&amp;release=trixie</code> gives the lines as plain text; without <code>for</code> those of the
        client that asks.
      </p>
    </Page>
  );
}

function Instructions({ setup, site }: Entry) {
  return (
    <>
      {(setup.mirror.access?.users.size ?? 0) > 0 && (
        <p class="notice">
          This mirror asks for a name and password. apt reads them from <code>/etc/apt/auth.conf.d/</code> (give them before the rest), dnf
          as <code>username=</code> and <code>password=</code> in the file below, zypper from <code>/etc/zypp/credentials.d/mirror</code>{" "}
          with <code>?credentials=mirror</code> after each baseurl; for dnf and zypper do it by hand.
        </p>
      )}
      {setup.kind === "distro" && (
        <>
          <h3>By script</h3>
          <Code label={`Command that sets up ${setup.mirror.name}`} text={command(setup, site)} />
          <p class="soft">
            It finds out the release, keeps a copy of what it changes, updates once, and puts everything back when that fails or with{" "}
            <code>sh -s -- --undo</code>. <a href={`/-/setup/${setup.places.name}.sh`}>Read it first</a>.
          </p>
          <h3>By hand</h3>
        </>
      )}
      {snippetsOf(setup).map(({ title, text }) => (
        <>
          <p>{title}:</p>
          <Code label={title} text={text} />
        </>
      ))}
      {setup.kind === "distro" && hintOf(setup) !== "" && <p class="soft">{hintOf(setup)}</p>}
    </>
  );
}

function UnknownHost() {
  return (
    <p class="notice">
      You came by a name that this mirror does not know as its own, so it is not repeated below. Put your name for it in place of the one
      shown, or have it added to <code>hosts</code> in wrangler.toml.
    </p>
  );
}

/** What starts the script. */
function command(setup: DistroMirror, site: string): string {
  return `curl -fsS ${site}/-/setup/${setup.places.name}.sh | sudo sh`;
}

function clientOf(setup: MirrorSetup): string {
  return setup.kind === "distro" ? setup.setup.manager : setup.kind === "koji" ? "kojid, koji, mock" : "any";
}

function hintOf({ setup }: DistroMirror): string {
  switch (setup.manager) {
    case "apt":
      return `Write your own release in place of ${setup.release.example}, and turn the entries for the distribution's own archive off (Enabled: no).`;
    case "dnf":
      return "Set enabled=0 in the distribution's own files for the repositories that these replace.";
    case "zypper":
      return "These are for Tumbleweed; ?release=15.6 or 16.0 gives those of Leap. Disable the distribution's own: zypper modifyrepo --disable.";
    case "apk":
      return `In place of the addresses that are there, with your own release in place of ${setup.release.example}.`;
    case "pacman":
      return "";
  }
}
