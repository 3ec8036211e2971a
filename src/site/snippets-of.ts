import type { Wanted } from "./client-files.ts";
import type { MirrorSetup } from "./setup-of.ts";
import type { Snippet } from "./snippet.ts";
import { buildRootSnippets, kojiSnippets } from "./snippet-build-roots.ts";
import { clientSnippets } from "./snippet-clients.ts";
import { installerSnippets } from "./snippet-installers.ts";
import { provisionSnippets } from "./snippet-provision.ts";
import { shellSnippets } from "./snippet-shell.ts";

/**
 * The lines to paste for a mirror, those for a client's own file first. Without `release` they have the distribution's example. `site`: the server's
 * address, without trailing slash.
 */
export function snippetsOf(setup: MirrorSetup, site: string, wanted: Wanted = {}): readonly Snippet[] {
  switch (setup.kind) {
    case "distro":
      return [
        ...clientSnippets(setup, wanted),
        ...shellSnippets(setup, wanted, site),
        ...provisionSnippets(setup, wanted),
        ...installerSnippets(setup, wanted),
        ...buildRootSnippets(setup, wanted),
      ];
    case "koji":
      return kojiSnippets(setup.base);
    case "plain":
      return [
        {
          client: "url",
          group: "client",
          title: "Use this in place of the repository's own address, where its publisher's instructions have that",
          text: `${setup.base}/\n`,
        },
      ];
  }
}
