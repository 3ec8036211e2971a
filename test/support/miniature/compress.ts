import { spawnSync } from "node:child_process";
import { constants, gunzipSync, gzipSync, zstdCompressSync } from "node:zlib";

/** How a file of metadata is packed, as its name says. */
export type Form = "" | ".gz" | ".xz" | ".bz2" | ".zst";

const TOOLS = { ".xz": "xz", ".bz2": "bzip2", ".zst": "zstd" } as const;

/** `bytes` packed as a name that ends with `form` promises. */
export function pack(form: Form, bytes: Buffer): Buffer {
  switch (form) {
    case "":
      return bytes;
    case ".gz":
      return gzipSync(bytes, { level: constants.Z_BEST_COMPRESSION });
    case ".zst":
      return zstdCompressSync(bytes);
    case ".xz":
    case ".bz2":
      return pipe(TOOLS[form], ["-c"], bytes);
  }
}

/** What `pack` packed; gzip of several members and zstd of several frames too. */
export function unpack(form: Form, bytes: Buffer): Buffer {
  switch (form) {
    case "":
      return bytes;
    case ".gz":
      return gunzipSync(bytes);
    case ".xz":
    case ".bz2":
    case ".zst":
      // Node's own zstd reads the first frame alone.
      return pipe(TOOLS[form], ["-dc"], bytes);
  }
}

/** The form that a file's name promises. */
export function formOf(name: string): Form {
  return ([".gz", ".xz", ".bz2", ".zst"] as const).find((form) => name.endsWith(form)) ?? "";
}

function pipe(command: string, args: readonly string[], input: Buffer): Buffer {
  const run = spawnSync(command, args, { input, maxBuffer: 64 * 1024 * 1024 });
  if (run.status !== 0) throw new Error(`Cannot run ${command}: exit code ${run.status}, should be 0\n${run.stderr.toString()}`);
  return run.stdout;
}
