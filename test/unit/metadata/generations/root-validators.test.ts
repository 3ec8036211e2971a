import { expect, it } from "vitest";
import type { Generation } from "../../../../src/metadata/members/generation.ts";
import { conditions } from "../../../../src/metadata/generations/root-validators.ts";

const CHANGED = Date.UTC(2026, 0, 1);
const DATE = new Date(CHANGED).toUTCString();
const HOUR = 3_600_000;
const FIRST = "http://one.example";
const SECOND = "http://two.example";

function generation(validators: Generation["validators"], isSliced = false): Generation {
  const object = { storedAt: CHANGED + HOUR, upstream: FIRST, ...(isSliced ? { sliceBytes: 1 } : {}) };
  return { root: { path: "", key: "", object }, validators, companions: [], parsed: null, adoptedAt: 0 } as unknown as Generation;
}

it.each<[string, Generation, ReturnType<typeof conditions>]>([
  [
    "an entity tag before a date",
    generation({ etag: '"x"', lastModified: DATE, receivedAt: CHANGED + HOUR }),
    { etag: '"x"', upstream: FIRST },
  ],
  ["a date alone", generation({ lastModified: DATE, receivedAt: CHANGED + HOUR }), { lastModified: DATE, upstream: FIRST }],
  ["nothing right after the change", generation({ etag: '"x"', lastModified: DATE, receivedAt: CHANGED + 1_000 }), undefined],
  [
    "the tag of a root in slices, which is long",
    generation({ etag: '"x"', lastModified: DATE, receivedAt: CHANGED }, true),
    { etag: '"x"', upstream: FIRST },
  ],
  ["no date of a root in slices right after the change", generation({ lastModified: DATE, receivedAt: CHANGED }, true), undefined],
  [
    "the tag where the server's clock is far ahead",
    generation({ etag: '"x"', lastModified: DATE, receivedAt: CHANGED - HOUR }),
    { etag: '"x"', upstream: FIRST },
  ],
  ["no date that is ahead", generation({ lastModified: DATE, receivedAt: CHANGED - HOUR }), undefined],
  ["nothing that is no date", generation({ lastModified: "today" }), undefined],
  ["the time of storing where none was kept", generation({ lastModified: DATE }), { lastModified: DATE, upstream: FIRST }],
  [
    "the upstream that sent them last, where it is not the root's own",
    generation({ etag: '"x"', receivedAt: CHANGED, upstream: SECOND }),
    { etag: '"x"', upstream: SECOND },
  ],
  ["nothing without validators", generation({}), undefined],
])("a root is asked for with %s", (_what, held, expected) => expect(conditions(held)).toEqual(expected));
