import { type ClientFile, type ClientFiles, clientFiles, type Wanted } from "./client-files.ts";
import type { DistroMirror } from "./setup-of.ts";
import type { Snippet } from "./snippet.ts";

/** The lines for the package manager's own files. */
export function clientSnippets(setup: DistroMirror, wanted: Wanted): readonly Snippet[] {
  const plan = clientFiles(setup, wanted);
  const [{ path, text }, ...others] = plan.files;
  const where = plan.manager === "pacman" ? `First line of ${path}` : plan.manager === "apk" ? `In ${path}` : path;
  const lines = { client: plan.manager, group: "client", title: where, text: formatOthers(others) + text } as const;
  if (plan.manager === "apt")
    return [lines, { ...lines, client: "apt-line", title: lineFile(path), text: formatOthers(others) + formatLines(text) }];
  return plan.manager === "zypper" ? [lines, zypperCommands(plan)] : [lines];
}

/** The other files that the lines need, as comments. */
function formatOthers(files: readonly ClientFile[]): string {
  return files.map(({ path, text }) => `# ${path}:\n${text.replaceAll(/^(?=.)/gm, "#   ")}\n`).join("");
}

function lineFile(path: string): string {
  return path.replace(/\.sources$/, ".list");
}

/** deb822 stanzas as one line for each suite (sources.list(5)). */
function formatLines(stanzas: string): string {
  return stanzas
    .split("\n\n")
    .flatMap((stanza) => {
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(stanza)?.[1] ?? "";
      const suites = field("Suites").split(" ");
      return suites.map((suite) => `deb [signed-by=${field("Signed-By")}] ${field("URIs")} ${suite} ${field("Components")}\n`);
    })
    .join("");
}

/** Commands of zypper that add the same repositories. */
function zypperCommands({ files: [{ text }] }: ClientFiles): Snippet {
  const pairs = [...text.matchAll(/^\[(.*)\]\n(?:.*\n)*?baseurl=(.*)$/gm)];
  const commands = pairs.map(([, id, url]) => `sudo zypper addrepo --refresh --check '${url}' '${id}'\n`);
  return { client: "addrepo", group: "client", title: "Or by command, one for each repository", text: commands.join("") };
}
