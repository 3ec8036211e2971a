import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { describeFewFiles, openStateFolder } from "../../../../src/local/server/state-folder.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "lazy-mirror-state-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("the state folder", () => {
  test("is made with all that leads to it", () => {
    const state = openStateFolder(join(folder, "a/b"));
    expect(state).toMatchObject({ ok: true, value: { store: join(folder, "a/b/store"), objects: join(folder, "a/b/objects") } });
    expect(existsSync(join(folder, "a/b/store"))).toBe(true);
    if (state.ok) state.value.release();
  });

  test("is refused to a second server, and free again when the first lets go", () => {
    const first = openStateFolder(folder);
    expect(first.ok).toBe(true);
    expect(openStateFolder(folder)).toEqual({
      ok: false,
      problems: [`Cannot use the state folder "${folder}": another server runs on it; stop it or choose another folder with --state.`],
    });
    if (first.ok) first.value.release();
    const third = openStateFolder(folder);
    expect(third.ok).toBe(true);
    if (third.ok) third.value.release();
  });

  test("is free again after its server was killed", () => {
    const module = join(import.meta.dirname, "../../../../src/local/server/state-folder.ts");
    const script = `const { openStateFolder } = await import(${JSON.stringify(module)});
      if (openStateFolder(${JSON.stringify(folder)}).ok) process.kill(process.pid, "SIGKILL");`;
    expect(spawnSync(process.execPath, ["--input-type=module", "-e", script]).signal).toBe("SIGKILL");
    const state = openStateFolder(folder);
    expect(state.ok).toBe(true);
    if (state.ok) state.value.release();
  });

  test("keeps no secrets of a server that was killed while it started workerd", () => {
    mkdirSync(join(folder, "workerd"));
    writeFileSync(join(folder, "workerd/config.capnp"), "the operator's token");
    const state = openStateFolder(folder);
    expect(existsSync(join(folder, "workerd"))).toBe(false);
    if (state.ok) state.value.release();
  });

  test("cannot be a file", () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    expect(openStateFolder(file)).toMatchObject({
      ok: false,
      problems: [expect.stringContaining(`"${file}": there is a file of that name`)],
    });
    expect(openStateFolder(join(file, "below"))).toMatchObject({ ok: false, problems: [expect.stringContaining("--state")] });
  });

  test("cannot lie where nothing can be written", () => {
    // Not even root may make a folder there. (/proc would do as well, but Node's recursive mkdir never returns from it.)
    const state = openStateFolder("/sys/lazy-mirror");
    expect(state).toMatchObject({ ok: false, problems: [expect.stringContaining('Cannot keep state in "/sys/lazy-mirror"')] });
  });

  test("with a lock that is no lock is refused with what to do", () => {
    writeFileSync(join(folder, "lock"), "x".repeat(4096));
    expect(openStateFolder(folder)).toMatchObject({ ok: false, problems: [expect.stringContaining('remove the file "lock"')] });
  });

  test("has room for what it holds and for most of what is free", () => {
    const before = openStateFolder(folder);
    const { bavail, bsize } = statfsSync(folder);
    const free = bavail * bsize;
    if (!before.ok) throw new Error(before.problems.join());
    expect(before.value.room).toBeGreaterThan(free * 0.8);
    expect(before.value.room).toBeLessThan(free * 0.95);
    before.value.release();
  });
});

describe("the limit on open files", () => {
  const limits = (soft: string, hard: string): string =>
    `Limit                     Soft Limit           Hard Limit           Units\nMax processes             1                    2                    processes\nMax open files            ${soft.padEnd(20)} ${hard.padEnd(20)} files\n`;

  test("is reported with what to do where the hard one is low; a low soft one is not, as it is raised by itself", () => {
    expect(describeFewFiles(limits("256", "1024"))).toMatch(/^Only 1024 files .* 341 clients.*LimitNOFILE=/);
    expect(describeFewFiles(limits("1024", "524288"))).toBeNull();
    expect(describeFewFiles(limits("1024", "unlimited"))).toBeNull();
  });

  test("of this process can be read", () => {
    expect(readFileSync("/proc/self/limits", "utf8")).toMatch(/^Max open files/m);
    expect(describeFewFiles() ?? "Only 1 files").toMatch(/^Only \d+ files/);
  });
});
