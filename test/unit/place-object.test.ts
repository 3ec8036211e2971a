import { describe, expect, test } from "vitest";
import { placeObject } from "../../src/place-object.ts";

/** A namespace that says what it was asked for. `refusal`: what `jurisdiction()` throws. */
function namespace(within = "", refusal?: Error): DurableObjectNamespace {
  const made: unknown = {
    idFromName: (name: string) => `${within}${name}`,
    get: (id: string, options?: { readonly locationHint?: string }) => ({ id, hint: options?.locationHint ?? null }),
    jurisdiction: (name: string) => {
      if (refusal !== undefined) throw refusal;
      return namespace(`${name}:`);
    },
  };
  return made as DurableObjectNamespace;
}

describe("a Durable Object", () => {
  test("is made near its first caller where nothing else is said", () => {
    expect(placeObject(namespace(), "fedora", {})).toEqual({ id: "fedora", hint: null });
  });

  test("is made near the place that LOCATION hints at", () => {
    expect(placeObject(namespace(), "fedora", { location: "weur" })).toEqual({ id: "fedora", hint: "weur" });
  });

  test("lies in its jurisdiction, by that alone", () => {
    expect(placeObject(namespace(), "fedora", { jurisdiction: "eu", location: "apac" })).toEqual({ id: "eu:fedora", hint: null });
  });

  test("lies where all others do in workerd, which has no jurisdictions", () => {
    const refusal = new Error("Jurisdiction restrictions are not implemented in workerd.");
    expect(placeObject(namespace("", refusal), "fedora", { jurisdiction: "eu" })).toEqual({ id: "fedora", hint: null });
  });

  test("is not made elsewhere where its jurisdiction is refused", () => {
    const refusal = new Error("no such jurisdiction");
    expect(() => placeObject(namespace("", refusal), "fedora", { jurisdiction: "eu" })).toThrow(refusal);
  });
});
