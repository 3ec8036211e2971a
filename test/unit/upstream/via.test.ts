import { describe, expect, test } from "vitest";
import type { Config } from "../../../src/config/config.ts";
import { parseConfig } from "../../../src/config/parse-config.ts";
import { createVia } from "../../../src/upstream/via.ts";

const one = createVia(configOf("http://two.example/debian"));
const two = createVia(configOf("http://three.example/debian"));
const KEY = "debian/pool/a.deb";

describe("Via", () => {
  test("names this mirror in the form of RFC 9110 §7.6.3", () => {
    expect(one.headerFor(KEY)).toMatch(/^1\.1 lazy-mirror-[0-9a-f]{8}$/);
  });

  test("is the same in every isolate of a mirror, and another for a mirror with other upstreams", () => {
    expect(createVia(configOf("http://two.example/debian")).headerFor(KEY)).toBe(one.headerFor(KEY));
    expect(two.headerFor(KEY)).not.toBe(one.headerFor(KEY));
  });

  test("lets in what comes straight, through other proxies, or from another lazy mirror", () => {
    for (const header of [null, "", "1.1 squid (5.7), 1.0 proxy.example:3128", two.headerFor(KEY)]) expect(one.refuse(header)).toBeNull();
  });

  test("refuses what has been here, wherever that stands in the list", () => {
    const here = one.headerFor(KEY);
    for (const header of [here, `1.1 squid, ${here}`, `${here}, ${two.headerFor(KEY)}`])
      expect(one.refuse(header)).toMatch(/been here before/);
  });

  test("refuses what has passed more mirrors than anyone chains", () => {
    const names = Array.from({ length: 8 }, (_, index) => `1.1 lazy-mirror-0000000${index}`);
    expect(one.refuse(names.slice(1).join(", "))).toBeNull();
    expect(one.refuse(names.join(", "))).toMatch(/passed 8 mirrors/);
  });

  test("hands on the mirrors that a waiting request has passed, for its own file only, and none of its other proxies", () => {
    const leave = one.enter(KEY, `1.1 secret-proxy, ${two.headerFor(KEY)}`);
    expect(one.headerFor(KEY)).toBe(`${two.headerFor(KEY)}, ${createVia(configOf("http://two.example/debian")).headerFor(KEY)}`);
    expect(one.headerFor("debian/pool/b.deb")).not.toContain(",");
    leave();
    expect(one.headerFor(KEY)).not.toContain(",");
  });
});

describe("what several requests wait for", () => {
  const away = two.headerFor(KEY);

  test("names only the mirrors that all of them have passed: what one claims must not decide the answer to the others", () => {
    const waiting = createVia(configOf("http://four.example/debian"));
    const own = waiting.headerFor(KEY);
    const leaves = [waiting.enter(KEY, away), waiting.enter(KEY, `${away}, 1.1 lazy-mirror-00000001`)];
    expect(waiting.headerFor(KEY)).toBe(`${away}, ${own}`);
    leaves.push(waiting.enter(KEY, null));
    expect(waiting.headerFor(KEY)).toBe(own);
    leaves.pop()?.();
    expect(waiting.headerFor(KEY)).toBe(`${away}, ${own}`);
    for (const leave of leaves) leave();
    expect(waiting.headerFor(KEY)).toBe(own);
  });

  test("is refused for one of them, whatever it is long", () => {
    const long = Array.from({ length: 100 }, (_, index) => `1.1 proxy-${index}.example ${"(comment)".repeat(12)}`).join(", ");
    expect(one.refuse(long)).toBeNull();
    expect(one.refuse(`${long}, ${one.headerFor(KEY)}`)).toMatch(/been here before/);
  });
});

function configOf(upstream: string): Config {
  const parsed = parseConfig({ MIRRORS: { debian: { distro: "debian", upstreams: [upstream] } } });
  if (!parsed.ok) throw new Error(parsed.problems.join("\n"));
  return parsed.config;
}
