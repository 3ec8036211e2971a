/**
 * A warm image of 1 GB from a bucket that is far away: the share of the client's link that it gets, with every call of the store delayed. The whole Worker in
 * this process in virtual time, so that the machine's own speed is no part of it. Run: node bench/far-bucket.ts
 */
import { registerWorkersHooks } from "../test/support/workers-hooks.ts";
import { installVirtualTime } from "../test/chaos/virtual-time.ts";

const SIZE = 1_000_000_000;
const DELAYS_MS = [0, 100, 200, 400];
const LINKS_MBIT = [50, 200, 1_000];

registerWorkersHooks();
const { createFarMirror, download } = await import("../test/support/far-mirror.ts");
const time = installVirtualTime();
console.log(`| link        | ${DELAYS_MS.map((delayMs) => `${delayMs} ms`.padEnd(6)).join(" | ")} |`);
console.log(`| ----------- | ${DELAYS_MS.map(() => "-----:").join(" | ")} |`);
for (const mbit of LINKS_MBIT) {
  const shares: string[] = [];
  for (const delayMs of DELAYS_MS) {
    const { share } = await time.run(download(createFarMirror({ size: SIZE, delayMs }), { bytesPerSecond: (mbit * 1_000_000) / 8 }));
    shares.push(share.toFixed(2).padStart(6));
  }
  console.log(`| ${`${mbit} Mbit/s`.padEnd(11)} | ${shares.join(" | ")} |`);
}
time.uninstall();
