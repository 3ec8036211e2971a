import { describe, expect, it } from "vitest";
import { giveUpEvicted } from "../../../../src/fill/pump/give-up.ts";
import { restSlice, restVerdict, type RestDependencies } from "../../../../src/fill/pump/at-rest.ts";
import { createFill, type Fill, type SliceBuffer } from "../../../../src/fill/shared/fill.ts";
import type { Target } from "../../../../src/route/target.ts";
import { StoreError, type ObjectStore, type StoreErrorKind } from "../../../../src/store/object-store.ts";
import type { StoredObject } from "../../../../src/store/stored-object.ts";

const OBJECT: StoredObject = {
  version: "a".repeat(32),
  size: 30,
  sliceBytes: 10,
  contentType: "application/x-rpm",
  upstream: "http://origin.test",
  storedAt: 0,
  verified: "none",
};

interface World {
  readonly fill: Fill;
  readonly buffer: SliceBuffer;
  readonly deps: RestDependencies;
  readonly calls: string[];
  readonly slept: number[];
  readonly unstored: string[];
}

/** A store whose writes fail with `errors`, one after the other, and then work. `put` answers `exists` where the key is taken. */
function createWorld({ errors = [], taken }: { errors?: StoreErrorKind[]; taken?: StoredObject } = {}): World {
  const calls: string[] = [];
  const slept: number[] = [];
  const unstored: string[] = [];
  const left = [...errors];
  const write = (name: string): void => {
    calls.push(name);
    const kind = left.shift();
    if (kind !== undefined) throw new StoreError(kind, `Cannot write: ${kind}`);
  };
  const store = {
    async put(_key: string, object: StoredObject, _bytes: Uint8Array, options?: { ifAbsent?: boolean }) {
      write(options?.ifAbsent === true ? "put-if-absent" : `put-${object.verified}`);
      return options?.ifAbsent === true && taken !== undefined ? "exists" : "stored";
    },
    async putSlice(_version: string, index: number) {
      write(`slice-${index}`);
      return "stored";
    },
    head: async () => taken ?? null,
  } as unknown as ObjectStore;
  const target = { key: "any/a.rpm", path: "a.rpm", class: "package" } as unknown as Target;
  const fill = createFill(target, null, false, 8 * 1024 * 1024);
  const buffer: SliceBuffer = { index: 0, start: 0, bytes: new Uint8Array(10), filled: 10, atRest: false, released: false, free: () => {} };
  return {
    fill,
    buffer,
    calls,
    slept,
    unstored,
    deps: { store, sleep: async (ms) => void slept.push(ms), onUnstored: (_key, reason) => void unstored.push(reason) },
  };
}

describe("storing a slice", () => {
  it("publishes the head once, behind the first slice", async () => {
    const { fill, buffer, deps, calls } = createWorld();
    await restSlice(fill, OBJECT, buffer, deps);
    await restSlice(fill, OBJECT, { ...buffer, index: 1 }, deps);
    expect(calls).toEqual(["slice-0", "put-if-absent", "slice-1"]);
    expect(buffer.atRest).toBe(true);
  });

  it("tries again while the store is busy, with longer and longer waits", async () => {
    const { fill, buffer, deps, calls, slept } = createWorld({ errors: ["busy", "busy"] });
    await restSlice(fill, OBJECT, buffer, deps);
    expect(calls).toEqual(["slice-0", "slice-0", "slice-0", "put-if-absent"]);
    expect(slept).toEqual(slept.toSorted((a, b) => a - b));
    expect(fill.storable).toBe(true);
  });

  it.each(["full", "unavailable", "too-large"] as const)(
    "passes the fill on unstored when the store is %s, without another try",
    async (kind) => {
      const { fill, buffer, deps, calls, unstored } = createWorld({ errors: [kind] });
      await restSlice(fill, OBJECT, buffer, deps);
      expect(fill.storable).toBe(false);
      expect(buffer.atRest).toBe(false);
      expect(unstored).toHaveLength(1);
      await restSlice(fill, OBJECT, { ...buffer, index: 1 }, deps);
      expect(calls).toEqual(["slice-0"]);
    },
  );

  it("gives up on a store that stays busy", async () => {
    const { fill, buffer, deps } = createWorld({ errors: ["busy", "busy", "busy", "busy"] });
    await restSlice(fill, OBJECT, buffer, deps);
    expect(fill.storable).toBe(false);
  });

  it("leaves the head of a quicker leader alone", async () => {
    const { fill, buffer, deps } = createWorld({ taken: { ...OBJECT, version: "b".repeat(32) } });
    await restSlice(fill, OBJECT, buffer, deps);
    expect(fill.storable).toBe(false);
    expect(buffer.atRest).toBe(true);
  });
});

describe("a version that was given up while it was being stored", () => {
  it("gets no head any more", async () => {
    const { fill, buffer, deps, calls } = createWorld();
    fill.givenUp.add(OBJECT.version);
    await restSlice(fill, OBJECT, buffer, deps);
    expect(calls).toEqual(["slice-0"]);
  });

  it("loses the head that a write under way brought after the deletion", async () => {
    const { fill, buffer, deps } = createWorld();
    const deleted: (readonly string[])[] = [];
    const store: ObjectStore = {
      ...deps.store,
      put: async () => {
        fill.givenUp.add(OBJECT.version);
        return "stored";
      },
      head: async () => OBJECT,
      delete: async (keys) => void deleted.push(keys),
    };
    await restSlice(fill, OBJECT, buffer, { ...deps, store });
    expect(deleted).toEqual([[fill.key]]);
  });
});

describe("storing a whole object", () => {
  it("replaces what is there", async () => {
    const { fill, buffer, deps, calls } = createWorld({ taken: OBJECT });
    const { sliceBytes: _sliced, ...whole } = OBJECT;
    await restSlice(fill, { ...whole, verified: "structure" }, buffer, deps);
    expect(calls).toEqual(["put-structure"]);
    expect(fill.published).toBe(true);
  });
});

describe("noting a verdict", () => {
  it("writes it to the head of that version only", async () => {
    const mine = createWorld({ taken: OBJECT });
    await restVerdict(mine.fill, { ...OBJECT, verified: "structure" }, mine.deps);
    expect(mine.calls).toEqual(["put-structure"]);
    const others = createWorld({ taken: { ...OBJECT, version: "c".repeat(32) } });
    await restVerdict(others.fill, { ...OBJECT, verified: "structure" }, others.deps);
    expect(others.calls).toEqual([]);
  });

  it("is no reason to fail", async () => {
    const { fill, deps, unstored } = createWorld({ taken: OBJECT, errors: ["unavailable"] });
    await restVerdict(fill, { ...OBJECT, verified: "structure" }, deps);
    expect(unstored).toHaveLength(1);
    expect(fill.storable).toBe(true);
  });
});

describe("an object that was evicted while its slices were still coming", () => {
  it("leaves no slices: they go when its readers have left", async () => {
    const { fill, deps, calls } = createWorld();
    await restVerdict(fill, { ...OBJECT, verified: "length" }, deps);
    expect(calls).toEqual([]);
    expect(fill.storable).toBe(false);
    expect([...fill.givenUp]).toEqual([OBJECT.version]);
  });

  it("goes on as long as the store does not say that it is gone", async () => {
    const fill = Object.assign(createWorld({ taken: OBJECT }).fill, { object: OBJECT });
    const heads = [OBJECT, new StoreError("unavailable", "not now"), { ...OBJECT, version: "b".repeat(32) }];
    const store = {
      head: async () => {
        const next = heads.shift() ?? null;
        if (next instanceof StoreError) throw next;
        return next;
      },
    } as unknown as ObjectStore;
    for (const isStorable of [true, true, false]) {
      await giveUpEvicted(fill, { store });
      expect(fill.storable).toBe(isStorable);
    }
    expect([...fill.givenUp]).toEqual([OBJECT.version]);
  });
});
