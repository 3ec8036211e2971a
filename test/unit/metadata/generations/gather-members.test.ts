import { describe, expect, it } from "vitest";
import type { Members } from "../../../../src/metadata/members/members.ts";
import type { Entry, ParsedRoot } from "../../../../src/metadata/formats/parsed-root.ts";
import { gatherMembers } from "../../../../src/metadata/generations/gather-members.ts";
import type { EnsureStoredAnswer } from "../../../../src/metadata/ports/ensure-stored.ts";
import type { RepositoryPlace } from "../../../../src/route/place.ts";

const MIB = 1_048_576;
const PLACE = { kind: "rpm-md", root: "os/repodata", base: "os", role: "root" } as unknown as RepositoryPlace;

/** Gathers files of these types and lengths (MiB; null: the root does not state one). Which of them were fetched ahead, and what it came to. */
async function gather(
  files: readonly (readonly [type: string, mib: number | null])[],
  { stored = [], answer = { kind: "absent" } }: { readonly stored?: readonly string[]; readonly answer?: EnsureStoredAnswer } = {},
) {
  const fetched: string[] = [];
  const members = {
    has: ({ type }: Entry) => stored.includes(type ?? ""),
    isUsed: () => false,
    wasGot: () => false,
    async ensure({ type = "" }: Entry, _candidates: readonly string[], isAhead?: boolean): Promise<EnsureStoredAnswer> {
      expect(isAhead).toBe(true);
      if (!stored.includes(type)) fetched.push(type);
      return answer.kind === "absent" ? { kind: "stored", object: {} as never } : answer;
    },
  } as unknown as Members;
  const entries = files.map(([type, mib]) => ({
    type,
    path: `os/repodata/${type}.xml.gz`,
    algorithm: "sha256",
    digest: type,
    ...(mib === null ? {} : { size: mib * MIB }),
  }));
  const root = { entries, byHash: false } as unknown as ParsedRoot;
  const result = await gatherMembers({ place: PLACE, members, limits: { prefetchBytes: 64 * MIB } }, root, null, {
    needed: false,
    unfetched: false,
  });
  return { fetched: fetched.toSorted(), result };
}

describe("what is fetched ahead for one generation", () => {
  it("is 128 MiB at most, beside what clients cannot do without", async () => {
    const many = Array.from({ length: 20 }, (_, index) => [`extra${index}`, 20] as const);
    const { fetched, result } = await gather([...many, ["primary", 60]]);
    expect(fetched).toContain("primary");
    expect(fetched).toHaveLength(1 + 3);
    expect(result).toEqual({ kind: "complete", holes: [] });
  });

  it("counts no file that is stored already, and one of unknown length as the longest that is fetched ahead", async () => {
    const many = Array.from({ length: 6 }, (_, index) => [`extra${index}`, 60] as const);
    const stored = ["extra0", "extra1", "extra2", "extra3"];
    expect((await gather(many, { stored })).fetched).toEqual(["extra4", "extra5"]);
    expect((await gather([...many.slice(4), ["open1", null], ["open2", null], ["open3", null]])).fetched).toHaveLength(2);
  });

  it("leaves to clients' requests what there is no room for, and holds no generation back for it", async () => {
    const { result } = await gather(
      [
        ["primary", 1],
        ["filelists", 1],
      ],
      { answer: { kind: "no-room" } },
    );
    expect(result).toEqual({ kind: "complete", holes: [] });
  });
});
