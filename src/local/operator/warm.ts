import type { MirrorClient } from "./mirror-client.ts";
import type { Printer } from "./printer.ts";
import { createProgress } from "./progress.ts";
import type { WarmTarget } from "./warm-list.ts";

/** Downloads the files, `parallel` at a time, and prints which of them failed, with JSON each. Returns how many failed. */
export async function warm(client: MirrorClient, targets: readonly WarmTarget[], parallel: number, print: Printer): Promise<number> {
  const left = [...targets];
  const progress = createProgress(targets.length, process.stderr);
  let failed = 0;
  const worker = async () => {
    for (let target = left.shift(); target !== undefined; target = left.shift()) {
      const file = progress.begin(target.path);
      const { status, bytes, detail } = await client.warm(target, file.at);
      file.end(bytes);
      const isWarm = status === 200;
      if (!isWarm) failed++;
      if (print.isJson) print.value({ ...target, status, bytes, detail });
      else if (!isWarm) progress.say(`${target.path}: ${status === 0 ? "" : `${status} `}${detail}`);
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  progress.end();
  return failed;
}
