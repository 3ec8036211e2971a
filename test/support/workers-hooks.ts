import { registerHooks } from "node:module";

const XZ = `import { readXzModule } from "${new URL("../../src/local/xz-module.ts", import.meta.url).href}";
export default new WebAssembly.Module(readXzModule());`;

/** Lets this process import the whole Worker: the Durable Objects' classes without the platform, and the module that workerd imports as a file. */
export function registerWorkersHooks(): void {
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === "cloudflare:workers") return { url: new URL("./workers-module.ts", import.meta.url).href, shortCircuit: true };
      // The module is no file before the first build: what it is made of does not matter here.
      if (specifier.endsWith(".wasm")) return { url: new URL(specifier, context.parentURL).href, format: "module", shortCircuit: true };
      return next(specifier, context);
    },
    load: (url, context, next) => (url.endsWith(".wasm") ? { format: "module", source: XZ, shortCircuit: true } : next(url, context)),
  });
}
