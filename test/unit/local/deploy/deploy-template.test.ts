import { readFileSync } from "node:fs";
import { parse } from "smol-toml";
import { describe, expect, it } from "vitest";

// What Cloudflare's deploy button, Workers Builds and `npm create cloudflare --template` read of the project (Workers, Deploy to Cloudflare buttons).
const file = parse(readFileSync("wrangler.toml", "utf8")) as unknown as {
  readonly name: string;
  readonly vars: Record<string, unknown>;
  readonly r2_buckets: readonly { readonly binding: string; readonly bucket_name?: string }[];
  readonly durable_objects: { readonly bindings: readonly { readonly name: string; readonly class_name: string }[] };
  readonly migrations: readonly { readonly new_sqlite_classes: readonly string[] }[];
};
const project = JSON.parse(readFileSync("package.json", "utf8")) as {
  readonly scripts: Record<string, string>;
  readonly cloudflare: { readonly bindings: Record<string, { readonly description: string }> };
};
const secrets = readFileSync(".dev.vars.example", "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"));

describe("the project as a template", () => {
  it("describes each resource and secret that a new deployment asks for, and nothing that is not there", () => {
    const described = Object.keys(project.cloudflare.bindings);
    const bucket = file.r2_buckets.map(({ binding }) => binding);
    const objects = file.durable_objects.bindings.map(({ name }) => name);
    const secretNames = secrets.map((line) => line.slice(0, line.indexOf("=")));
    expect(described).toEqual(expect.arrayContaining([...bucket, ...objects, ...secretNames]));
    expect([...bucket, ...objects, ...secretNames, ...Object.keys(file.vars)]).toEqual(expect.arrayContaining(described));
    for (const { description } of Object.values(project.cloudflare.bindings)) expect(description).toMatch(/^[A-Z].{20,}\.$/s);
  });

  it("gives no secret a value: a known one would open every copy of the project", () => {
    expect(secrets).toEqual(["ADMIN_TOKEN="]);
  });

  it("names no bucket, so that two Workers of one account never share one", () => {
    expect(file.r2_buckets.map(({ bucket_name: name }) => name)).toEqual([undefined]);
  });

  it("declares each Durable Object class in a migration", () => {
    const declared = file.migrations.flatMap(({ new_sqlite_classes: classes }) => classes);
    expect(file.durable_objects.bindings.map(({ class_name: name }) => name).toSorted()).toEqual(declared.toSorted());
  });

  it("is built without wrangler's [build], which Workers Builds does not run, and deployed by the project's own command", () => {
    expect(project.scripts["build"]).toBe("node src/local/xz-module-main.ts");
    expect(project.scripts["deploy"]).toBe("node src/local/deploy/deploy-main.ts");
  });
});
