/** Whether memory grows: an hour of hits, cold packages and cold images, and what the mirror's processes hold after each round. Run: node bench/soak.ts [minutes] */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeDeb, placeFile, placeSparseIso } from "../test/support/large-files.ts";
import { downloadAll, downloadOne, hammer, usageOf } from "./bench-measure.ts";
import { startLazyMirror } from "./peers/lazy-mirror.ts";
import { startOrigin } from "./peers/nginx.ts";

const MINUTES = Number(process.argv[2] ?? 60);
const HIT_SECONDS = 20;
const PACKAGES = 300;
const AT_ONCE = 20;
const IMAGE_BYTES = 60_000_000;

const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-soak-"));
// The origin gives up root.
chmodSync(folder, 0o755);
const files = join(folder, "files");
mkdirSync(files);
const origin = await startOrigin(join(folder, "origin"), files, [0]);
const [port = 0] = origin.ports;
const mirror = await startLazyMirror(join(folder, "mirror"), [port]);
try {
  const warm = placeFile(files, "/warm_1_all.deb", makeDeb("warm", 100_000));
  let hits = 0;
  const end = Date.now() + MINUTES * 60_000;
  for (let round = 1; Date.now() < end; round++) {
    hits += (await hammer(mirror.url(port) + warm.path, 16, HIT_SECONDS)).count;
    const urls = Array.from({ length: PACKAGES }, (_, index) => {
      const name = `${round}-${index}`;
      return mirror.url(port) + placeFile(files, `/cold/${name}_1_all.deb`, makeDeb(name, 60_000)).path;
    });
    for (let at = 0; at < PACKAGES; at += AT_ONCE) await downloadAll(urls.slice(at, at + AT_ONCE));
    placeSparseIso(files, `/cold/${round}.iso`, IMAGE_BYTES);
    await downloadOne(`${mirror.url(port)}/cold/${round}.iso`);
    rmSync(join(files, "cold"), { recursive: true });
    const { memoryMiB, cpuSeconds } = usageOf(mirror.pid);
    console.log(
      `round ${round}: ${memoryMiB.toFixed(0)} MiB, ${cpuSeconds.toFixed(0)} s of CPU; ${hits} hits, ${round * PACKAGES} packages, ${round} images so far`,
    );
  }
} finally {
  await mirror.stop();
  await origin.stop();
  rmSync(folder, { recursive: true, force: true });
}
