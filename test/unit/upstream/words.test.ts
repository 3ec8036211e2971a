import { expect, it } from "vitest";
import { listWords } from "../../../src/upstream/words.ts";

it("names each upstream once, with what it did last", () => {
  const words = [
    { upstream: "http://a", detail: "could not be reached" },
    { upstream: "http://b", detail: "answered 404" },
    { upstream: "http://a", detail: "answered 500" },
  ];
  expect(listWords(words)).toBe("http://a answered 500; http://b answered 404");
});

it("stays short, whatever upstreams say and however many there are", () => {
  const words = Array.from({ length: 50 }, (_, at) => ({ upstream: `http://${at}`, detail: "x".repeat(5_000) }));
  const listed = listWords(words);
  expect(listed.length).toBeLessThan(2_000);
  expect(listed).toMatch(/^http:\/\/0 x+…; .*; http:\/\/7 x+…; and 42 more$/);
});
