import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readProjectFile, readVars } from "../../../src/local/project-file.ts";

const folder = mkdtempSync(join(tmpdir(), "lazy-mirror-toml-"));
afterAll(() => rmSync(folder, { recursive: true }));

function write(text: string): string {
  const file = join(folder, "wrangler.toml");
  writeFileSync(file, text);
  return file;
}

describe("the configuration file", () => {
  test("gives its [vars] with their tables", () => {
    const file = write('[vars]\nBUDGET_GB = 9\n[vars.MIRRORS.debian]\nupstreams = ["http://127.0.0.1:1"]\n');
    expect(readVars(file)).toEqual({ ok: true, value: { BUDGET_GB: 9, MIRRORS: { debian: { upstreams: ["http://127.0.0.1:1"] } } } });
  });

  test("that is not there is named", () => {
    const file = join(folder, "absent.toml");
    expect(readVars(file)).toMatchObject({ ok: false, problems: [expect.stringContaining(`"${file}": there is no such file`)] });
  });

  test("that is a folder is named", () => {
    expect(readVars(folder)).toMatchObject({ ok: false, problems: [expect.stringContaining(`"${folder}": it is a folder`)] });
  });

  test("that is no TOML is refused with the line", () => {
    const refusal = readVars(write("[vars]\nBUDGET_GB = 9 GB\n"));
    expect(refusal).toMatchObject({ ok: false, problems: [expect.stringContaining("at line 2")] });
  });

  test("with vars that are no table is refused", () => {
    expect(readVars(write("vars = 1\n"))).toMatchObject({ ok: false, problems: [expect.stringContaining("[vars]")] });
  });

  test("of the project names the Durable Objects and the compatibility date", () => {
    expect(readProjectFile(join(import.meta.dirname, "../../../wrangler.toml"))).toMatchObject({
      ok: true,
      value: {
        compatibilityDate: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
        durableObjects: expect.arrayContaining([{ name: "FLIGHTS", className: "FillCoordinator" }]),
      },
    });
  });

  test("of the project without Durable Objects is refused with the key", () => {
    const refusal = readProjectFile(write('compatibility_date = "2026-10-01"\n'));
    expect(refusal).toMatchObject({ ok: false, problems: [expect.stringContaining("durable_objects")] });
  });
});
