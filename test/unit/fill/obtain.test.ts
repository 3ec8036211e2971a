import { expect, test } from "vitest";
import type { ClaimOptions } from "../../../src/fill/flight/leases.ts";
import { obtain } from "../../../src/fill/obtain.ts";
import type { PumpDependencies } from "../../../src/fill/pump/dependencies.ts";
import { createFill } from "../../../src/fill/shared/fill.ts";
import type { Target } from "../../../src/route/target.ts";
import type { StoredObject } from "../../../src/store/stored-object.ts";

const OBJECT: StoredObject = {
  version: "0".repeat(32),
  size: 300,
  sliceBytes: 100,
  contentType: "x/y",
  upstream: "",
  storedAt: 1,
  verified: "none",
};

/** What a claim for slice 2 asks of the coordinator, while the fill is as `change` made it. */
async function claimed(change: (fill: ReturnType<typeof createFill>) => void): Promise<ClaimOptions | undefined> {
  const fill = createFill({ key: "m/x", class: "package" } as Target, null, false, 100);
  change(fill);
  let asked: ClaimOptions | undefined;
  const leases = { claimSlice: async (_key: string, _slice: number, options: ClaimOptions) => ((asked = options), { kind: "stored" }) };
  const options = { waitUntil: () => {}, expected: async () => ({ kind: "none" }) as const, recheck: true };
  await obtain(fill, { slice: 2, last: null }, undefined, options, { leases } as unknown as PumpDependencies);
  return asked;
}

test("where nothing is known of the object, the coordinator may send the caller back to the store", async () => {
  expect(await claimed(() => {})).toEqual({ recheck: true });
});

test("where another request has described the object, it may not: the caller reads that object, and would ask again at once and for ever", async () => {
  expect(await claimed((fill) => (fill.object = OBJECT))).toEqual({ recheck: false, version: OBJECT.version });
});
