import { createHash } from "node:crypto";
import { MalformedError } from "../../metadata/formats/parsed-root.ts";
import { readTar } from "../../metadata/formats/read-tar.ts";
import { type BundleFile, type Manifest, MANIFEST_NAME, parseManifest } from "./bundle-manifest.ts";
import type { MirrorClient } from "./mirror-client.ts";
import type { TransferClient } from "./transfer-client.ts";

const MAX_MANIFEST_BYTES = 256 * 1024 * 1024;

export interface ImportReport {
  onManifest(manifest: Manifest): void;
  onBytes(bytes: number): void;
  /** A file or generation is stored or published; `reason`: it is not, and why. */
  onDone(name: string, reason: string | null): void;
}

/**
 * Stores the files of a bundle and publishes its generations, each file once its digest is the manifest's: the last bytes of a file are held back until then,
 * so that a server stores none of a file that was changed. Throws MalformedError where the archive cannot be read on, and what the server, `archive` or the
 * clients throw.
 */
export async function importBundle(
  archive: AsyncIterable<Uint8Array>,
  client: Pick<MirrorClient, "verb">,
  transfer: Pick<TransferClient, "describe" | "give">,
  report: ImportReport,
): Promise<void> {
  let manifest: Manifest | null = null;
  const waiting = new Map<string, BundleFile>();
  /** Files that generations name, which come before all packages. */
  const early = new Set<string>();
  let isPublished = false;

  await readTar(archive, async ({ name }, body) => {
    if (manifest === null) {
      if (name !== MANIFEST_NAME) throw new MalformedError(`it is no bundle: its first file is ${name} and not ${MANIFEST_NAME}`);
      manifest = parseManifest(await textOf(body));
      for (const file of manifest.files) waiting.set(file.name, file);
      for (const { mirror, root, companions, members } of manifest.generations)
        for (const path of [root, ...companions.map((one) => one.path), ...members]) early.add(`${mirror}/${path}`);
      report.onManifest(manifest);
      return;
    }
    const file = waiting.get(name);
    if (file === undefined) return report.onDone(name, "the manifest does not name it");
    waiting.delete(name);
    if (!early.has(name)) await publish(manifest);
    report.onDone(name, await give(file, body));
  });
  if (manifest === null) throw new MalformedError(`it is no bundle: it has no ${MANIFEST_NAME}`);
  await publish(manifest);
  for (const name of waiting.keys()) report.onDone(name, "the archive lacks it");

  async function give(file: BundleFile, body: AsyncIterable<Uint8Array>): Promise<string | null> {
    const { key, mirror, size, contentType, lastModified } = file;
    const headers = { "content-type": contentType, ...(lastModified === undefined ? {} : { "last-modified": lastModified }) };
    try {
      // What is there already is not sent, but its bytes in the archive are compared all the same.
      if ((await transfer.describe(key)) !== null) {
        for await (const _ of proven(file, body));
        return null;
      }
      return await transfer.give({ key, mirror, vouched: "true" }, { size, headers, body: proven(file, body) });
    } catch (error) {
      if (error instanceof ChangedError) return error.message;
      throw error;
    }
  }

  async function* proven({ sha256, size }: BundleFile, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const hash = createHash("sha256");
    let held: Uint8Array | null = null;
    let seen = 0;
    for await (const chunk of body) {
      hash.update(chunk);
      seen += chunk.length;
      report.onBytes(chunk.length);
      // The server takes what comes after so many bytes for another request.
      if (seen > size) break;
      if (held !== null) yield held;
      held = chunk;
    }
    if (seen !== size || hash.digest("hex") !== sha256) throw new ChangedError("its bytes are not those that the manifest names");
    if (held !== null) yield held;
  }

  async function publish({ generations }: Manifest): Promise<void> {
    if (isPublished) return;
    isPublished = true;
    for (const generation of generations) {
      const name = `${generation.mirror}/${generation.root}`;
      try {
        await client.verb("POST", "/generations", generation);
        report.onDone(name, null);
      } catch (error) {
        report.onDone(name, (error as Error).message);
      }
    }
  }
}

class ChangedError extends Error {}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_MANIFEST_BYTES) throw new MalformedError(`its ${MANIFEST_NAME} is longer than ${MAX_MANIFEST_BYTES} bytes`);
  }
  return text + decoder.decode();
}
