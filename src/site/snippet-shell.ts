import { type ClientFiles, isSecret, replacingFiles, type Wanted } from "./client-files.ts";
import type { DistroMirror } from "./setup-of.ts";
import { quoteShell } from "./setup-script.ts";
import type { Snippet } from "./snippet.ts";

/**
 * The same set-up as commands, for images, virtual machines and CI jobs. Those for images and CI have the fallback where the visitor does not choose. `site`: the server's address, without
 * trailing slash.
 */
export function shellSnippets(setup: DistroMirror, wanted: Wanted, site: string): readonly Snippet[] {
  const commands = formatCommands(replacingFiles(setup, wanted));
  const files = replacingFiles(setup, { ...wanted, fallback: wanted.fallback ?? "direct" });
  const inJob = formatCommands(files);
  const { name } = setup.places;
  return [
    { client: "sh", group: "machine", title: "Shell commands, as root", text: commands },
    { client: "vagrant", group: "machine", title: "Vagrantfile, within Vagrant.configure", text: vagrant(name, commands) },
    { client: "docker", group: "image", title: "Dockerfile (docker, podman, buildah), below FROM", text: docker(files) },
    {
      client: "docker-add",
      group: "image",
      title: "Dockerfile, by the set-up script; needs no curl in the image",
      text: dockerAdd(name, site, (setup.mirror.access?.users.size ?? 0) > 0),
    },
    {
      client: "github-actions",
      group: "job",
      title: "The first of a job's steps, in .github/workflows/*.yml",
      text: githubActions(name, inJob),
    },
    { client: "gitlab", group: "job", title: ".gitlab-ci.yml, in a job or in default", text: `before_script:\n  - |\n${indent(inJob, 4)}` },
  ];
}

/** Commands of a POSIX shell, for root, that write `files`. */
export function formatCommands({ files, turnOff }: ClientFiles): string {
  const writes = files.map(({ path, text }) => `${mode(path)}cat > ${path} <<'END'\n${text}END\n`);
  return [...(turnOff === null ? [] : [`${turnOff}\n`]), ...folders(files), ...writes].join("");
}

/** `text` with each line that is not empty moved to the right. */
export function indent(text: string, columns: number): string {
  return text.replaceAll(/^(?=.)/gm, " ".repeat(columns));
}

function folders(files: ClientFiles["files"]): readonly string[] {
  return files.filter(({ path }) => isSecret(path)).map(({ path }) => `mkdir -p ${path.slice(0, path.lastIndexOf("/"))}\n`);
}

function mode(path: string): string {
  return isSecret(path) ? `install -m 600 /dev/null ${path}\n` : "";
}

function vagrant(name: string, commands: string): string {
  return `config.vm.provision "shell", name: "packages from the mirror ${name}", inline: <<~'SHELL'\n${indent(commands, 2)}SHELL\n`;
}

/** One RUN of commands that every image has, with the mirror's address as an argument of the build. */
function docker({ files, turnOff, bases }: ClientFiles): string {
  const args = bases.map((base) => ({ base, arg: base === bases.at(-1) ? "LAZY_MIRROR" : "LAZY_MIRROR_SECURITY" }));
  const inArgs = (line: string) =>
    args.reduce((text, { base, arg }) => text.replaceAll(base, `'"$${arg}"'`), quoteShell(line)).replaceAll(/^''(?=.)|(?<=.)''$/g, "");
  const prints = files.flatMap(({ path, text }) => [
    ...(isSecret(path) ? [`mkdir -p ${path.slice(0, path.lastIndexOf("/"))} && install -m 600 /dev/null ${path}`] : []),
    `printf '%s\\n' \\\n${text
      .trimEnd()
      .split("\n")
      .map((line) => `      ${inArgs(line)} \\\n`)
      .join("")}      > ${path}`,
  ]);
  const steps = [...(turnOff === null ? [] : [turnOff]), ...prints];
  return `${args
    .toReversed()
    .map(({ base, arg }) => `ARG ${arg}=${base}\n`)
    .join("")}RUN ${steps.join(" \\\n && ")}\n`;
}

function dockerAdd(name: string, site: string, isClosed: boolean): string {
  // The build's secret, which stays out of the image's history.
  const run = isClosed
    ? 'RUN --mount=type=secret,id=lazy_mirror LAZY_MIRROR_PASSWORD="$(cat /run/secrets/lazy_mirror)" sh /tmp/lazy-mirror.sh --user NAME'
    : "RUN sh /tmp/lazy-mirror.sh";
  return `ADD ${site}/-/setup/${name}.sh /tmp/lazy-mirror.sh
${run}
# At the end, for an image that does not know the mirror:
# RUN sh /tmp/lazy-mirror.sh --undo && rm /tmp/lazy-mirror.sh
`;
}

/** Works as root in a container and by sudo on a machine. */
function githubActions(name: string, commands: string): string {
  const run = `cat > /tmp/lazy-mirror.sh <<'SCRIPT'\nset -eu\n${commands}SCRIPT\nif [ "$(id -u)" = 0 ]; then sh /tmp/lazy-mirror.sh; else sudo sh /tmp/lazy-mirror.sh; fi\n`;
  return `- name: Take packages from the mirror ${name}\n  shell: sh\n  run: |\n${indent(run, 4)}`;
}
