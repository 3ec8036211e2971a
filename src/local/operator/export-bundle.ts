import { createHash } from "node:crypto";
import { once } from "node:events";
import { createTarPacker, type TarHeader } from "modern-tar";
import { type BundleFile, type BundleGeneration, type Manifest, MANIFEST_NAME } from "./bundle-manifest.ts";
import type { MirrorClient } from "./mirror-client.ts";
import type { StoredFile, TransferClient } from "./transfer-client.ts";

/** Rows that one listing asks for. */
const LIST_PAGE = "999";

interface Carried {
  readonly path: string;
  readonly key: string;
  readonly size: number;
  readonly digest: { readonly algorithm: string; readonly digest: string };
}

/** As `GET /-/ledger/generations` has them. */
interface CarriedGeneration {
  readonly mirror: string;
  readonly place: { readonly form?: string };
  readonly root: Carried;
  readonly companions: readonly Carried[];
  readonly members: readonly Carried[];
}

/** A file of the bundle, and the key under which this server has it. */
interface Listed {
  readonly file: BundleFile;
  readonly storedKey: string;
}

/** What a pattern matches, and the manifest that says so. Throws an Error where nothing does. */
export async function planBundle(
  pattern: string,
  client: Pick<MirrorClient, "verb" | "rows">,
  transfer: TransferClient,
): Promise<{ readonly manifest: Manifest; readonly storedKeys: readonly string[] }> {
  const files = new Map<string, Listed>();
  const generations: BundleGeneration[] = [];
  const { rows } = await client.verb("GET", `/generations?${String(new URLSearchParams({ pattern }))}`);
  for (const { mirror, place, root, companions, members } of rows as readonly CarriedGeneration[]) {
    const published = [root, ...companions];
    for (const one of published) await add(mirror, one, `-/sha256/${one.digest.digest}`);
    const had: string[] = [];
    for (const one of members) if (await add(mirror, one, `-/${one.digest.algorithm}/${one.digest.digest}`)) had.push(one.path);
    generations.push({
      mirror,
      root: root.path,
      sha256: root.digest.digest,
      ...(place.form === undefined ? {} : { form: place.form }),
      companions: companions.map(({ path, digest }) => ({ path, sha256: digest.digest })),
      members: had,
    });
  }
  const listing = client.rows((after) =>
    client.verb("GET", `/objects?${String(new URLSearchParams({ pattern, after, limit: LIST_PAGE }))}`),
  );
  for await (const row of listing) {
    const key = String(row["key"]);
    // Bytes by digest are members, which the generations have named.
    if (key.startsWith("-/")) continue;
    const slash = key.indexOf("/");
    await add(key.slice(0, slash), { path: key.slice(slash + 1), key }, key);
  }
  if (files.size === 0) throw new Error(`Cannot export "${pattern}": nothing that is stored matches; see ls`);
  const listed = [...files.values()];
  const manifest = {
    format: "lazy-mirror bundle",
    version: 1,
    files: listed.map(({ file }) => file),
    generations,
  } as const;
  return { manifest: { ...manifest, generations }, storedKeys: listed.map(({ storedKey }) => storedKey) };

  /** False: the server has lost it, or could not see whether it was whole. */
  async function add(mirror: string, { path, key: storedKey }: Pick<Carried, "path" | "key">, key: string): Promise<boolean> {
    const name = `${mirror}/${path}`;
    if (files.has(name)) return true;
    const stored = await transfer.describe(storedKey);
    if (stored === null || stored.verified === "none") return false;
    const { size, contentType, lastModified } = stored;
    const sha256 = await digestOf(stored, storedKey);
    const file = { name, mirror, key, size, sha256, contentType, ...(lastModified === undefined ? {} : { lastModified }) };
    files.set(name, { file, storedKey });
    return true;
  }

  async function digestOf({ sha256 }: StoredFile, key: string): Promise<string> {
    if (sha256 !== undefined) return sha256;
    const hash = createHash("sha256");
    for await (const chunk of transfer.read(key)) hash.update(chunk);
    return hash.digest("hex");
  }
}

/** Writes the archive. Throws an Error where a stored file has changed since the plan was made: the archive is then of no use. */
export async function writeBundle(
  { manifest, storedKeys }: Awaited<ReturnType<typeof planBundle>>,
  transfer: Pick<TransferClient, "read">,
  output: NodeJS.WritableStream,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const { readable, controller } = createTarPacker();
  const flowing = flow();
  // It is awaited below; an error on the way ends the packing first.
  flowing.catch(() => {});
  try {
    const text = new TextEncoder().encode(`${JSON.stringify(manifest, null, 1)}\n`);
    await add({ name: MANIFEST_NAME, size: text.length }, single(text));
    for (const [index, file] of manifest.files.entries()) {
      const mtime = new Date(file.lastModified ?? 0);
      await add(
        { name: file.name, size: file.size, mtime: Number.isNaN(mtime.getTime()) ? new Date(0) : mtime },
        checked(file, storedKeys[index] ?? ""),
      );
    }
    controller.finalize();
  } catch (error) {
    controller.error(error);
    throw error;
  }
  await flowing;

  async function add(header: Pick<TarHeader, "name" | "size" | "mtime">, body: AsyncIterable<Uint8Array>): Promise<void> {
    const writer = controller.add({ mode: 0o644, type: "file", ...header }).getWriter();
    for await (const chunk of body) {
      await writer.ready;
      await writer.write(chunk);
    }
    await writer.close();
  }

  async function* checked({ name, sha256 }: BundleFile, key: string): AsyncGenerator<Uint8Array> {
    const hash = createHash("sha256");
    for await (const chunk of transfer.read(key)) {
      hash.update(chunk);
      onBytes(chunk.length);
      yield chunk;
    }
    if (hash.digest("hex") !== sha256) throw new Error(`Cannot export ${name}: it changed while the bundle was written; export it again`);
  }

  async function flow(): Promise<void> {
    for await (const chunk of readable as unknown as AsyncIterable<Uint8Array>) if (!output.write(chunk)) await once(output, "drain");
  }
}

async function* single(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
