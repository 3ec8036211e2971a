import type { DeployPlan } from "./deploy-plan.ts";
import { failed, inJurisdiction, type RunWrangler } from "./deploy-wrangler.ts";
import { done, refused, type Step } from "../step.ts";

/**
 * R2's lifecycle rules act on the age since the upload (R2, Object lifecycles). A renewal writes an object's head anew and nothing else, so a rule that
 * deletes objects would take slices, members and tables of what is still in use. So only unfinished uploads end by a rule.
 */
const ABORT_SUFFIX = "-abort-multipart";
const ABORT_DAYS = 1;
const ABORT_ACTION = `Abort incomplete multipart uploads after ${ABORT_DAYS} days`;

/** The rule that earlier versions set, which deleted objects. */
const RETIRED_RULE = "lazy-mirror-expire";

/** One rule of a bucket, as `wrangler r2 bucket lifecycle list` prints it. */
interface Rule {
  readonly name: string;
  readonly action: string | undefined;
  readonly isWhole: boolean;
}

/** The rule's name says which Worker's bucket this is. */
export function abortRule(worker: string): readonly [name: string, option: string, days: string] {
  return [`${worker}${ABORT_SUFFIX}`, "--abort-multipart-days", String(ABORT_DAYS)];
}

/**
 * Sets the rule that ends unfinished uploads, and removes the one of earlier versions that deleted objects. Leaves rules of other names alone. Refuses a
 * bucket that belongs to another Worker's deployment: two ledgers would evict what the other one counts.
 */
export async function ensureLifecycle(
  { bucket, worker }: Pick<DeployPlan, "bucket" | "worker">,
  wrangler: RunWrangler,
  print: (line: string) => void,
): Promise<Step<void>> {
  const lifecycle = (verb: string, ...args: readonly string[]) =>
    wrangler(["r2", "bucket", "lifecycle", verb, bucket.name, ...args, ...inJurisdiction(bucket)]);
  const listed = await lifecycle("list");
  if (!listed.ok) return failed(`list the lifecycle rules of ${bucket.name}`, listed);
  const rules = rulesIn(listed.stdout);
  const [name, ...wanted] = abortRule(worker);
  const aborts = rules.filter((rule) => rule.name.endsWith(ABORT_SUFFIX));
  // Earlier versions gave the rule one name for all Workers, always beside the retired one.
  const isOfEarlierVersion = rules.some((rule) => rule.name === RETIRED_RULE);
  const foreign = aborts.find((rule) => rule.name !== name);
  if (foreign !== undefined && !isOfEarlierVersion) return refused(sharing(bucket.name, foreign.name, worker));
  const isSet = aborts.some((rule) => rule.name === name && rule.action === ABORT_ACTION && rule.isWhole);
  const outdated = [...(isSet ? [] : aborts), ...rules.filter((rule) => rule.name === RETIRED_RULE)];
  for (const rule of outdated) {
    const removed = await lifecycle("remove", "--name", rule.name);
    if (!removed.ok) return failed(`remove the lifecycle rule ${rule.name}`, removed);
    print(`  ${rule.action ?? rule.name}: removed`);
  }
  if (!isSet) {
    const added = await lifecycle("add", name, ...wanted, "--force");
    if (!added.ok) return failed(`add the lifecycle rule ${name}`, added);
  }
  print(`  ${ABORT_ACTION}: ${isSet ? "exists" : "set"}`);
  for (const rule of rules) {
    if (rule.name !== RETIRED_RULE && rule.action?.startsWith("Expire objects") === true)
      print(
        `  Rule "${rule.name}" of your own deletes objects by their age, also parts of files that are in use: remove it unless you want that.`,
      );
  }
  return done(undefined);
}

function sharing(bucket: string, rule: string, worker: string): string {
  const owner = rule.slice(0, -ABORT_SUFFIX.length);
  return (
    `Cannot use the bucket "${bucket}": its lifecycle rule "${rule}" says that Worker "${owner}" stores in it, and two mirrors would delete each other's files. ` +
    `Give Worker "${worker}" a bucket of its own: bucket_name = "${worker}" in [[r2_buckets]]. ` +
    `If Worker "${owner}" is gone: npx wrangler r2 bucket lifecycle remove ${bucket} --name ${rule}, and deploy again.`
  );
}

/** Wrangler prints blocks of `label: value` lines, with an empty line between them. */
function rulesIn(listed: string): readonly Rule[] {
  return listed.split(/\n\s*\n/).flatMap((block) => {
    const name = valueIn(block, "name");
    const isWhole = valueIn(block, "enabled") === "Yes" && valueIn(block, "prefix") === "(all prefixes)";
    return name === undefined ? [] : [{ name, action: valueIn(block, "action"), isWhole }];
  });
}

function valueIn(block: string, label: string): string | undefined {
  return new RegExp(`^${label}:\\s*(.*?)\\s*$`, "m").exec(block)?.[1];
}
