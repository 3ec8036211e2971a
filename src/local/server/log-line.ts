import { printable } from "../../http/printable.ts";

/** One request in the Worker's log: a JSON object on one line. */
interface RequestLine {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly mirror: string | null | undefined;
  /** Bytes of the body that were sent; absent if it was still being sent. */
  readonly bytes: number | null | undefined;
  /** `hit`, `miss`, … as in Cache-Status. */
  readonly cache: string | null | undefined;
  readonly ms: number | null | undefined;
  /** The address of a client that was refused for who it is. */
  readonly client: string | null | undefined;
}

/** Messages of workerd that mean nothing to the operator. */
const NOISE = [
  // workerd refused a client's CONNECT, and says so twice.
  /Handler does not export a connect\(\) function/i,
  // An error that workerd reports to the Worker as an internal one, such as a name without an address: the Worker logs it as the upstream's fault.
  /^e = rust\//,
  /^workerd\/\S+: e = /,
  /^stack: .*workerd@/,
  // The Worker aborted a body so that the client sees the failure.
  /\bUncaught exception: .*\b(?:DeliveryError|BadBytes)\b/,
];

/** workerd answers CONNECT by itself, with 500 and without a word for the client: the reason can stand only here. */
const CONNECT = /Received a connect event but we lack a handler/i;
const CONNECT_REFUSED =
  'A client asked for a tunnel (CONNECT), as it does for https URLs through a proxy: a mirror opens none. Use http:// in its sources, or no proxy for https (apt: Acquire::https::Proxy "DIRECT").';

/**
 * Formats one message of the Worker's log: a request as columns, any other as it is, null for one not worth printing. What is no visible character is
 * escaped, and each further line of a message is indented, so that none can be taken for a message of its own. `now` is in milliseconds since the epoch.
 */
export function formatLogLine(message: string, now: number): string | null {
  const request = parseRequest(message);
  if (CONNECT.test(message)) return CONNECT_REFUSED;
  if (request === null) return NOISE.some((noise) => noise.test(message)) ? null : message.split("\n").map(printable).join("\n  ");
  const { cache, status, method, mirror, path, bytes, ms, client } = request;
  const columns = [
    formatSecond(now),
    (cache ?? "-").padEnd(4),
    String(status),
    method,
    mirror ? `${mirror}:${path}` : path,
    bytes == null ? "" : formatBytes(bytes),
    ms == null ? "" : `${Math.round(ms)} ms`,
    client == null ? "" : `from ${client}`,
  ];
  const shown = columns.filter((column) => column !== "").join("  ");
  return VISIBLE.test(shown) ? shown : printable(shown);
}

/** Has nothing that `printable` looks for, and is found in a tenth of its time. */
const VISIBLE = /^[ -~]*$/;

/** The last second that was formatted, in seconds since the epoch: the lines of a batch share it. */
let [second, formatted] = [Number.NaN, ""];

function formatSecond(now: number): string {
  const wanted = Math.floor(now / 1000);
  if (wanted !== second) [second, formatted] = [wanted, `${new Date(now).toISOString().slice(0, 19)}Z`];
  return formatted;
}

/** The request of a line; null where it is about something else. By hand: there is one for each request, and a schema takes as long as all the rest. */
function parseRequest(line: string): RequestLine | null {
  if (!line.startsWith("{")) return null;
  try {
    const { method, path, status, mirror, bytes, cache, ms, client } = JSON.parse(line) as Readonly<Record<string, unknown>>;
    if (typeof method !== "string" || typeof path !== "string" || typeof status !== "number") return null;
    if (!isTextOrNone(mirror) || !isTextOrNone(cache) || !isTextOrNone(client) || !isNumberOrNone(bytes) || !isNumberOrNone(ms))
      return null;
    return { method, path, status, mirror, bytes, cache, ms, client };
  } catch {
    return null;
  }
}

function isTextOrNone(value: unknown): value is string | null | undefined {
  return value == null || typeof value === "string";
}

function isNumberOrNone(value: unknown): value is number | null | undefined {
  return value == null || typeof value === "number";
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

function formatBytes(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  const value = bytes / 1024 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${UNITS[power]}`;
}
