import { setTimeout as sleep } from "node:timers/promises";
import type { Download } from "./download.ts";
import { download } from "./download.ts";
import { makeDeb, placeFile } from "./large-files.ts";
import type { Origin } from "./origin.ts";

export interface FlappingOptions {
  /** URL of a mirror over `flapping` and another origin of the same folder. */
  readonly url: string;
  readonly flapping: Origin;
  readonly clients: number;
  /** Times that it goes away, for `flapMs`, and comes back for as long. */
  readonly flaps: number;
  readonly flapMs: number;
}

export interface FlappingResult {
  readonly downloads: number;
  readonly failures: readonly (Omit<Download, "bytes"> & { readonly path: string })[];
}

/** Each client downloads one cold package after the other while an upstream comes and goes. */
export async function downloadWhileFlapping({ url, flapping, clients, flaps, flapMs }: FlappingOptions): Promise<FlappingResult> {
  let [isOver, downloads] = [false, 0];
  const failures: FlappingResult["failures"][number][] = [];
  const working = Array.from({ length: clients }, async () => {
    while (!isOver) {
      const serial = downloads++;
      const file = placeFile(flapping.folder, `/pool/${serial}.deb`, makeDeb(String(serial), serial % 10 === 0 ? 1_000_000 : 30_000));
      const { bytes: _bytes, ...got } = await download(url + file.path);
      if (got.status !== 200 || got.sha256 !== file.sha256 || !got.isWhole) failures.push({ path: file.path, ...got });
    }
  });
  for (let n = 0; n < flaps; n++) {
    await sleep(flapMs);
    await flapping.close();
    await sleep(flapMs);
    await flapping.restart();
  }
  isOver = true;
  await Promise.all(working);
  return { downloads, failures };
}
