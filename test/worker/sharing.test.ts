import { expect, test } from "vitest";
import { contentOf } from "../support/content.ts";
import { createMeteredWorker } from "../support/metered-worker.ts";
import { sha256 } from "../unit/metadata/samples.ts";

const MIRRORS = {
  liar: { distro: "debian", upstreams: ["http://liar.test/debian"] },
  honest: { distro: "debian", upstreams: ["http://origin.test/debian"] },
};
const { fetch, bucket } = createMeteredWorker({ vars: { MIRRORS, SLICE_MIB: 1 } });

const keysBelow = async (prefix: string): Promise<readonly string[]> => (await bucket.list({ prefix })).objects.map(({ key }) => key);

test.each([50_001, 3_300_001])(
  "on R2 the %i bytes that one mirror's upstream gives a digest's name are no other mirror's",
  async (size) => {
    const bytes = contentOf(size);
    const digest = sha256(bytes);
    const path = `dists/sid/main/by-hash/SHA256/${digest}`;
    const shared = `-/sha256/${digest}`;
    await fetch(`/liar/${path}`, { headers: { range: "bytes=10-19" } });
    const lied = await fetch(`/liar/${path}`).then(
      ({ response }) => response.status,
      () => "broken off",
    );
    expect([502, "broken off"]).toContain(lied);
    expect(await keysBelow(shared)).toEqual([]);

    const whole = await fetch(`/honest/${path}`);
    expect(whole.response.status).toBe(200);
    expect(sha256(whole.bytes)).toBe(digest);
    expect(whole.response.headers.get("content-type")).not.toContain("html");
    expect(await keysBelow(shared)).toEqual([shared]);
    expect(await keysBelow(`-/closed/honest/sha256/${digest}`)).toEqual([]);

    // Proven, it serves the other mirror too, without the labels of an upstream that is not its own.
    const { response, bytes: served, bill } = await fetch(`/liar/${path}`);
    expect(sha256(served)).toBe(digest);
    expect(response.headers.get("content-type")).toBe("application/octet-stream");
    expect(response.headers.get("last-modified")).not.toBe("Mon, 01 Jan 1990 00:00:00 GMT");
    expect(bill.external).toBe(0);
  },
);

test("a warm file that is named by its digest is one read of the store, or none where the data centre has it", async () => {
  const path = `dists/sid/main/by-hash/SHA256/${sha256(contentOf(50_001))}`;
  await fetch(`/honest/${path}`);
  const { bill } = await fetch(`/honest/${path}`);
  expect(bill.classB.length).toBeLessThanOrEqual(1);
  expect([bill.classA.length, bill.external]).toEqual([0, 0]);
});
