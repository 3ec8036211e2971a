import { expect, test } from "vitest";
import type { Fills } from "../../../src/fill/fills.ts";
import { createEnsureStored } from "../../../src/fill/ensure-stored.ts";
import type { FillEnd } from "../../../src/fill/shared/fill.ts";
import type { Mirror } from "../../../src/config/config.ts";
import { createMemoryStore } from "../../support/memory-store.ts";

const mirror = { name: "m", upstreams: [{ url: "http://one.test" }] } as unknown as Mirror;
const expectation = { algorithm: "sha256", digest: "0".repeat(64), source: "index" } as const;
const failure = (status: 502 | 503 | 504, isRefused?: true): FillEnd => ({
  kind: "failure",
  status,
  detail: `answered ${status}`,
  ...(isRefused === undefined ? {} : { isRefused }),
});

test.each<[name: string, ends: readonly FillEnd[], kind: string, asked: number]>([
  [
    "absent at both",
    [
      { kind: "absent", status: 404 },
      { kind: "absent", status: 403 },
    ],
    "absent",
    2,
  ],
  ["a failure at the by-hash path, and absent by name", [failure(502), { kind: "absent", status: 404 }], "failure", 2],
  ["other bytes at one, absent at the other", [failure(502, true), { kind: "absent", status: 404 }], "mismatch", 2],
  ["an upstream that is silent is not asked for the other path", [failure(504)], "failure", 1],
  ["nor one that is busy", [failure(503)], "failure", 1],
])("of two places of a file: %s", async (_name, ends, kind, asked) => {
  const paths: string[] = [];
  const fills = {
    async open({ target }: { readonly target: { readonly path: string } }): Promise<FillEnd> {
      paths.push(target.path);
      return ends[paths.length - 1] ?? failure(502);
    },
  } as unknown as Fills;
  const ensureStored = createEnsureStored(
    fills,
    createMemoryStore(() => 0),
    () => {},
  );
  const answer = await ensureStored({ mirror, candidates: ["by-hash/SHA256/0", "Packages"], key: "m/-/sha256/0", expectation });
  expect([answer.kind, paths.length]).toEqual([kind, asked]);
});

test("what is fetched ahead ends at once where it may not be stored, and is read to its end otherwise", async () => {
  const asked: boolean[] = [];
  const read: number[] = [];
  const open = (isStorable: boolean) =>
    createEnsureStored(
      {
        async open({ isAhead = false }: { readonly isAhead?: boolean }) {
          asked.push(isAhead);
          const reading = {
            isStorable,
            growing: null,
            hold: async () => null,
            promise: () => ({ size: 30 }),
            deliver: async (from: number, to: number) => void read.push(to - from),
            settled: async () => {},
            close: () => {},
          };
          return { kind: "reading", reading };
        },
      } as unknown as Fills,
      createMemoryStore(() => 0),
      () => {},
    );
  const request = { mirror, candidates: ["Packages"], key: "m/-/sha256/0", expectation };
  expect(await open(false)({ ...request, isAhead: true })).toEqual({ kind: "no-room" });
  expect(read).toEqual([]);
  // A client waits for this one: it is read although it is not stored.
  expect((await open(false)(request)).kind).toBe("unkept");
  await open(true)({ ...request, isAhead: true });
  expect(read).toEqual([30, 30]);
  expect(asked).toEqual([true, false, true]);
});
