import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { freemem } from "node:os";

const CHUNK_BYTES = 2 ** 28;
/** What remains for everybody else from the beginning. */
const SPARED_BYTES = 2 * 2 ** 30;

/** Holds `count` chunks, and lets go of as many as each line of its input says. */
const HOLDER = (count: number): string => `
  const held = Array.from({ length: ${count} }, () => Buffer.alloc(${CHUNK_BYTES}, 1));
  process.stdout.write("ready\\n");
  require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
    held.length = Math.max(0, held.length - Number(line));
    gc();
    process.stdout.write("ready\\n");
  });`;

/** Memory that the machine has at hand. */
export interface HeldMemory {
  /** Gives so many bytes to whoever needs them next. */
  release(bytes: number): Promise<void>;
  stop(): void;
}

/**
 * Holds up to `bytes` of memory for those that are measured. The host of a virtual machine gives memory page by page, at two seconds a GB, and
 * takes back what is free for a few seconds: without this, whoever stores a large file first would be measured with that on top.
 */
export async function holdMemory(bytes: number): Promise<HeldMemory> {
  const count = Math.max(0, Math.floor(Math.min(bytes, freemem() - SPARED_BYTES) / CHUNK_BYTES));
  const holder = spawn(process.execPath, ["--expose-gc", "-e", HOLDER(count)], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: holder.stdout })[Symbol.asyncIterator]();
  await lines.next();
  return {
    async release(wanted) {
      holder.stdin.write(`${Math.ceil(wanted / CHUNK_BYTES)}\n`);
      await lines.next();
    },
    stop: () => void holder.kill(),
  };
}
