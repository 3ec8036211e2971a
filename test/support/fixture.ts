import { createCipheriv, createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * A private copy (dates kept) of the folder that `build` fills, which is built once and kept in the system's
 * temporary folder until one of `sources` (module URLs of the code that builds it) changes.
 */
export async function copyFixture(name: string, sources: readonly string[], build: (folder: string) => Promise<void>): Promise<string> {
  const store = join(tmpdir(), `lazy-mirror-fixtures-${userInfo().uid}`);
  const hash = createHash("sha256");
  for (const source of [import.meta.url, ...sources]) hash.update(readFileSync(fileURLToPath(source)));
  const kept = join(store, `${name}-${hash.digest("hex").slice(0, 16)}`);
  if (!existsSync(kept)) {
    mkdirSync(store, { recursive: true });
    const draft = mkdtempSync(join(store, "draft-"));
    await build(draft);
    try {
      renameSync(draft, kept);
    } catch (error) {
      // Another run was faster; its result is as good.
      if (!existsSync(kept)) throw error;
      rmSync(draft, { recursive: true });
    }
  }
  const copy = mkdtempSync(join(tmpdir(), `lazy-mirror-${name}-`));
  cpSync(kept, copy, { recursive: true, preserveTimestamps: true });
  return copy;
}

/** `length` bytes that do not compress and are the same for the same `seed`. */
export function makeNoise(seed: string, length: number): Buffer {
  const key = createHash("sha256").update(seed).digest();
  return createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(length));
}

/** Hex SHA-256 of a file or of bytes. */
export function sha256(source: string | Buffer): string {
  return createHash("sha256")
    .update(typeof source === "string" ? readFileSync(source) : source)
    .digest("hex");
}
