import * as v from "valibot";
import { printable } from "../../http/printable.ts";

/** One request in the Worker's log: a JSON object on one line. */
const RequestLogSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    method: v.string(),
    path: v.string(),
    status: v.number(),
    mirror: v.nullish(v.string()),
    /** Bytes of the body that were sent; absent if it was still being sent. */
    bytes: v.nullish(v.number()),
    /** `hit`, `miss`, … as in Cache-Status. */
    cache: v.nullish(v.string()),
    ms: v.nullish(v.number()),
  }),
);

/** Messages of workerd that mean nothing to the operator. */
const NOISE = [
  // workerd refused a client's CONNECT.
  /Received a connect event but we lack a handler/i,
  /Handler does not export a connect\(\) function/i,
  // An error that workerd reports to the Worker as an internal one, such as a name without an address: the Worker logs it as the upstream's fault.
  /^e = rust\//,
  /^workerd\/\S+: e = /,
  /^stack: .*workerd@/,
  /\bstack:(?: (?:0|[0-9a-f]{4,})){3}/,
  // V8's cache of compiled modules, and where it has moved code: both mend themselves.
  /\bNOSENTRY Cached data for an ESM module failed its compatibility check/,
  /\bCODE_MOVED for unknown code block/,
  // Advice to those who develop workerd.
  /\bNot symbolizing stack traces because \$LLVM_SYMBOLIZER is not set/,
  /\btook recursive isolate lock/,
  // The Worker aborted a body so that the client sees the failure.
  /\bUncaught exception: .*\b(?:DeliveryError|BadBytes)\b/,
];

/**
 * Formats one message of the Worker's log: a request as columns, any other as it is, null for one not worth printing. What is no visible character is
 * escaped, and each further line of a message is indented, so that none can be taken for a message of its own. `now` is in milliseconds since the epoch.
 */
export function formatLogLine(message: string, now: number): string | null {
  const request = v.safeParse(RequestLogSchema, message);
  if (!request.success) return NOISE.some((noise) => noise.test(message)) ? null : message.split("\n").map(printable).join("\n  ");
  const { cache, status, method, mirror, path, bytes, ms } = request.output;
  const columns = [
    new Date(now).toISOString().slice(0, 19) + "Z",
    (cache ?? "-").padEnd(4),
    String(status),
    method,
    mirror ? `${mirror}:${path}` : path,
    bytes == null ? "" : formatBytes(bytes),
    ms == null ? "" : `${Math.round(ms)} ms`,
  ];
  return printable(columns.filter((column) => column !== "").join("  "));
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

function formatBytes(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  const value = bytes / 1024 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${UNITS[power]}`;
}
