import { expect, it } from "vitest";
import { nearest } from "../../../src/config/nearest.ts";

it("finds the word that was meant, and none where none is near", () => {
  expect(nearest("upstream", ["hosts", "upstreams"])).toBe("upstreams");
  expect(nearest("metadata_ttl_second", ["METADATA_TTL_SECONDS", "METADATA_WAIT_SECONDS"])).toBe("METADATA_TTL_SECONDS");
  expect(nearest("hsots", ["hosts", "query"])).toBe("hosts");
  expect(nearest("colour", ["hosts", "query"])).toBeUndefined();
  expect(nearest("", ["a", "hosts"])).toBeUndefined();
});
