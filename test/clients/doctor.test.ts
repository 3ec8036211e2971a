import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AptRepository, openAptRepository } from "../support/apt-repository.ts";
import { type MirrorProcess, startMirror } from "../support/mirror.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { requireTools, runTool } from "../support/run-tool.ts";

const ROOT = join(import.meta.dirname, "../..");

/** The other tests of the doctor are in test/conformance: this one is about what it finds of each way of starting a mirror. */
describe.runIf(requireTools("apt-ftparchive", "dpkg-deb", "gpg"))("npm run doctor", () => {
  let apt: AptRepository;
  let origin: Origin;
  let mirror: MirrorProcess;

  beforeAll(async () => {
    apt = await openAptRepository();
    origin = await startOrigin(apt.folder);
    mirror = await startMirror({ mirrors: { debian: { upstreams: [origin.url], distro: "debian" } } });
  });
  afterAll(async () => {
    await mirror?.remove();
    await origin?.close();
    if (apt !== undefined) rmSync(apt.folder, { recursive: true });
  });

  it("finds nothing wrong, from the URL of the server alone, and reads the status with the token", async () => {
    const main = join(ROOT, "src/local/doctor/doctor-main.ts");
    const run = await runTool(join(ROOT, "node_modules/.bin/node"), [main, mirror.url], {
      cwd: ROOT,
      env: { ADMIN_TOKEN: mirror.readToken() },
    });
    expect(run).toMatchObject({ code: 0, stderr: "" });
    expect(run.stdout).not.toMatch(/^BAD/m);
    for (const group of ["Connection", "Mirrors", "Clients", "Answers", "Caching", "Downloads", "Front", "Operator"])
      expect(run.stdout).toMatch(new RegExp(`^${group}$`, "m"));
    for (const check of [
      "second answer +hit",
      "10 clients at once +equal bytes",
      "resumed download +cut at",
      "ledger +0\\.\\d\\d of 9\\.00 GB used",
    ])
      expect(run.stdout).toMatch(new RegExp(`^good +${check}`, "m"));
  });
});
