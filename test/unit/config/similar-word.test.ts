import { expect, it } from "vitest";
import { similarWord } from "../../../src/config/similar-word.ts";

it("finds the word that was meant, and none where none is near", () => {
  expect(similarWord("upstream", ["hosts", "upstreams"])).toBe("upstreams");
  expect(similarWord("metadata_ttl_second", ["METADATA_TTL_SECONDS", "METADATA_WAIT_SECONDS"])).toBe("METADATA_TTL_SECONDS");
  expect(similarWord("hsots", ["hosts", "query"])).toBe("hosts");
  expect(similarWord("colour", ["hosts", "query"])).toBeUndefined();
  expect(similarWord("", ["a", "hosts"])).toBeUndefined();
});
