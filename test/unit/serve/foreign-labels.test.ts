import { expect, test } from "vitest";
import type { Mirror } from "../../../src/config/config.ts";
import { withoutForeignLabels } from "../../../src/serve/foreign-labels.ts";

const object = {
  version: "0".repeat(32),
  size: 7,
  contentType: "text/html",
  etag: '"theirs"',
  lastModified: "Mon, 01 Jan 1990 00:00:00 GMT",
  upstream: "http://theirs.test",
  storedAt: Date.UTC(2026, 0, 2),
  verified: "digest",
} as const;
const mirrorOf = (url: string) => ({ upstreams: [{ url, authorization: undefined }] }) as unknown as Mirror;

test.each([
  ["repodata/0-primary.xml.gz", "application/gzip"],
  ["dists/sid/main/binary-amd64/Packages.xz", "application/x-xz"],
  ["dists/sid/main/binary-amd64/by-hash/SHA256/0", "application/octet-stream"],
])("the labels that another mirror's upstream gave %s stay with that mirror", (path, contentType) => {
  const { etag: _etag, ...rest } = object;
  const lastModified = "Fri, 02 Jan 2026 00:00:00 GMT";
  expect(withoutForeignLabels(object, { mirror: mirrorOf("http://ours.test"), path })).toEqual({ ...rest, contentType, lastModified });
});

test("the labels of the mirror's own upstream stay", () => {
  expect(withoutForeignLabels(object, { mirror: mirrorOf(object.upstream), path: "repodata/0-primary.xml.gz" })).toBe(object);
});
