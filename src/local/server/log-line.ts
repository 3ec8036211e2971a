import * as v from "valibot";

/** One request as the Worker logs it: a JSON object on a line of its own. */
const RequestLogSchema = v.object({
  method: v.string(),
  path: v.string(),
  status: v.number(),
  mirror: v.nullish(v.string()),
  /** Bytes of body; absent where the body was still under way. */
  bytes: v.nullish(v.number()),
  /** hit, miss, … as in Cache-Status. */
  cache: v.nullish(v.string()),
  ms: v.nullish(v.number()),
});

/** What workerd prints without any meaning to the person who runs the mirror. */
const NOISE = [
  // A client tried CONNECT: it was refused, and that is all.
  /Received a connect event but we lack a handler/i,
  /Handler does not export a connect\(\) function/i,
  // What workerd hides from the Worker as an internal error, such as a name without address: the Worker logs it as a fault of the upstream.
  /^e = rust\//,
  /^workerd\/\S+: e = /,
  /^stack: .*workerd@/,
  // A body that we abort so that the client sees the failure.
  /\bUncaught exception: .*\b(?:DeliveryError|BadBytes)\b/,
];

/**
 * What to print for one line of the Worker's log: a request as columns, any other line as it is, or null for what is only noise.
 * `now` is in milliseconds since the epoch.
 */
export function formatLogLine(message: string, now: number): string | null {
  const request = message.startsWith("{") ? parseRequest(message) : null;
  if (request === null) return NOISE.some((noise) => noise.test(message)) ? null : message;
  const { cache, status, method, mirror, path, bytes, ms } = request;
  const columns = [
    new Date(now).toISOString().slice(0, 19) + "Z",
    (cache ?? "-").padEnd(4),
    String(status),
    method,
    mirror ? `${mirror}:${path}` : path,
    bytes == null ? "" : formatBytes(bytes),
    ms == null ? "" : `${Math.round(ms)} ms`,
  ];
  return escapeControls(columns.filter((column) => column !== "").join("  "));
}

function parseRequest(message: string): v.InferOutput<typeof RequestLogSchema> | null {
  try {
    const parsed = v.safeParse(RequestLogSchema, JSON.parse(message));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}

/** A path is the client's own text: it must not move the cursor of whoever watches the log. */
function escapeControls(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

function formatBytes(bytes: number): string {
  const power = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  const value = bytes / 1024 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${UNITS[power]}`;
}
