import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { freemem } from "node:os";

const CHUNK_BYTES = 2 ** 28;
/** What all others keep from the beginning. */
const SPARED_BYTES = 2 * 2 ** 30;

/** Holds `count` chunks, and takes as many more, or lets go of as many, as each line of its input says. */
const HOLDER = (count: number): string => `
  const held = Array.from({ length: ${count} }, () => Buffer.alloc(${CHUNK_BYTES}, 1));
  process.stdout.write("ready\\n");
  require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
    if (Number(line) < 0) held.length = Math.max(0, held.length + Number(line)), gc();
    for (let more = Number(line); more > 0; more--) held.push(Buffer.alloc(${CHUNK_BYTES}, 1));
    process.stdout.write("ready\\n");
  });`;

/** Memory that the host has given to this machine already. */
interface HeldMemory {
  /** Runs `work` with all of it free, and takes it back afterwards. */
  lend<T>(work: () => Promise<T>): Promise<T>;
  stop(): void;
}

/**
 * Holds `bytes` of memory, if the machine has as much to spare, for those that are measured. The host of a virtual machine gives memory page by page, at two
 * seconds a GB, and takes back what is free for a few seconds: without this, the peer that stores a large file first would be measured with that on top.
 */
export async function holdMemory(bytes: number): Promise<HeldMemory> {
  const count = Math.max(0, Math.floor(Math.min(bytes, freemem() - SPARED_BYTES) / CHUNK_BYTES));
  const holder = spawn(process.execPath, ["--expose-gc", "-e", HOLDER(count)], { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface({ input: holder.stdout })[Symbol.asyncIterator]();
  await lines.next();
  const change = async (chunks: number): Promise<void> => {
    holder.stdin.write(`${chunks}\n`);
    await lines.next();
  };
  return {
    async lend(work) {
      await change(-count);
      try {
        return await work();
      } finally {
        await change(count);
      }
    },
    stop: () => void holder.kill(),
  };
}
