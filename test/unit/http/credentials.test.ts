import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSameSecret, parseCredentials } from "../../../src/http/credentials.ts";

const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;

describe("an Authorization header", () => {
  it.each([
    [basic("a:b"), { kind: "basic", user: "a", password: "b" }],
    [basic("a:b:c"), { kind: "basic", user: "a", password: "b:c" }],
    [basic(":"), { kind: "basic", user: "", password: "" }],
    [basic("ü:é"), { kind: "basic", user: "ü", password: "é" }],
    [basic("a:b").replace("Basic", "bASIC "), { kind: "basic", user: "a", password: "b" }],
    ["Bearer abc.DEF-_~+/==", { kind: "bearer", token: "abc.DEF-_~+/==" }],
    [basic("ab"), null],
    ["Basic", null],
    ["Basic !!!!", null],
    ["Basic /w==", null],
    ["Digest abc", null],
    ["Bearer a b", null],
    ["", null],
    [null, null],
  ])("%j", (header, expected) => {
    expect(parseCredentials(header)).toEqual(expected);
  });

  it("gives back every name without colon and every password (RFC 7617)", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }).filter((user) => !user.includes(":")),
        fc.string({ unit: "binary" }),
        (user, password) => {
          expect(parseCredentials(basic(`${user}:${password}`))).toEqual({ kind: "basic", user, password });
        },
      ),
    );
  });
});

describe("a secret", () => {
  it.each([
    ["a", "a", true],
    ["a", "b", false],
    ["a", "ab", false],
    ["", "", true],
    ["", "a", false],
    ["A", "a", false],
  ])("%j given for %j", async (given, wanted, expected) => {
    expect(await isSameSecret(given, wanted)).toBe(expected);
  });
});
