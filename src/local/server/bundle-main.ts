// npm runs this after an installation, so that the first start of the server finds the Worker bundled, and its own modules in Node's compile cache
// (NODE_COMPILE_CACHE in package.json). Where that fails, the start does it, and says why it cannot.
import { join } from "node:path";
import { loadWorker } from "./load-worker.ts";

await import("./server.ts");
await loadWorker(join(import.meta.dirname, "../../..")).catch(() => {});
