import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Bundle } from "./bundle-worker.ts";
import { removeIfPossible } from "./remove-if-possible.ts";
import { done, type Step } from "../step.ts";
import { readXzModule, XZ_MODULE_NAME } from "../xz-module.ts";

/** The modules of the Worker; the first one is the entry. */
export type WorkerModules = readonly (
  | { readonly type: "ESModule"; readonly path: string; readonly contents: string }
  | { readonly type: "CompiledWasm"; readonly path: string; readonly contents: Buffer<ArrayBuffer> }
)[];

/** The entry of the Worker, below the root. */
const ENTRY = "src/worker.ts";
/** What the bundle is called, for workerd and in an installed package. */
const WORKER_NAME = "worker.js";
/** Where the bundle is kept, below the root. */
const CACHE = "node_modules/.cache/lazy-mirror/worker";
/** What else the bundle depends on, below the root: how it is made, and which versions of esbuild and of packages are installed. A missing one counts as empty. */
const CONDITIONS = ["src/local/server/bundle-worker.ts", "tsconfig.json", "package-lock.json", "node_modules/.package-lock.json"];

/**
 * The Worker of the project in the folder `root`: that of an installed package, else the bundle of an earlier call, or a new one, which is kept for the next call where that folder can be
 * written. Refuses with `bundle`'s problems.
 */
export async function loadWorker(
  root: string,
  bundle: (root: string, entry: string) => Promise<Step<Bundle>> = bundleNow,
): Promise<Step<WorkerModules>> {
  const packed = readPacked(root);
  if (packed !== null) return done(packed);
  const kept = readKept(root);
  if (kept !== null) return done(modulesOf(kept));
  const began = Date.now();
  const made = await bundle(root, ENTRY);
  if (!made.ok) return made;
  keep(root, made.value, began);
  return done(modulesOf(made.value.script));
}

/** esbuild is loaded by a start that needs it, and by no other. */
async function bundleNow(root: string, entry: string): Promise<Step<Bundle>> {
  const { bundleWorker } = await import("./bundle-worker.ts");
  return bundleWorker(root, entry);
}

function modulesOf(script: string): WorkerModules {
  return [
    { type: "ESModule", path: WORKER_NAME, contents: script },
    { type: "CompiledWasm", path: XZ_MODULE_NAME, contents: readXzModule() },
  ];
}

/** Those of an installed package, which has the Worker bundled and no sources of it (packaging/build-package.ts); null: this is a checkout. */
function readPacked(root: string): WorkerModules | null {
  try {
    return [
      { type: "ESModule", path: WORKER_NAME, contents: readFileSync(join(root, WORKER_NAME), "utf8") },
      { type: "CompiledWasm", path: XZ_MODULE_NAME, contents: readFileSync(join(root, XZ_MODULE_NAME)) },
    ];
  } catch {
    return null;
  }
}

/** The script that is kept, if it is whole, and made of what is there now; else null. */
function readKept(root: string): string | null {
  try {
    const file = readFileSync(join(root, CACHE), "utf8");
    const end = file.indexOf("\n");
    const { digest, inputs } = JSON.parse(file.slice(0, end)) as { readonly digest: string; readonly inputs: readonly string[] };
    const script = file.slice(end + 1);
    return digest === digestOf(root, { script, inputs }) ? script : null;
  } catch {
    return null; // None is kept, or it is damaged, or made of files that are gone.
  }
}

/**
 * Replaces the kept bundle, a line of JSON and the script, unless an input was changed since the bundling began. All users may read it, as they may read the
 * packages beside it: the service may run as another user than the one who installed it. Never throws: an installation that cannot be written, a folder of
 * another user or a full disk means that the next start bundles again.
 */
function keep(root: string, bundle: Bundle, began: number): void {
  const path = join(root, CACHE);
  const draft = `${path}.${process.pid}`;
  const mask = process.umask(0o022);
  try {
    if (bundle.inputs.some((name) => statSync(join(root, name)).mtimeMs >= began)) return;
    mkdirSync(dirname(path), { recursive: true });
    const header = JSON.stringify({ digest: digestOf(root, bundle), inputs: bundle.inputs });
    writeFileSync(draft, `${header}\n${bundle.script}`);
    renameSync(draft, path);
  } catch {
    removeIfPossible(draft);
  } finally {
    process.umask(mask);
  }
}

/** Of the script and of the bytes of all that it depends on: dates and sizes stay the same where packages are installed anew. Throws where an input is gone. */
function digestOf(root: string, { script, inputs }: Bundle): string {
  const digest = createHash("sha256");
  const add = (name: string, bytes: string | Buffer): void => void digest.update(`${name}\n${bytes.length}\n`).update(bytes);
  for (const name of inputs) add(name, readFileSync(join(root, name)));
  for (const name of CONDITIONS) add(name, readIfThere(join(root, name)));
  add("script", script);
  return digest.digest("hex");
}

function readIfThere(path: string): string | Buffer {
  try {
    return readFileSync(path);
  } catch {
    return "";
  }
}
