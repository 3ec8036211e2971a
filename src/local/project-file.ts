import { readFileSync } from "node:fs";
import { parse, TomlError } from "smol-toml";
import * as v from "valibot";
import { done, refused, type Step } from "./step.ts";

/** What the one-machine server needs of the project's own wrangler.toml besides `[vars]`: how to run the Worker. */
export type ProjectFile = v.InferOutput<typeof ProjectSchema>;

const ProjectSchema = v.pipe(
  v.object({
    compatibility_date: v.string(),
    compatibility_flags: v.optional(v.array(v.string()), []),
    durable_objects: v.object({ bindings: v.array(v.object({ name: v.string(), class_name: v.string() })) }),
  }),
  v.transform((file) => ({
    compatibilityDate: file.compatibility_date,
    compatibilityFlags: file.compatibility_flags,
    durableObjects: file.durable_objects.bindings.map(({ name, class_name: className }) => ({ name, className })),
  })),
);

/** A file without [vars] passes here: `parseConfig` then reports what is missing. */
const VarsSchema = v.object({ vars: v.optional(v.record(v.string(), v.unknown()), {}) });

/** Reads the project's wrangler.toml. Refuses with every missing or malformed key. */
export function readProjectFile(path: string): Step<ProjectFile> {
  const table = readToml(path);
  if (!table.ok) return table;
  const parsed = v.safeParse(ProjectSchema, table.value);
  if (!parsed.success) return refused(...parsed.issues.map((issue) => `Cannot use ${v.getDotPath(issue)} of "${path}": ${issue.message}.`));
  return done(parsed.output);
}

/** The `[vars]` table of a wrangler.toml, not yet validated. Refuses if the file is no TOML, or `vars` no table. */
export function readVars(path: string): Step<Record<string, unknown>> {
  const table = readToml(path);
  if (!table.ok) return table;
  const parsed = v.safeParse(VarsSchema, table.value);
  return parsed.success ? done(parsed.output.vars) : refused(`Cannot use vars of "${path}": it must be a table, [vars].`);
}

/** A TOML file, parsed and not validated. Refuses if it cannot be read, or with the place of the syntax error. */
export function readToml(path: string): Step<unknown> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : code === "EISDIR" ? "it is a folder" : message;
    return refused(`Cannot read the configuration "${path}": ${why}; name a file in the form of wrangler.toml with --config.`);
  }
  try {
    return done(parse(text));
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    return refused(
      `Cannot read the configuration "${path}" at line ${error.line}, column ${error.column}: ${error.message.replace(/\n.*/s, "")}.`,
    );
  }
}
