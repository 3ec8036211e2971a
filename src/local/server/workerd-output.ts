import type { Readable } from "node:stream";

/** Passes each line of `stream` to `onLine` once it is whole, and what is left when the stream ends. */
export function readLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") onLine(line);
  });
  stream.on("end", () => {
    if (rest !== "") onLine(rest);
  });
}

/**
 * The message of a line that workerd writes with `structuredLogging`: JSON with `timestamp`, `level` and `message`. A line of another form, such as the last
 * words of a crash, is a message itself.
 */
export function messageOf(line: string): string {
  try {
    const { message } = (JSON.parse(line) ?? {}) as { readonly message?: unknown };
    return typeof message === "string" ? message : line;
  } catch {
    return line;
  }
}

/** What workerd says for those who develop it. */
const NOISE = [
  // V8's caches of compiled modules are of other flags or another version, and V8 has moved code: both mend themselves.
  /\bNOSENTRY .*\bfailed its compatibility check/,
  /\bCODE_MOVED for unknown code block/,
  /\bNot symbolizing stack traces because \$LLVM_SYMBOLIZER is not set/,
  /\btook recursive isolate lock/,
  /\bstack:(?: (?:0|[0-9a-f]{4,})){3}/,
];

/** Whether a message means nothing to the operator, and says nothing of the Worker. */
export function isNoise(message: string): boolean {
  return NOISE.some((noise) => noise.test(message));
}

/** The socket and port of a line of workerd's control pipe (`--control-fd`); null where it reports something else. */
export function parseListening(line: string): { readonly socket: string; readonly port: number } | null {
  try {
    const { event, socket, port } = (JSON.parse(line) ?? {}) as Readonly<Record<string, unknown>>;
    return event === "listen" && typeof socket === "string" && typeof port === "number" ? { socket, port } : null;
  } catch {
    return null;
  }
}
