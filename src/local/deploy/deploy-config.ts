import { rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { stringify } from "smol-toml";
import * as v from "valibot";
import { readToml } from "../project-file.ts";
import type { Step } from "../step.ts";

const ConfigSchema = v.looseObject({ r2_buckets: v.array(v.looseObject({ binding: v.string() })) });

/**
 * Has `deploy` work on a copy of the wrangler.toml that names the bucket. Without a name `wrangler deploy` would create a bucket itself, at a place of R2's
 * choice. The copy lies beside the file, whose paths are relative to its folder, and goes when `deploy` has ended.
 */
export async function withNamedBucket<T>(path: string, name: string, deploy: (path: string) => Promise<Step<T>>): Promise<Step<T>> {
  const read = readToml(path);
  if (!read.ok) return read;
  const config = v.parse(ConfigSchema, read.value);
  const buckets = config.r2_buckets.map((bucket) => (bucket.binding === "BUCKET" ? { ...bucket, bucket_name: name } : bucket));
  const copy = join(dirname(path), `.deploy-${basename(path)}`);
  writeFileSync(copy, stringify({ ...config, r2_buckets: buckets }));
  try {
    return await deploy(copy);
  } finally {
    rmSync(copy, { force: true });
  }
}
