import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseKeyPattern } from "../../../src/store/key-pattern.ts";

describe("a pattern of keys", () => {
  it.each([
    ["fedora/*.iso", "fedora/releases/41/x.iso", true],
    ["/fedora/*", "fedora/a", true],
    ["fedora/a?c", "fedora/abc", true],
    ["fedora/a?c", "fedora/ac", false],
    ["fedora/a", "fedora/ab", false],
    ["fedora/ab", "fedora/a", false],
    ["*kernel*x86_64*", "fedora/kernel-6.1.x86_64.rpm", true],
    ["fedora/[a]", "fedora/a", false],
    ["fedora/[a]", "fedora/[a]", true],
  ])("%s on %s: %s", (pattern, key, wanted) => {
    expect(parseKeyPattern(pattern)?.matches(key)).toBe(wanted);
  });

  it("is refused when empty or longer than any key", () => {
    expect(parseKeyPattern("")).toBeNull();
    expect(parseKeyPattern("/")).toBeNull();
    expect(parseKeyPattern("x".repeat(1025))).toBeNull();
  });

  it("matches what the regular expression of the same meaning matches", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "/", "*", "?"), minLength: 1, maxLength: 12 });
    const key = fc.string({ unit: fc.constantFrom("a", "b", "/"), maxLength: 12 });
    fc.assert(
      fc.property(text, key, (written, name) => {
        const pattern = parseKeyPattern(written);
        fc.pre(pattern !== null);
        const expression = new RegExp(`^${pattern.text.replaceAll("*", "[^]*").replaceAll("?", "[^]")}$`);
        expect(pattern.matches(name)).toBe(expression.test(name));
        if (pattern.matches(name)) expect(name.startsWith(pattern.prefix)).toBe(true);
      }),
    );
  });

  it("takes no exponential time", () => {
    const pattern = parseKeyPattern(`${"*a".repeat(400)}b`);
    expect(pattern?.matches("a".repeat(1000))).toBe(false);
  });
});
