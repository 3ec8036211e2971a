import { build, stop, type BuildFailure } from "esbuild";
import { done, refused, type Step } from "../step.ts";

/** Bundles the Worker as `wrangler deploy` does: one ES module that still imports the runtime's own modules. Refuses with esbuild's errors. */
export async function bundleWorker(entry: string): Promise<Step<string>> {
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
      logLevel: "silent",
    });
    const [output] = outputFiles;
    return output === undefined ? refused(`Cannot bundle "${entry}": esbuild wrote nothing.`) : done(output.text);
  } catch (error) {
    const { errors = [] } = error as Partial<BuildFailure>;
    if (errors.length === 0) throw error;
    return refused(...errors.map(({ text, location }) => `Cannot bundle ${location?.file ?? entry}:${location?.line ?? 0}: ${text}`));
  } finally {
    // esbuild keeps a process running for the next build. We build once, and that process would keep ours alive.
    await stop();
  }
}
