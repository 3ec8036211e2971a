import { build, stop, type BuildFailure, type Plugin } from "esbuild";
import { done, refused, type Step } from "../step.ts";
import { readXzModule, XZ_MODULE_NAME } from "../xz-module.ts";

/** The modules of the Worker; the first one is the entry. */
export type WorkerModules = readonly (
  | { readonly type: "ESModule"; readonly path: string; readonly contents: string }
  | { readonly type: "CompiledWasm"; readonly path: string; readonly contents: Buffer<ArrayBuffer> }
)[];

/** What the Worker imports of WebAssembly stays an import, of a module beside the script. */
const keepWasm: Plugin = {
  name: "keep-wasm",
  setup: ({ onResolve }) => onResolve({ filter: /\.wasm$/ }, () => ({ path: `./${XZ_MODULE_NAME}`, external: true })),
};

/**
 * Bundles the Worker as `wrangler deploy` does: one ES module that still imports the runtime's own modules and the decoder of xz, which lies beside it.
 * Refuses with esbuild's errors.
 */
export async function bundleWorker(entry: string): Promise<Step<WorkerModules>> {
  try {
    const { outputFiles } = await build({
      entryPoints: [entry],
      bundle: true,
      write: false,
      format: "esm",
      target: "es2024",
      platform: "browser",
      conditions: ["workerd", "worker", "browser"],
      external: ["cloudflare:*", "node:*"],
      plugins: [keepWasm],
      logLevel: "silent",
    });
    const [output] = outputFiles;
    if (output === undefined) return refused(`Cannot bundle "${entry}": esbuild wrote nothing.`);
    return done([
      { type: "ESModule", path: "worker.js", contents: output.text },
      { type: "CompiledWasm", path: XZ_MODULE_NAME, contents: readXzModule() },
    ]);
  } catch (error) {
    const { errors = [] } = error as Partial<BuildFailure>;
    if (errors.length === 0) throw error;
    return refused(...errors.map(({ text, location }) => `Cannot bundle ${location?.file ?? entry}:${location?.line ?? 0}: ${text}`));
  } finally {
    // esbuild keeps a process running for the next build. We build once, and that process would keep ours alive.
    await stop();
  }
}
