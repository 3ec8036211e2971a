import { describe, expect, it } from "vitest";
import { createMeteredWorker } from "../support/metered-worker.ts";

const TOKEN = "a-token-for-the-operator";

/** Production's values: the cache of the data centre answers for a minute, and for a day where the bytes prove themselves. */
const worker = createMeteredWorker({
  vars: { MIRRORS: { purged: { upstreams: ["http://origin.test"] } }, METADATA_TTL_SECONDS: 60, ADMIN_TOKEN: TOKEN },
});

async function purge(pattern: string, dryRun = false): Promise<readonly string[]> {
  const { bytes } = await worker.fetch("/-/ledger/purge", {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify({ pattern, dryRun }),
  });
  const { rows } = JSON.parse(new TextDecoder().decode(bytes)) as { readonly rows: readonly { readonly key: string }[] };
  return rows.map(({ key }) => key);
}

async function statusOf(path: string): Promise<string | null> {
  return (await worker.fetch(path)).response.headers.get("cache-status");
}

describe("a purge at the edge", () => {
  it.each([
    ["a small file", "/purged/200000-small.deb"],
    ["a file in slices", "/purged/20000000-large.deb"],
  ])("shows in its data centre with the next request: %s", async (_what, path) => {
    expect(await statusOf(path)).toMatch(/fwd=miss/);
    expect(await statusOf(path)).toBe("lazy-mirror; hit");
    expect(await purge(path.slice(1), true)).toHaveLength(1);
    expect(await statusOf(path)).toBe("lazy-mirror; hit");
    expect(await purge(path.slice(1))).toHaveLength(1);
    expect(await statusOf(path)).toMatch(/fwd=miss/);
  });
});
