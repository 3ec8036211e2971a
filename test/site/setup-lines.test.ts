import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApp } from "../../src/app.ts";
import { requireTools, runTool } from "../support/run-tool.ts";
import { siteDependencies } from "../unit/site/site.ts";

const DISTROS = [
  "debian",
  "debian-security",
  "ubuntu",
  "fedora",
  "epel",
  "centos-stream",
  "rocky",
  "almalinux",
  "opensuse",
  "archlinux",
  "alpine",
];
/** One of each package manager, for tools that take seconds for each file. */
const FAMILIES = ["debian", "fedora", "opensuse", "archlinux", "alpine"];

const OPEN = createApp(siteDependencies({ MIRRORS: tables({}) }));
const CLOSED = createApp(siteDependencies({ MIRRORS: tables({ access: { users: { ci: "a-password-of-sixteen" } } }) }));

function tables(more: object) {
  return Object.fromEntries(DISTROS.map((distro) => [distro, { distro, upstreams: ["http://one.example/tree"], ...more }]));
}

let folder: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "lazy-mirror-lines-"))));
afterAll(() => rmSync(folder, { recursive: true }));

/** The lines of each of `distros` in a file: from an open mirror, one with a fallback, one with users. */
async function writeLines(format: string, distros: readonly string[], extension: string): Promise<readonly string[]> {
  const variants = [
    { app: OPEN, fallback: "none" },
    { app: OPEN, fallback: "direct" },
    { app: CLOSED, fallback: "direct" },
  ];
  const files: string[] = [];
  for (const distro of distros) {
    for (const [index, { app, fallback }] of variants.entries()) {
      const url = `http://127.0.0.1/-/setup/${distro}?for=${format}&fallback=${fallback}`;
      const answer = await app.fetch(new Request(url, { headers: { host: "127.0.0.1:8787" } }));
      expect({ url, status: answer.status }).toEqual({ url, status: 200 });
      const file = join(folder, `${distro}-${format}-${index}.${extension}`);
      writeFileSync(file, await answer.text());
      files.push(file);
    }
  }
  return files;
}

/** `cloud-init schema --config-file` for many files, which takes two seconds for each. */
const CHECK_SCHEMA = `import sys
from cloudinit.config.schema import get_schema, validate_cloudconfig_file
for path in sys.argv[1:]: validate_cloudconfig_file(path, get_schema())
`;

describe.runIf(requireTools("cloud-init"))("cloud-init", () => {
  it("takes its lines", async () => {
    const files = await writeLines("cloud-init", DISTROS, "yaml");
    expect(await runTool("/usr/bin/python3", ["-c", CHECK_SCHEMA, ...files])).toMatchObject({ code: 0, stderr: "" });
  });
});

describe.runIf(requireTools("ansible-lint", "ansible-playbook"))("Ansible", () => {
  it("takes its playbooks, and finds nothing to better in them", async () => {
    const files = (await writeLines("ansible", FAMILIES, "yml")).filter((file) => file.endsWith("-2.yml"));
    const options = { cwd: folder, env: { ANSIBLE_LOCAL_TEMP: folder } };
    expect(await runTool("ansible-playbook", ["--syntax-check", "--inventory", "localhost,", ...files], options)).toMatchObject({
      code: 0,
    });
    // These need no collection, so that it need not look for any on the network.
    const run = await runTool("ansible-lint", ["--offline", "--nocolor", "--project-dir", folder, ...files], options);
    expect(run).toMatchObject({ code: 0, stdout: "" });
  });
});

describe.runIf(requireTools("debconf-set-selections"))("Debian's installer", () => {
  it("takes its lines", async () => {
    for (const file of await writeLines("preseed", ["debian"], "cfg"))
      expect(await runTool("debconf-set-selections", ["--checkonly", file])).toMatchObject({ code: 0, stderr: "" });
  });
});

/** Runs mock's configuration over one that has the same repositories, and prints the sections of the result. */
const EXEC_MOCK = `import sys
sections = '\\n[main]\\nkeepcache=1\\n\\n' + ''.join('[' + name + ']\\nenabled=1\\n\\n' for name in ('fedora', 'updates', 'baseos', 'appstream', 'extras', 'epel', 'crb'))
for path in sys.argv[1:]:
    options = {'dnf.conf': sections}
    exec(compile(open(path).read(), path, 'exec'), {'config_opts': options, 'include': lambda path: None})
    names = [line[1:-1] for line in options['dnf.conf'].split('\\n') if line.startswith('[')]
    assert names[0] == 'main' and 'crb' in names, names
    ours = [name.split('-')[-1] for name in names if name.startswith('lazy-mirror-')]
    assert ours and not set(ours) & set(names), names
`;

/** Takes the shell text out of the YAML, so that what CI runs is what is checked. */
const PRINT_STEP = `import sys, yaml
for path in sys.argv[1:]:
    text = yaml.safe_load(open(path))
    print(text[0]['run'] if isinstance(text, list) else text['before_script'][0] if 'before_script' in text else '')
    if isinstance(text, dict) and 'autoinstall' in text: assert text['autoinstall']['apt']['mirror-selection']['primary'][0]['uri'].startswith('http')
`;

describe.runIf(requireTools("python3"))("Python", () => {
  it("runs mock's configurations, whose repositories stand in the place of its own", async () => {
    const files = await writeLines("mock", ["fedora", "epel", "centos-stream", "rocky", "almalinux"], "cfg");
    expect(await runTool("python3", ["-c", EXEC_MOCK, ...files])).toMatchObject({ code: 0, stderr: "" });
  });
});

describe.runIf(requireTools("cloud-init"))("YAML", () => {
  it.each(["github-actions", "gitlab"])("of %s has commands that a shell can read", async (format) => {
    // cloud-init brings Debian's own Python its parser.
    const run = await runTool("/usr/bin/python3", ["-c", PRINT_STEP, ...(await writeLines(format, DISTROS, "yml"))]);
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(await runTool("sh", ["-n"], { input: run.stdout })).toMatchObject({ code: 0, stderr: "" });
    expect(run.stdout.match(/http:\/\/(NAME:PASSWORD@)?127\.0\.0\.1:8787/g)?.length).toBeGreaterThan(DISTROS.length);
  });

  it("of Ubuntu's installer is well formed", async () => {
    const run = await runTool("/usr/bin/python3", ["-c", PRINT_STEP, ...(await writeLines("autoinstall", ["ubuntu"], "yml"))]);
    expect(run).toMatchObject({ code: 0, stderr: "" });
  });
});
