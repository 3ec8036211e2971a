import type { Foreknowledge } from "../../fill/pump/dependencies.ts";
import type { Repositories } from "../../metadata/ports/repositories.ts";
import type { Target } from "../../route/target.ts";

/**
 * What is known of a file's content before it comes: from its own name, or from the repository that lists it. Where an index is still being
 * read, waits up to `waitMs` for it.
 */
export async function expectedOf(target: Target, repositories: Repositories, waitMs: number): Promise<Foreknowledge> {
  const expected = await repositories.expected(target, waitMs);
  return { known: expected.kind === "known" ? [expected.expectation] : [], provisional: expected.kind === "building" };
}
