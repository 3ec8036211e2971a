/** 50 clients with cold packages for two minutes, while the first of two upstreams comes and goes: none should notice. Run: node bench/flapping.ts [seconds] */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { downloadWhileFlapping } from "../test/support/flapping.ts";
import { startMirror } from "../test/support/mirror.ts";
import { startOrigin } from "../test/support/origin.ts";

const SECONDS = Number(process.argv[2] ?? 120);
const FLAP_MS = 2_000;

const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-flapping-"));
const [flapping, steady] = [await startOrigin(folder), await startOrigin(folder)];
const mirror = await startMirror({ mirrors: { m: { upstreams: [flapping.url, steady.url] } } });
const flaps = Math.ceil((SECONDS * 1000) / (2 * FLAP_MS));
const { downloads, failures } = await downloadWhileFlapping({ url: mirror.prefixUrl("m"), flapping, clients: 50, flaps, flapMs: FLAP_MS });
const changes = mirror.output().match(/"kind":"breaker"/g)?.length ?? 0;
console.log(
  `${downloads} downloads, ${failures.length} failures, ${changes} changes of the breaker; ${flapping.log.length} requests to the flapping upstream, ${steady.log.length} to the other`,
);
for (const failure of failures.slice(0, 5)) console.error(failure);
await mirror.remove();
for (const origin of [flapping, steady]) await origin.close();
rmSync(folder, { recursive: true, force: true });
process.exitCode = failures.length === 0 ? 0 : 1;
