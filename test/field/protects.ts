import { download } from "../support/download.ts";
import { pack } from "../support/miniature/compress.ts";
import { deb, debSuite, type Files, type SuiteOptions } from "../support/miniature/deb-archive.ts";
import { rpm, rpmMd, type RpmMdOptions } from "../support/miniature/rpm-md.ts";
import { apt, type AptOptions, type Client, dnf, Refusal, type RpmOptions } from "./model-clients.ts";
import { dateOf, type Shape, type Stage } from "./shape.ts";

/** A repository with one package that is rebuilt under its name. */
export interface Rebuilt {
  /** The client's whole run: index and package, each checked. */
  readonly client: Client;
  /** Of the package, below the upstream. */
  readonly path: string;
  /** All files, in generation `n`, the package's bytes made of `seed`; the same length for each seed. */
  readonly files: (n: number, seed: string) => Files | Promise<Files>;
  readonly setUp?: (stage: Stage) => void;
}

/** Every such row needs these mirrors: each is cold at the step that it is for. */
export const PROTECTED_MIRRORS = ["early", "late"] as const;

/** The date of the package, whatever its bytes: an entity tag of size and date then says that nothing changed. */
const PACKAGE_DATE = dateOf(0);

/**
 * Directly the client refuses other bytes than the index names. Through the mirror, once the upstream is right again, the next client gets the right ones; and
 * a package that is rebuilt under its name, with its size and date, comes anew. So it is for a mirror that was asked for the package before any index.
 */
export function protects({ client, path, files, setUp }: Rebuilt): Shape["play"] {
  return async (stage) => {
    setUp?.(stage);
    const put = async (n: number, seed: string): Promise<void> => {
      const { [path]: bytes, ...others } = await files(n, seed);
      if (bytes === undefined) throw new Error(`Cannot publish: ${path} is no file of this row`);
      stage.upstream.put(others);
      stage.upstream.put({ [path]: bytes }, { seconds: PACKAGE_DATE });
    };
    const putPackage = async (seed: string): Promise<void> => {
      stage.upstream.put({ [path]: (await files(1, seed))[path] ?? Buffer.alloc(0) }, { seconds: PACKAGE_DATE });
    };
    await put(1, "first");
    const first = await stage.direct(client);
    await early(stage, path);

    await putPackage("other");
    const isRefused = await client(stage.upstream.url).then(
      () => false,
      (error: unknown) => error instanceof Refusal,
    );
    if (!isRefused) throw new Error("direct: the client should refuse other bytes than the index names");
    await client(stage.url()).then(
      () => {
        throw new Error("the mirror gives out what the upstream does not have");
      },
      (error: unknown) => {
        if (!(error instanceof Refusal)) throw error;
      },
    );
    await putPackage("first");
    await stage.soon(client, first, "the upstream is right again");
    await stage.same(client, first, "and a second client");

    await put(2, "second");
    const second = await stage.direct(client);
    await stage.soon(client, second, "the package is rebuilt");
    await stage.soon(client, second, "the package was asked for before any index", undefined, stage.url("early"));
    await stage.same(client, second, "rebuilt, cold", stage.url("late"));
    await stage.same(client, second, "rebuilt, warm");
  };
}

async function early({ url }: Stage, path: string): Promise<void> {
  const got = await download(`${url("early")}/${path.split("/").map(encodeURIComponent).join("/")}`, { isKept: true });
  if (got.status !== 200 || !got.isWhole)
    throw new Refusal(
      `/${path} is answered by ${got.status} before any index was asked for: ${got.bytes.toString("latin1").slice(0, 300)}`,
    );
}

export interface DebRow extends Partial<SuiteOptions> {
  /** Below the upstream. */
  readonly path: string;
  /** `Filename`; default: the path. */
  readonly filename?: string;
  readonly client?: Partial<AptOptions>;
}

/** A deb archive whose one package is rebuilt. */
export function debRebuilt(id: string, { path, filename = path, client, ...options }: DebRow): Rebuilt {
  const folder = options.folder ?? "dists/stable";
  return {
    path,
    client: apt({ folder, ...(options.index === undefined ? {} : { index: options.index }), ...client }),
    files: (n, seed) =>
      debSuite({ folder, date: dateOf(n), entries: [deb(`${id}-tool`, `${id} ${seed}`, { filename })], placeOf: () => path, ...options }),
  };
}

export interface RpmRow extends Partial<RpmMdOptions> {
  /** Below the upstream. */
  readonly path: string;
  /** `location href`; default: the path below the repository's folder. */
  readonly href?: string;
  readonly client?: RpmOptions;
}

/** An rpm repository whose one package is rebuilt. */
export function rpmRebuilt(id: string, { path, href, client, ...options }: RpmRow): Rebuilt {
  const { folder = "" } = options;
  const location = href ?? (folder === "" ? path : path.slice(folder.length + 1));
  return {
    path,
    client: dnf({ folder, ...client }),
    files: (n, seed) => rpmMd({ revision: dateOf(n), entries: [rpm(`${id}-tool`, `${id} ${seed}`, { href: location })], ...options }),
  };
}

/** gzip of two members, as parallel and appending writers make it. */
export function twoMembers(bytes: Buffer): Buffer {
  const middle = Math.floor(bytes.length / 2);
  return Buffer.concat([pack(".gz", bytes.subarray(0, middle)), pack(".gz", bytes.subarray(middle))]);
}

/** zstd of several frames, as `zstd -T0` and pzstd make it. */
export function twoFrames(bytes: Buffer): Buffer {
  const middle = Math.floor(bytes.length / 2);
  return Buffer.concat([pack(".zst", bytes.subarray(0, middle)), pack(".zst", bytes.subarray(middle))]);
}
