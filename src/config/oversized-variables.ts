/** The platform refuses a longer variable (text, or a table as JSON) when it is deployed. */
const MAX_VARIABLE_BYTES = 5000;

/** Problems of variables that the edge would not take: checked before deploying, as one machine knows no such limit. */
export function oversizedVariables(vars: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(vars).flatMap(([name, value]) => {
    const bytes = new TextEncoder().encode(typeof value === "string" ? value : (JSON.stringify(value) ?? "")).length;
    const wanted = `it has ${bytes} bytes; move tables to [vars.MIRRORS_<anything>], each at most ${MAX_VARIABLE_BYTES}`;
    return bytes > MAX_VARIABLE_BYTES ? [`Cannot use ${name}: ${wanted}`] : [];
  });
}
