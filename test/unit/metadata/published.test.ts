import { expect, test } from "vitest";
import { repomd, sha256 } from "./samples.ts";
import { createWorld, ONE } from "./world.ts";

const ROOT = "os/repodata/repomd.xml";

function generation(revision: number, content: string): Record<string, string> {
  const href = `repodata/${sha256(content)}-primary.xml.gz`;
  return { [ROOT]: repomd({ revision, data: { primary: [href, content] } }), [`os/${href}`]: content };
}

test("the ledger learns what a generation names, in place of what the one before named", async () => {
  const world = createWorld([ONE]);
  const repository = world.repository();
  const publish = async (revision: number, content: string) => {
    world.origins[ONE] = generation(revision, content);
    world.now += 61_000;
    const root = await repository.resolve(ROOT);
    return root.kind === "object" ? root.key : root.kind;
  };
  const first = await publish(1, "a");
  expect(world.published.toSorted()).toEqual([first, `-/sha256/${sha256("a")}`].toSorted());
  const second = await publish(2, "b");
  expect(world.published.toSorted()).toEqual([second, `-/sha256/${sha256("b")}`].toSorted());
});
