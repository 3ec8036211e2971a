import * as v from "valibot";
import { similarWord } from "./similar-word.ts";

/** A parsed value, or what would be right (the end of an error message). */
export type Parsed<T> = { readonly value: T } | { readonly wanted: string };

/** R2 bills decimal gigabytes. */
export const GB = 1_000_000_000;

const SHOWN_CHARACTERS = 80;

/** A table with these keys. Each unknown key is a problem beside those of the known keys. */
export function table<const E extends v.ObjectEntries>(entries: E) {
  const known = Object.keys(entries);
  return v.pipe(
    v.custom<Record<string, unknown>>(isTable, "write a table of keys and values"),
    v.looseObject(entries, "this key is required"),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!isTable(dataset.value)) return;
      const input = dataset.value;
      for (const [key, value] of Object.entries(input)) {
        if (known.includes(key)) continue;
        const meant = similarWord(key, known);
        const message = meant === undefined ? `the keys here are ${known.join(", ")}` : `did you mean ${meant}?`;
        addIssue({ message, input: value, path: [{ type: "object", origin: "key", input, key, value }] });
      }
    }),
  );
}

/** Whether the value is a table of TOML or an object of JSON. */
export function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function list<const S extends v.GenericSchema>(item: S) {
  return v.array(item, "write a list, even of one: [ … ]");
}

export const quotedText = v.string("write a text in quotes");

/** A text that `parse` accepts. */
export function parsedText<T>(parse: (text: string) => Parsed<T>) {
  return v.pipe(
    quotedText,
    v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      const parsed = parse(dataset.value);
      if ("value" in parsed) return parsed.value;
      addIssue({ message: parsed.wanted });
      return NEVER;
    }),
  );
}

/** A number from `min` to `max`, or a text of its digits: the dashboard and `--var` give only texts. */
export function number(unit: string, min: number, max: number) {
  const wanted = `use a number of ${unit} from ${min} to ${max}`;
  const digits = v.pipe(v.string(), v.regex(/^\d+(?:\.\d+)?$/), v.transform(Number));
  return v.pipe(v.union([v.number(), digits], wanted), v.minValue(min, wanted), v.maxValue(max, wanted));
}

/** `true` or `false`, or a text of it: the dashboard and `--var` give only texts. */
export const flag = v.pipe(
  v.custom<boolean | "true" | "false">((given) => ["true", "false"].includes(String(given)), "use true or false"),
  v.transform((given) => String(given) === "true"),
);

export function oneOf<const T extends readonly string[]>(options: T) {
  return v.picklist(options, `use one of ${options.join(", ")}`);
}

/** `Cannot use <path> <value>: <what would be right>`. Hides credentials: problems go to logs. */
export function problem(path: string, value: unknown, wanted: string): string {
  return `Cannot use ${path} ${/\.authorization$|\.users\b/.test(path) ? "(hidden)" : show(value)}: ${wanted}`;
}

/** Formats `issues` as problems; their paths are relative to `base`. */
export function problemsOf(issues: readonly v.BaseIssue<unknown>[], base: string): string[] {
  return issues.map(({ path, input, message }) => problem(pathText(base, path ?? []), path?.at(-1)?.value ?? input, message));
}

function pathText(base: string, items: readonly v.IssuePathItem[]): string {
  const steps = items.map(({ key }) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`));
  return `${base}${steps.join("")}`.replace(/^\./, "");
}

function show(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "[]" : "(a list)";
  if (isTable(value)) return "(a table)";
  if (typeof value !== "string") return String(value);
  const withoutCredentials = value.replace(/\/\/[^/]*@/, "//…@");
  return JSON.stringify(
    withoutCredentials.length > SHOWN_CHARACTERS ? `${withoutCredentials.slice(0, SHOWN_CHARACTERS)}…` : withoutCredentials,
  );
}
