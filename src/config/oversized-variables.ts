/** Cloudflare refuses to deploy a longer variable (a text, or a table as JSON). */
const MAX_VARIABLE_BYTES = 5000;

/** One problem for each variable that Cloudflare would refuse. For the deployment only: the one-machine server has no such limit. */
export function oversizedVariables(vars: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(vars).flatMap(([name, value]) => {
    const bytes = new TextEncoder().encode(typeof value === "string" ? value : (JSON.stringify(value) ?? "")).length;
    const wanted = `it has ${bytes} bytes; move tables to [vars.MIRRORS_<anything>], each at most ${MAX_VARIABLE_BYTES}`;
    return bytes > MAX_VARIABLE_BYTES ? [`Cannot use ${name}: ${wanted}`] : [];
  });
}
