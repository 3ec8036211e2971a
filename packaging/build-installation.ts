// Puts an installation into the folder that the arguments name: what build-package.ts has made, with Node and workerd, without their symbols if `strip` is there.
// The Dockerfile and build-deb.sh call it. With --image it makes a whole root file system: the libraries, shell and certificates of the machine as well.
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";

const ROOT = join(import.meta.dirname, "..");
/** Of the user in an image, whom no other file belongs to. Its group is root's, as OpenShift has it for users that it makes up. */
const USER = { id: 8787, name: "lazy-mirror" };
const STATE = "var/lib/lazy-mirror";

const { values, positionals } = parseArgs({ options: { image: { type: "boolean", default: false } }, allowPositionals: true });
const [target] = positionals;
if (target === undefined) throw new Error("Cannot build an installation: name the folder that it goes into");
const home = values.image ? join(target, "usr/lib/lazy-mirror") : target;
rmSync(home, { recursive: true, force: true });
cpSync(join(ROOT, "build/package"), home, { recursive: true });
const node = copyProgram("node_modules/node/bin/node");
const workerd = copyProgram(`node_modules/@cloudflare/workerd-linux-${process.arch === "arm64" ? "arm64" : "64"}/bin/workerd`);
for (const file of ["node_modules/node/package.json", "node_modules/workerd/package.json", "node_modules/workerd/lib"]) copy(file);
copy(`${dirname(dirname(workerd))}/package.json`);
if (values.image) buildImage(target, [join(ROOT, node), join(ROOT, workerd), "/bin/sh"]);

function copy(file: string): void {
  mkdirSync(dirname(join(home, file)), { recursive: true });
  cpSync(join(ROOT, file), join(home, file), { recursive: true, dereference: true });
}

/** Copies a program, and returns its path again. Without symbols it is a quarter smaller. */
function copyProgram(file: string): string {
  // npm may have put workerd's binary in the place of its launcher alone.
  copy(existsSync(join(ROOT, file)) ? file : "node_modules/workerd/bin/workerd");
  spawnSync("strip", [join(home, file)], { stdio: "ignore" });
  return file;
}

function buildImage(root: string, programs: readonly string[]): void {
  const put = (file: string, from = file): void => {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    cpSync(realpathSync(from), join(root, file), { recursive: true });
  };
  put("/bin/sh");
  for (const library of new Set(programs.flatMap(librariesOf))) put(library);
  put("/etc/ssl/certs/ca-certificates.crt");
  const entry = `${USER.name}:x:${USER.id}:0::/${STATE}:/bin/sh\n`;
  writeFileSync(join(root, "etc/passwd"), `root:x:0:0::/:/bin/sh\n${entry}`);
  writeFileSync(join(root, "etc/group"), "root:x:0:\n");
  writeFileSync(join(root, "etc/nsswitch.conf"), "hosts: files dns\n");
  // Any user whose group is root's may write the state, and the temporary folder as everywhere.
  for (const [folder, mode] of [
    [STATE, 0o770],
    ["tmp", 0o1777],
  ] as const) {
    mkdirSync(join(root, folder), { recursive: true });
    chmodSync(join(root, folder), mode);
  }
  mkdirSync(join(root, "usr/bin"), { recursive: true });
  // There is no readlink or dirname for bin/lazy-mirror.
  const own = "/usr/lib/lazy-mirror";
  const command = `#!/bin/sh\nexec ${own}/${node} --max-semi-space-size=1 ${own}/src/local/command/command-main.js "$@"\n`;
  writeFileSync(join(root, "usr/bin/lazy-mirror"), command, { mode: 0o755 });
}

/** The paths of the libraries that a program loads, as ld.so itself says them (ld.so(8)): ldd is a script of bash. */
function librariesOf(program: string): readonly string[] {
  const { stdout, error } = spawnSync(program, [], { encoding: "utf8", env: { LD_TRACE_LOADED_OBJECTS: "1" } });
  if (error !== undefined) throw new Error(`Cannot read the libraries of ${program}: ${error.message}`);
  return [...stdout.matchAll(/^\s*(?:\S+ => )?(\/\S+)/gm)].map(([, path = ""]) => path);
}
