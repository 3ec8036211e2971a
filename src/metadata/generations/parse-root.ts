import { type FetchedFile, isLabelledHtml } from "./fetch-file.ts";
import { matchClearsigned } from "../formats/match-signature.ts";
import { parseRelease } from "../formats/parse-release.ts";
import { parseRepomd } from "../formats/parse-repomd.ts";
import type { RootParse } from "../formats/parsed-root.ts";
import type { RepositoryPlace } from "../../route/place.ts";

/** Reads what a fetched root names; null where its kind names no files. A clearsigned root that does not match its own signature is malformed. */
export async function parseRoot(place: RepositoryPlace, fetched: FetchedFile): Promise<RootParse | null> {
  const { bytes, file } = fetched;
  if (place.kind === "pacman" || place.kind === "apk") return isLabelledHtml(fetched) ? { kind: "malformed", reason: "it is HTML" } : null;
  if (bytes === null) return { kind: "malformed", reason: "it is too long" };
  if (place.kind === "rpm-md") return parseRepomd(bytes, place.base);
  if (file.path.endsWith("InRelease") && (await matchClearsigned(new TextDecoder().decode(bytes))) === "differs") {
    return { kind: "malformed", reason: "it does not match its own signature" };
  }
  return parseRelease(bytes, place.root);
}
