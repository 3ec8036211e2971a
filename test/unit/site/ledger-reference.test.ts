import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createOperatorApi } from "../../../src/site/operator-api.ts";

const REFERENCE = readFileSync(join(import.meta.dirname, "../../../docs/ledger.md"), "utf8");

/** Sections of the reference by their verb, such as `GET /-/ledger/objects`. */
const SECTIONS = new Map(REFERENCE.split(/^### /m).flatMap((section) => [[/^`(.*)`/.exec(section)?.[1] ?? "", section] as const]));
SECTIONS.delete("");

const { routes } = createOperatorApi({
  token: "a-long-token",
  budget: 1,
  retentionDays: 90,
  flush: async () => {},
  forget: async () => {},
  onPurged: async () => {},
  transfer: {} as never,
  ledger: () => {
    throw new Error("Cannot open a ledger: this test asks no verb");
  },
});
const VERBS = routes.filter(({ method }) => method !== "ALL").map(({ method, path }) => `${method} /-/ledger${path === "/" ? "" : path}`);

describe("docs/ledger.md", () => {
  test("documents each verb of the operator's API, and no other", () => {
    expect([...SECTIONS.keys()].toSorted()).toEqual(VERBS.toSorted());
  });

  test.each(VERBS)("shows a call of %s by curl, and its answer", (verb) => {
    const [method, path] = verb.split(" ");
    const section = SECTIONS.get(verb) ?? "";
    const [call = "", answer = ""] = section.split("\n").filter((line) => line.startsWith("    "));
    expect(call).toContain(`$M${path}`);
    if (method === "DELETE") expect(call).toContain("-X DELETE");
    expect(answer).toMatch(/^ {4}\{"/);
  });
});
