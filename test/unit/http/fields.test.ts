import { expect, test } from "vitest";
import { readFields, withoutField } from "../../../src/http/fields.ts";

const headers = new Headers({ Range: "bytes=0-", "User-Agent": "apt" });
headers.append("Via", "1.1 a");
headers.append("Via", "1.1 b");

test.each(["range", "Range", "VIA", "user-agent", "if-range"])("gives %s as Headers does", (name) => {
  const fields = readFields(headers);
  expect(fields.get(name)).toBe(headers.get(name));
  expect(fields.has(name)).toBe(headers.has(name));
});

test("leaves out one field, however it is spelt", () => {
  const rest = withoutField(readFields(headers), "range");
  expect(rest.get("Range")).toBeNull();
  expect(rest.has("range")).toBe(false);
  expect(rest.get("via")).toBe("1.1 a, 1.1 b");
  expect(rest.has("via")).toBe(true);
});
