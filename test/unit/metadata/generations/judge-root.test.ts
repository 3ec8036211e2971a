import { expect, test } from "vitest";
import { type Judgement, judgeRoot } from "../../../../src/metadata/generations/judge-root.ts";
import type { ParsedRoot, RootParse } from "../../../../src/metadata/formats/parsed-root.ts";

const NOW = Date.UTC(2026, 0, 10);
const DAY = 86_400;
const HOUR_MS = 3_600_000;
const T = NOW / 1000 - 5 * DAY;

const root = (part: Partial<ParsedRoot>): ParsedRoot => ({
  revision: undefined,
  timestamp: T,
  validUntil: undefined,
  byHash: false,
  entries: [],
  ...part,
});
const held = (part: Partial<ParsedRoot> = {}): ParsedRoot => root(part);
const shown = (part: Partial<ParsedRoot> = {}): RootParse => ({ kind: "parsed", root: root(part) });
const malformed: RootParse = { kind: "malformed", reason: "cut" };
const nothing = null;
const opaque = null;
const past = NOW - 1;
const ahead = NOW + 1;

test.each<[string, ParsedRoot | null, RootParse, Judgement["kind"]]>([
  ["the first one that parses is adopted", nothing, shown(), "adopt"],
  ["the first one is adopted past its date too: archives are", nothing, shown({ validUntil: past }), "adopt"],
  ["what never parsed is opaque", nothing, malformed, "opaque"],
  ["what did not parse before and does now is adopted", opaque, shown(), "adopt"],
  ["a malformed one never replaces a parsed one", held(), malformed, "refused"],
  ["a newer timestamp is adopted", held(), shown({ timestamp: T + 1 }), "adopt"],
  ["an older timestamp is refused", held(), shown({ timestamp: T - 1 }), "doubt"],
  ["an equal timestamp with other bytes is adopted: it was signed again", held(), shown(), "adopt"],
  ["an older revision is refused whatever the timestamps say", held({ revision: 9 }), shown({ revision: 8, timestamp: T + 1 }), "doubt"],
  ["a newer revision is adopted whatever the timestamps say", held({ revision: 8 }), shown({ revision: 9, timestamp: T - 1 }), "adopt"],
  ["an equal revision leaves it to the timestamps", held({ revision: 9 }), shown({ revision: 9, timestamp: T - 1 }), "doubt"],
  ["a revision on one side only leaves it to the timestamps", held({ revision: 9 }), shown({ timestamp: T + 1 }), "adopt"],
  ["without any date nothing is older", held(), shown({ timestamp: undefined }), "adopt"],
  [
    "one past its Valid-Until does not replace one that is not",
    held({ validUntil: ahead }),
    shown({ validUntil: past, timestamp: T + 1 }),
    "refused",
  ],
  ["nor one that has none", held(), shown({ validUntil: past }), "refused"],
  ["past it both, the newer is adopted", held({ validUntil: past }), shown({ validUntil: past, timestamp: T + 1 }), "adopt"],
])("%s", (_name, holding, candidate, verdict) => {
  expect(judgeRoot(holding, candidate, NOW, null).kind).toBe(verdict);
});

test("an older one is believed after an hour of doubt, not before", () => {
  const older = shown({ timestamp: T - 1 });
  expect(judgeRoot(held(), older, NOW, NOW - HOUR_MS + 1).kind).toBe("doubt");
  expect(judgeRoot(held(), older, NOW, NOW - HOUR_MS).kind).toBe("adopt");
});
