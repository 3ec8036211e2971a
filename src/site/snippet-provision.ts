import { type ClientFiles, clientFiles, isSecret, replacingFiles, type Wanted } from "./client-files.ts";
import { DIRECT } from "./direct.ts";
import type { DistroMirror } from "./setup-of.ts";
import type { Snippet } from "./snippet.ts";
import { indent } from "./snippet-shell.ts";

/** The same set-up for the tools that set machines up: cloud-init and Ansible. */
export function provisionSnippets(setup: DistroMirror, wanted: Wanted): readonly Snippet[] {
  const files = replacingFiles(setup, wanted);
  return [
    { client: "cloud-init", group: "machine", title: "User data of a cloud's machine", text: cloudInit(setup, wanted) },
    { client: "ansible", group: "machine", title: "A playbook", text: ansible(setup.places.name, files) },
  ];
}

function cloudInit(setup: DistroMirror, wanted: Wanted): string {
  const files = setup.setup.manager === "apt" ? replacingFiles(setup, wanted) : clientFiles(setup, wanted);
  const [{ text }, ...others] = files.files;
  return `#cloud-config\n${writeFiles(files.manager === "pacman" ? files.files : others)}${cloudInitSources(setup, files, text)}`;
}

function cloudInitSources({ places }: DistroMirror, files: ClientFiles, text: string): string {
  switch (files.manager) {
    case "apt": {
      // cloud-init knows the machine's suites and components itself.
      const [primary = "", security = primary] = [...text.matchAll(/^URIs: (.*)$/gm)].map(([, url]) => url ?? "");
      const arches = files.distro === "ubuntu" ? "[amd64, i386]" : "[default]";
      const entry = (kind: string, url: string) => `  ${kind}:\n    - arches: ${arches}\n      uri: ${url}\n`;
      return `apt:\n  preserve_sources_list: false\n${entry("primary", primary)}${entry("security", security)}`;
    }
    case "dnf":
      return `bootcmd:\n  - ${JSON.stringify(files.turnOff)}\nyum_repos:\n${sections(text)
        .map(({ id, fields }) => `  ${id}:\n${fields.map(([name, value]) => `    ${name}: ${yamlValue(value)}\n`).join("")}`)
        .join("")}`;
    case "zypper":
      return `bootcmd:\n  - ${JSON.stringify(files.turnOff)}\nzypper:\n  repos:\n${sections(text)
        .map(({ id, fields }) => `    - id: ${id}\n${fields.map(([name, value]) => `      ${name}: ${yamlValue(value)}\n`).join("")}`)
        .join("")}`;
    case "apk":
      return `apk_repos:\n  alpine_repo:\n    base_url: ${withUser(text, places.base)}\n    version: ${files.release}\n    community_enabled: true\n`;
    case "pacman":
      return "";
  }
}

/** The mirror's URL as the first line of the file has it, with a place for a name and password. */
function withUser(text: string, base: string): string {
  const path = base.replace(/^https?:\/\//, "");
  const end = text.indexOf(path) + path.length;
  return text.slice(0, end);
}

/** `write_files` of cloud-init; nothing for no files. */
function writeFiles(files: readonly { readonly path: string; readonly text: string }[]): string {
  if (files.length === 0) return "";
  const entries = files.map(
    ({ path, text }) => `  - path: ${path}\n    permissions: "${isSecret(path) ? "0600" : "0644"}"\n    content: |\n${indent(text, 6)}`,
  );
  return `write_files:\n${entries.join("")}`;
}

/** The sections of a .repo file. Of several URLs cloud-init takes the first alone: it knows no lists. */
function sections(text: string): readonly { readonly id: string; readonly fields: readonly (readonly [name: string, value: string])[] }[] {
  return text.split(/^(?=\[)/m).map((section) => ({
    id: /^\[(.*)\]/.exec(section)?.[1] ?? "",
    fields: [...section.matchAll(/^(\w+)=(.*)$/gm)].map(([, name = "", value = ""]) => [name, value] as const),
  }));
}

function yamlValue(value: string): string {
  return value === "1" ? "true" : value === "0" ? "false" : value;
}

/** It copies files, as that needs no collection and no library on the machines, and says what it would change (`--check`). */
function ansible(name: string, { files, distro, manager }: ClientFiles): string {
  const copies = files.map(
    ({ path, text }) =>
      `    - name: Write ${path}\n      ansible.builtin.copy:\n        dest: ${path}\n        mode: "${isSecret(path) ? "0600" : "0644"}"\n        content: |\n${indent(text.replaceAll("\t", String.raw`{{ '\t' }}`), 10)}`,
  );
  const off: Partial<Record<ClientFiles["manager"], string>> = {
    apt: "    - name: Remove the distribution's own sources\n      ansible.builtin.file:\n        path: /etc/apt/sources.list\n        state: absent\n",
    dnf: turnOff("/etc/yum.repos.d", String.raw`(?ms)^(\[(?:${DIRECT[distro].repositories ?? ""})\]$(?:(?!^\[).)*?^enabled *= *)1`),
    zypper: turnOff(
      "/etc/zypp/repos.d",
      String.raw`(?ms)^(\[(?!lazy-mirror-)[^\]]*\]$(?=(?:(?!^\[).)*opensuse\.org)(?:(?!^\[).)*?^enabled *= *)1`,
    ),
  };
  return `- name: Take packages from the mirror ${name}\n  hosts: all\n  become: true\n  tasks:\n${off[manager] ?? ""}${copies.join("")}`;
}

function turnOff(folder: string, pattern: string): string {
  return `    - name: Find the distribution's own repositories
      ansible.builtin.find:
        paths: ${folder}
        patterns: "*.repo"
      register: lazy_mirror_repositories
    - name: Turn them off
      ansible.builtin.replace:
        path: "{{ item.path }}"
        regexp: '${pattern}'
        replace: '\\g<1>0'
      loop: "{{ lazy_mirror_repositories.files }}"
      loop_control:
        label: "{{ item.path }}"
`;
}
