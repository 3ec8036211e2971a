import { afterAll, beforeAll, expect, it } from "vitest";
import { createHistory } from "../../chaos/history.ts";
import { installPlatform } from "../../chaos/platform.ts";
import { runHistory } from "../../chaos/run-history.ts";
import { installVirtualTime, type VirtualTime } from "../../chaos/virtual-time.ts";

let time: VirtualTime;
let uninstall: () => void;
beforeAll(() => {
  uninstall = installPlatform();
  time = installVirtualTime();
});
afterAll(() => {
  time.uninstall();
  uninstall();
});

const FIRST = Number(process.env["SEED"] ?? 1);
const COUNT = Number(process.env["HISTORIES"] ?? 24);

it.each(Array.from({ length: COUNT }, (_, at) => FIRST + at))(
  "what a client gets directly it gets through the mirror: history %d",
  async (seed) => {
    const history = createHistory(seed);
    const found = await runHistory(history, time);
    if (found !== null)
      console.log(JSON.stringify({ ...history, steps: history.steps.slice(0, found.after) }), JSON.stringify(found, null, 1));
    expect(found).toBeNull();
  },
);
