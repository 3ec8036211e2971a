import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type AptRepository, openAptRepository } from "../support/apt-repository.ts";
import { APT_TOOLS, openApt } from "../support/clients/apt.ts";
import { SMALL } from "../support/clients/scenario.ts";
import { findFreePort } from "../support/mirror.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { mustRun, requireTools, runTool } from "../support/run-tool.ts";

const ROOT = join(import.meta.dirname, "../..");
const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { readonly version: string };
/** Packing, npm's downloads and image layers take their time. */
const SLOW_MS = 600_000;
/** What the base of the container needs: a shell, the tools of npm's scripts, and `strip`. The image takes its libraries over. */
const BASE_PACKAGES = "base-files,binutils,coreutils,dash,findutils,grep,gzip,libc-bin,libc6,libgcc-s1,libstdc++6,sed,tar";
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

let folder: string;
let repository: AptRepository;
let origin: Origin;
let config: string;
let started: ChildProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-packages-"));
  repository = await openAptRepository();
  origin = await startOrigin(repository.folder);
  config = join(folder, "mirror.toml");
  writeFileSync(config, `[vars.MIRRORS.debian]\ndistro = "debian"\nupstreams = ["${origin.url}"]\n`);
  execFileSync(process.execPath, ["packaging/build-package.ts"], { cwd: ROOT });
}, SLOW_MS);
afterEach(async () => {
  for (const child of started) child.kill("SIGTERM");
  await Promise.all(started.map(async (child) => child.exitCode ?? child.signalCode ?? (await once(child, "exit"))));
  started = [];
});
afterAll(async () => {
  await origin?.close();
  for (const path of [folder, repository?.folder]) if (path !== undefined) rmSync(path, { recursive: true, force: true, maxRetries: 5 });
});

/** Starts a server by `command`, and resolves with its URL once it is ready. */
async function startServer(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const port = await findFreePort();
  const child = spawn(command, [...args, "--port", String(port)], { cwd: folder, env: { PATH, HOME: folder, ...env } });
  started.push(child);
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (text: Buffer) => (printed += text.toString()));
  const url = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + 60_000;
  const isReady = async (): Promise<boolean> => (await fetch(`${url}/-/health`)).ok;
  while (!(await isReady().catch(() => false))) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`Cannot start ${command}: ${printed}`);
    await wait(200);
  }
  return url;
}

/** Whether real apt updates and installs through the server. */
async function installs(url: string): Promise<boolean> {
  const apt = openApt(`${url}/debian`, repository.key);
  try {
    await apt.refresh();
    return (await apt.install({ name: SMALL, path: "" })).code === 0;
  } finally {
    apt.remove();
  }
}

describe.runIf(requireTools("npm", ...APT_TOOLS))("the npm package", () => {
  test(
    "installs from a tarball, and its command serves and asks, without a checkout or a wrangler.toml",
    { timeout: SLOW_MS },
    async () => {
      const packed = await mustRun("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder], {
        cwd: ROOT,
        env: { HOME: homedir() },
        timeoutMs: SLOW_MS,
      });
      const { filename } = (Object.values(JSON.parse(packed) as object) as { readonly filename: string }[])[0] ?? { filename: "" };
      const prefix = join(folder, "prefix");
      await mustRun("npm", ["install", "-g", "--prefix", prefix, "--prefer-offline", "--no-audit", "--no-fund", join(folder, filename)], {
        env: { HOME: homedir() },
        cwd: folder,
        timeoutMs: SLOW_MS,
      });
      const command = join(prefix, "bin/lazy-mirror");
      const run = (...args: readonly string[]) => runTool(command, args, { cwd: folder });
      expect((await run("--version")).stdout).toBe(`${version}\n`);
      expect((await run("--help")).stdout).toMatch(/start.*instances.*mirror.*doctor.*cost.*deploy/s);
      expect((await run("mirror", "--help")).stdout).toContain("Usage: lazy-mirror mirror ");
      expect((await run("cost", "--help")).stdout).toContain("Usage: lazy-mirror cost ");
      expect((await run("deploy", "--dry-run")).code).toBe(0);
      expect((await run("deploy")).stderr).toContain("Cannot deploy without wrangler: install it");

      const state = join(folder, "npm-state");
      const url = await startServer(command, ["start", "--config", config, "--state", state]);
      expect(await installs(url)).toBe(true);
      const status = await run("mirror", "--server", url, "--state", state, "status");
      expect(status.stdout).toMatch(/debian +[1-9]\d* objects/);
      expect((await run("doctor", `${url}/`)).stdout).not.toBe("");
    },
  );
});

describe.runIf(requireTools("dpkg-deb", "dpkg", "systemd-sysusers", ...APT_TOOLS))("the Debian package", () => {
  let root: string;
  /** Its scripts run outside the root, on it (deb-postinst(5), DPKG_ROOT): the root needs no programs of its own. */
  const dpkg = (...args: readonly string[]) =>
    mustRun("dpkg", [`--root=${root}`, "--force-script-chrootless", "--force-depends", ...args], { timeoutMs: SLOW_MS });
  const build = async (debVersion: string): Promise<string> => {
    await mustRun("sh", [join(ROOT, "packaging/build-deb.sh")], {
      env: { DEB_VERSION: debVersion, DEB_COMPRESSION: "none" },
      timeoutMs: SLOW_MS,
    });
    return join(ROOT, `build/lazy-mirror_${debVersion}_${(await mustRun("dpkg", ["--print-architecture"])).trim()}.deb`);
  };

  beforeAll(() => {
    root = join(folder, "root");
    mkdirSync(join(root, "var/lib/dpkg/updates"), { recursive: true });
    mkdirSync(join(root, "var/lib/dpkg/info"));
    mkdirSync(join(root, "etc"));
    writeFileSync(join(root, "var/lib/dpkg/status"), "");
    writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/:/bin/sh\n");
    writeFileSync(join(root, "etc/group"), "root:x:0:\n");
  });

  test(
    "is installed, serves by its unit's command, keeps what the administrator changed, and is purged",
    { timeout: SLOW_MS },
    async () => {
      await dpkg("-i", await build("0.0.1"));
      expect(readFileSync(join(root, "etc/passwd"), "utf8")).toMatch(/^lazy-mirror:/m);

      const unit = readFileSync(join(root, "usr/lib/systemd/system/lazy-mirror.service"), "utf8");
      expect(unit).toContain("\nUser=lazy-mirror\n");
      const [, line = ""] = /^ExecStart=(.*\\\n.*)$/m.exec(unit) ?? [];
      const [program = "", ...args] = line.replaceAll("\\\n", " ").trim().split(/\s+/);
      expect(args).toContain("/etc/lazy-mirror/wrangler.toml");
      // As the unit has it, but in this root, on its own port and state.
      const own = args.filter(
        (_, at) =>
          !["--port", "--ip", "--state", "--config"].includes(args[at] ?? "") &&
          !["--port", "--ip", "--state", "--config"].includes(args[at - 1] ?? ""),
      );
      const inRoot = own.map((arg) => (arg.startsWith("/usr/") ? join(root, arg) : arg));
      const url = await startServer(join(root, program), [...inRoot, "--config", config, "--state", join(folder, "deb-state")]);
      expect(await installs(url)).toBe(true);

      appendFileSync(join(root, "etc/lazy-mirror/wrangler.toml"), "# of the administrator\n");
      await dpkg("-i", await build("0.0.2"));
      expect(readFileSync(join(root, "etc/lazy-mirror/wrangler.toml"), "utf8")).toContain("# of the administrator");

      mkdirSync(join(root, "var/lib/lazy-mirror"), { recursive: true });
      writeFileSync(join(root, "var/lib/lazy-mirror/stored"), "bytes");
      await dpkg("--remove", "lazy-mirror");
      expect(existsSync(join(root, "usr/lib/lazy-mirror"))).toBe(false);
      expect([existsSync(join(root, "var/lib/lazy-mirror/stored")), existsSync(join(root, "etc/lazy-mirror/wrangler.toml"))]).toEqual([
        true,
        true,
      ]);
      await dpkg("--purge", "lazy-mirror");
      expect([existsSync(join(root, "var/lib/lazy-mirror")), existsSync(join(root, "etc/lazy-mirror/wrangler.toml"))]).toEqual([
        false,
        false,
      ]);
    },
  );

  test.runIf(requireTools("lintian"))("lintian finds no error in its control files and scripts", { timeout: SLOW_MS }, async () => {
    const { stdout } = await runTool("lintian", ["--fail-on=none", "--suppress-tags", LEFT, await build("0.0.3")], {
      env: { HOME: folder },
      cwd: folder,
      timeoutMs: SLOW_MS,
    });
    expect(stdout.split("\n").filter((line) => line.startsWith("E: "))).toEqual([]);
  });
});

/** What a package of programs that were built elsewhere has by its nature: Node and workerd with what they contain, no Debian changelog of its own. */
const LEFT =
  "missing-dep-for-interpreter,uses-no-compression-for-control-tarball,uses-no-compression-for-data-tarball,embedded-library,no-changelog,no-copyright-file,copyright-without-copyright-notice,statically-linked-binary,unstripped-binary-or-object";

describe.runIf(requireTools("buildah", "mmdebstrap", "npm", ...APT_TOOLS))("the container", () => {
  let storage: Readonly<Record<string, string>>;
  const buildah = (...args: readonly string[]) =>
    mustRun("buildah", args, { cwd: ROOT, env: { ...storage, HOME: homedir() }, timeoutMs: SLOW_MS });

  const npmSetting = async (name: string): Promise<string> =>
    (await mustRun("npm", ["config", "get", name], { env: { HOME: homedir() } })).trim();

  /** The image that the Dockerfile builds on: Debian's files alone, and the Node and npm of this machine. */
  async function makeBase(): Promise<string> {
    const base = join(folder, "base");
    await mustRun("mmdebstrap", ["--quiet", "--variant=extract", `--include=${BASE_PACKAGES}`, "bookworm", base], { timeoutMs: SLOW_MS });
    if (!existsSync(join(base, "bin/sh"))) symlinkSync("dash", join(base, "bin/sh"));
    const npm = realpathSync((await mustRun("sh", ["-c", "command -v npm"])).trim()).replace(/\/bin\/npm-cli\.js$/, "");
    const node = realpathSync((await mustRun("sh", ["-c", "command -v node"])).trim());
    cpSync(node, join(base, "usr/bin/node"));
    cpSync(npm, join(base, "usr/lib/node_modules/npm"), { recursive: true });
    for (const name of ["npm", "npx"]) symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(base, "usr/bin", name));
    mkdirSync(join(base, "etc/ssl/certs"), { recursive: true });
    cpSync(realpathSync("/etc/ssl/certs/ca-certificates.crt"), join(base, "etc/ssl/certs/ca-certificates.crt"));
    // npm's own settings of this machine, from where it fetches and which authorities it believes; and what it has fetched already.
    const files = [await npmSetting("globalconfig"), await npmSetting("userconfig")];
    const settings = files.map((file) => (existsSync(file) ? readFileSync(file, "utf8") : ""));
    mkdirSync(join(base, "usr/etc"), { recursive: true });
    writeFileSync(join(base, "usr/etc/npmrc"), [...settings, "cache=/var/cache/npm", "prefer-offline=true", ""].join("\n"));
    return base;
  }

  beforeAll(() => {
    const file = join(folder, "storage.conf");
    writeFileSync(file, `[storage]\ndriver = "vfs"\ngraphroot = "${folder}/images"\nrunroot = "${folder}/run"\n`);
    storage = { CONTAINERS_STORAGE_CONF: file, BUILDAH_ISOLATION: "chroot" };
  });
  afterAll(async () => {
    await buildah("rm", "--all").catch(() => "");
  });

  test(
    "is built without a registry, stays below 250 MB, serves apt as a user of its own, and ends at SIGTERM",
    { timeout: SLOW_MS },
    async () => {
      const container = (await buildah("from", "scratch")).trim();
      await buildah("add", "--quiet", container, await makeBase(), "/");
      await buildah("commit", "--quiet", container, "localhost/base");
      const options = ["--quiet", "--network", "host", "--layers=false", "--volume", `${await npmSetting("cache")}:/var/cache/npm`];
      await buildah("bud", ...options, "--build-arg", "BASE=localhost/base", "--tag", "localhost/lazy-mirror", ".");
      const images = JSON.parse(await buildah("images", "--json", "localhost/lazy-mirror")) as readonly { readonly size: string }[];
      expect(Number.parseFloat(images[0]?.size ?? "999")).toBeLessThan(250);
      expect(images[0]?.size).toMatch(/ MB$/);

      const image = JSON.parse(await buildah("inspect", "--type", "image", "localhost/lazy-mirror")) as {
        readonly OCIv1: {
          readonly config: { readonly User: string; readonly Entrypoint: readonly string[]; readonly Cmd: readonly string[] };
        };
      };
      const { User, Entrypoint, Cmd } = image.OCIv1.config;
      expect([User, Cmd[0]]).toEqual(["8787:0", "start"]);

      const running = (await buildah("from", "localhost/lazy-mirror")).trim();
      const volumes = ["--volume", `${config}:/etc/lazy-mirror/wrangler.toml:ro`];
      const url = await startServer("buildah", ["run", ...volumes, running, "--", ...Entrypoint, ...Cmd], storage);
      expect(await installs(url)).toBe(true);
      const status = await buildah("run", running, "--", "lazy-mirror", "mirror", "--server", url, "status");
      expect(status).toMatch(/debian +[1-9]\d* objects/);
      // buildah passes no signal on to what it runs.
      const [pid] = (await mustRun("pgrep", ["-f", `^${Entrypoint[0]} .*--port ${new URL(url).port}`])).split("\n");
      process.kill(Number(pid), "SIGTERM");
      expect((await once(started[0] ?? process, "exit"))[0]).toBe(0);
    },
  );
});
