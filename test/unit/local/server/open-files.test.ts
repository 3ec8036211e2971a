import { expect, test } from "vitest";
import { describeFewFiles, readOwnLimits } from "../../../../src/local/server/open-files.ts";

const limits = (soft: string, hard: string): string =>
  `Limit                     Soft Limit           Hard Limit           Units\nMax processes             1                    2                    processes\nMax open files            ${soft.padEnd(20)} ${hard.padEnd(20)} files\n`;

test("a low hard limit on open files is reported with what to do; a low soft one is not, as it is raised by itself", () => {
  expect(describeFewFiles(limits("256", "1024"))).toMatch(/^Only 1024 files .* 341 clients.*LimitNOFILE=/);
  expect(describeFewFiles(limits("1024", "524288"))).toBeNull();
  expect(describeFewFiles(limits("1024", "unlimited"))).toBeNull();
});

test("the limits of this process can be read", () => {
  expect(readOwnLimits()).toMatch(/^Max open files/m);
});
