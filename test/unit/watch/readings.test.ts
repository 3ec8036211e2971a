import { expect, test } from "vitest";
import { watchReadings } from "../../../src/watch/readings.ts";

const reading = (file: string) => ({ mirror: "m", base: "os", part: "index", file }) as const;

function setUp(setAside: Parameters<typeof watchReadings>[0]["setAside"] = []) {
  const said: (string | null)[] = [];
  const clock = { now: 1_000 };
  const say = (line: string): void => {
    said.push((JSON.parse(line) as { reading: { file: string } | null }).reading?.file ?? null);
  };
  const sleep = () => new Promise<void>((resolve) => setImmediate(resolve));
  return { said, clock, readings: watchReadings({ setAside, now: () => clock.now, say, sleep }) };
}

test("one file that is read alone is two lines, however often it breathes, and also where it cannot be read", async () => {
  const { said, readings } = setUp();
  await readings.during(
    reading("a"),
    async () => {},
    async (breathe) => {
      // Before anything of it is read.
      expect(said).toEqual(["a"]);
      for (let turn = 0; turn < 5; turn++) await breathe();
    },
  );
  expect(said).toEqual(["a", null]);
  const failing = readings.during(
    reading("b"),
    async () => {},
    () => Promise.reject(new Error("no")),
  );
  await expect(failing).rejects.toThrow("no");
  expect(said).toEqual(["a", null, "b", null]);
});

test("of files that are read at the same time the one whose turn it is was said last", async () => {
  const { said, readings } = setUp();
  const turns: (() => void)[] = [];
  const pause = () => new Promise<void>((resolve) => turns.push(resolve));
  const read = (file: string, breaths: number) =>
    readings.during(reading(file), pause, async (breathe) => {
      expect(said.at(-1)).toBe(file);
      for (let turn = 0; turn < breaths; turn++) {
        await breathe();
        expect(said.at(-1)).toBe(file);
      }
    });
  const all = [read("a", 3), read("b", 1)];
  for (let next = turns.shift(); next !== undefined; next = turns.shift()) {
    next();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(all);
  expect(said).toEqual(["a", "b", "a", "b", "a", null]);
});

test("what is set aside is so until its time is over", () => {
  const one = { ...reading("a"), since: 0, until: 2_000 };
  const { clock, readings } = setUp([one]);
  expect(readings.setAside("m", "os", "index")).toEqual(one);
  expect(readings.setAside("m", "os", "root")).toBeNull();
  expect(readings.setAside("m", "other", "index")).toBeNull();
  expect(readings.setAside("other", "os", "index")).toBeNull();
  clock.now = 2_000;
  expect(readings.setAside("m", "os", "index")).toBeNull();
});

test("two indexes of a mirror are read at once, the others after them in their order; roots and other mirrors do not wait for them", async () => {
  const { readings } = setUp();
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const begin = (mirror: string, part: "root" | "index", file: string) =>
    readings.during(
      { mirror, base: "os", part, file },
      async () => {},
      () => {
        begun.push(file);
        return new Promise<void>((resolve) => ends.set(file, resolve));
      },
    );
  const settle = async (): Promise<void> => {
    for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve));
  };
  const all = ["a", "b", "c", "d", "e"].map((file) => begin("m", "index", file));
  all.push(begin("m", "root", "root"), begin("other", "index", "other"));
  await settle();
  expect(begun).toEqual(["a", "b", "root", "other"]);
  begun.splice(0);
  ends.get("b")?.();
  await settle();
  expect(begun).toEqual(["c"]);
  ends.get("a")?.();
  ends.get("c")?.();
  await settle();
  expect(begun).toEqual(["c", "d", "e"]);
  for (const end of ends.values()) end();
  await Promise.all(all);
});

test("readings that never end hold up the next one for a minute", async () => {
  let slept = 0;
  const watched = watchReadings({ setAside: [], now: () => 0, say: null, sleep: async (ms) => void (slept += ms) });
  const never = () => new Promise<void>(() => {});
  void watched.during(reading("a"), async () => {}, never);
  void watched.during(reading("b"), async () => {}, never);
  expect(
    await watched.during(
      reading("c"),
      async () => {},
      async () => "read",
    ),
  ).toBe("read");
  expect(slept).toBe(60_000);
});
