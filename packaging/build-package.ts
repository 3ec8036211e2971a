// Makes the folder `build/package`: Lazy Mirror as it is installed, in plain JavaScript, since Node strips no types below node_modules. Its only dependencies
// are Node and workerd. `npm run package` packs it, and the Dockerfile and packaging/deb/build-deb.sh put it into their images.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { loadWorker } from "../src/local/server/load-worker.ts";

const ROOT = join(import.meta.dirname, "..");
const TARGET = join(ROOT, "build/package");

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly license: string;
  readonly type: string;
  readonly engines: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly allowScripts: Readonly<Record<string, boolean>>;
}

rmSync(TARGET, { recursive: true, force: true });
mkdirSync(join(TARGET, "bin"), { recursive: true });
const modules = await loadWorker(ROOT);
if (!modules.ok) throw new Error(modules.problems.join("\n"));
for (const { path, contents } of modules.value) writeFileSync(join(TARGET, path), contents);
await build({
  absWorkingDir: ROOT,
  entryPoints: ["src/local/command/command-main.ts"],
  // As deep as the sources, which find the installation three folders above themselves.
  outdir: join(TARGET, "src/local/command"),
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node24",
  external: ["esbuild", "workerd"],
  // Packages of the older kind call `require`.
  banner: { js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);' },
  logLevel: "warning",
});
cpSync(join(ROOT, "packaging/lazy-mirror"), join(TARGET, "bin/lazy-mirror"));
for (const file of ["README.md", "LICENSE", "CHANGELOG.md"]) cpSync(join(ROOT, file), join(TARGET, file));
writeFileSync(join(TARGET, "wrangler.toml"), installed(readFileSync(join(ROOT, "wrangler.toml"), "utf8")));
const { name, version, description, license, type, engines, dependencies, allowScripts } = JSON.parse(
  readFileSync(join(ROOT, "package.json"), "utf8"),
) as Manifest;
const manifest = {
  name,
  version,
  description,
  license,
  type,
  engines,
  bin: { "lazy-mirror": "bin/lazy-mirror" },
  dependencies: { node: dependencies["node"], workerd: dependencies["workerd"] },
  allowScripts: { node: allowScripts["node"], workerd: allowScripts["workerd"] },
};
writeFileSync(join(TARGET, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);

/** The configuration as it stands, with the Worker that is already bundled. Throws where it has lost what we replace. */
function installed(toml: string): string {
  const changed = toml
    .replace('main = "src/worker.ts"', 'main = "worker.js"')
    .replace(/\n# Takes the decoder of xz.*\n\[build\]\n.*\n/, "");
  if (changed.includes("src/")) throw new Error('Cannot write the package\'s wrangler.toml: it should name nothing below "src/"');
  return changed;
}
