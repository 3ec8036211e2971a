import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { matchClearsigned, matchSignature } from "../../../../src/metadata/formats/match-signature.ts";
import { parseIndex } from "../../../../src/metadata/formats/parse-index.ts";
import { parseRelease } from "../../../../src/metadata/formats/parse-release.ts";
import { parseRepomd } from "../../../../src/metadata/formats/parse-repomd.ts";
import type { Breathe } from "../../../../src/metadata/formats/pace.ts";
import { DECODERS } from "../../../support/decompressing.ts";
import { OTHERS, PRIMARIES } from "../../../support/hostile-indexes.ts";
import { chunked } from "../samples.ts";

/** What one turn of the event loop may take because of an upstream's text, in CPU time of this thread: what other processes do does not count. */
const MAX_TURN_MS = 50;
/** The first runs compile the readers, and one run may meet the collector: the best of these counts. */
const RUNS = 3;

type Read = (breathe: Breathe) => Promise<unknown>;

/** The longest turn in milliseconds of CPU time of the best run. */
async function longestTurn(read: Read): Promise<number> {
  let best = Infinity;
  for (let run = 0; run < RUNS && best > MAX_TURN_MS / 2; run++) {
    let longest = 0;
    let start = process.threadCpuUsage();
    const end = (): void => {
      const { user, system } = process.threadCpuUsage(start);
      longest = Math.max(longest, (user + system) / 1000);
    };
    const breathe = async (): Promise<void> => {
      end();
      await new Promise((resolve) => setImmediate(resolve));
      start = process.threadCpuUsage();
    };
    // Whether it can be read at all is the other tests' matter.
    await read(breathe).catch(() => null);
    end();
    best = Math.min(best, longest);
  }
  return best;
}

const index =
  (kind: "rpm-md" | "deb" | "pacman" | "apk", bytes: Uint8Array): Read =>
  (breathe) =>
    parseIndex(kind, chunked(bytes, 65_536), { ...DECODERS, breathe }, () => {});

/** As repositories read what lies at a path. */
function readerOf(path: string, bytes: Uint8Array): Read {
  if (path.endsWith("repomd.xml")) return (breathe) => parseRepomd(bytes, "", breathe);
  if (path.endsWith(".db")) return index("pacman", bytes);
  if (path.startsWith("apk/")) return index("apk", bytes);
  if (path.includes("Packages")) return index("deb", bytes);
  return async (breathe) => {
    await matchClearsigned(bytes, breathe);
    await matchSignature(Buffer.from("Origin: x\n"), bytes, breathe);
    await parseRelease(bytes, "", breathe);
  };
}

const isBzip2There = (() => {
  try {
    execFileSync("bzip2", ["--help"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
})();

describe("no turn of a reader is long", () => {
  const primaries = Object.entries(PRIMARIES).filter(([name]) => isBzip2There || !name.endsWith(".bz2"));
  test.each(primaries)("a primary.xml: %s", { timeout: 120_000 }, async (_name, make) => {
    expect(await longestTurn(index("rpm-md", make()))).toBeLessThan(MAX_TURN_MS);
  });
  test.each(Object.entries(OTHERS))("%s", { timeout: 120_000 }, async (path, make) => {
    expect(await longestTurn(readerOf(path, make()))).toBeLessThan(MAX_TURN_MS);
  });
});
