import { createHash } from "node:crypto";
import { sendRequest } from "../send-request.ts";
import { bad, type Finding, good, PROXY_REMEDY, reasonOf } from "./finding.ts";

/** One download of a file, whose bytes are not kept. */
interface Download {
  readonly status: number;
  /** As Content-Length says; undefined without it. */
  readonly promised: string | undefined;
  readonly cacheStatus: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Whether the body came to its end by its framing. */
  readonly isComplete: boolean;
  readonly seconds: number;
}

const SILENCE_MS = 60_000;
/** A file of 10 GB over a line of 25 Mbit/s. */
const MAX_MS = 60 * 60_000;

/** Downloads a whole file twice, and compares. Each download may take an hour. */
export async function* compareLarge(url: URL, headers: Readonly<Record<string, string>>): AsyncGenerator<Finding> {
  const digests: string[] = [];
  for (const check of ["first download", "second download"]) {
    let got: Download;
    try {
      got = await download(url, headers);
    } catch (error) {
      yield bad(check, `no answer: ${reasonOf(error)}`, "Is the URL right, and does the mirror run?");
      return;
    }
    if (got.status !== 200) {
      yield bad(check, `the answer is ${got.status}`, "Give the URL of a file that the mirror has.");
      return;
    }
    if (!got.isComplete || (got.promised !== undefined && Number(got.promised) !== got.bytes)) {
      yield bad(
        check,
        `${got.bytes} of ${got.promised ?? "unknown"} bytes came`,
        "At the edge look for “exceeded CPU” in the Worker's metrics; elsewhere for a proxy with a limit of time or size.",
      );
      return;
    }
    digests.push(got.sha256);
    yield good(
      check,
      `${got.bytes} bytes in ${got.seconds.toFixed(1)} s (${(got.bytes / 1e6 / got.seconds).toFixed(1)} MB/s), ${got.cacheStatus}, SHA-256 ${got.sha256}`,
    );
  }
  yield digests[0] === digests[1]
    ? good("both downloads", "equal; compare the SHA-256 with the publisher's")
    : bad("both downloads", "their bytes differ", PROXY_REMEDY);
}

async function download(url: URL, headers: Readonly<Record<string, string>>): Promise<Download> {
  const began = performance.now();
  const response = await sendRequest(url, { headers, agent: false, timeout: SILENCE_MS, signal: AbortSignal.timeout(MAX_MS) });
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      hash.update(part);
      bytes += part.length;
    }
  } catch {
    // The connection broke: `response.complete` is false.
  }
  return {
    status: response.statusCode ?? 0,
    promised: response.headers["content-length"],
    cacheStatus: String(response.headers["cache-status"] ?? "no Cache-Status"),
    bytes,
    sha256: hash.digest("hex"),
    isComplete: response.complete,
    seconds: Math.max((performance.now() - began) / 1000, 0.001),
  };
}
