import { build, stop, type BuildFailure, type Plugin } from "esbuild";
import { done, refused, type Step } from "../step.ts";
import { XZ_MODULE_NAME } from "../xz-module.ts";

/** The Worker as one script, with the paths of the files that it was made of, below the root. */
export interface Bundle {
  readonly script: string;
  readonly inputs: readonly string[];
}

/** What the Worker imports of WebAssembly stays an import, of a module beside the script. */
const keepWasm: Plugin = {
  name: "keep-wasm",
  setup: ({ onResolve }) => onResolve({ filter: /\.wasm$/ }, () => ({ path: `./${XZ_MODULE_NAME}`, external: true })),
};

/**
 * Bundles the Worker as `wrangler deploy` does: one ES module that still imports the runtime's own modules and the decoder of xz, which lies beside it.
 * `entry` is a path below the folder `root`. Refuses with esbuild's errors.
 */
export async function bundleWorker(root: string, entry: string): Promise<Step<Bundle>> {
  try {
    const { outputFiles, metafile } = await build({
      absWorkingDir: root,
      entryPoints: [entry],
      bundle: true,
      write: false,
      metafile: true,
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
    return done({ script: output.text, inputs: Object.keys(metafile.inputs) });
  } catch (error) {
    const { errors = [] } = error as Partial<BuildFailure>;
    if (errors.length === 0) throw error;
    return refused(...errors.map(({ text, location }) => `Cannot bundle ${location?.file ?? entry}:${location?.line ?? 0}: ${text}`));
  } finally {
    // esbuild keeps a process running for the next build. We build once, and that process would keep ours alive.
    await stop();
  }
}
