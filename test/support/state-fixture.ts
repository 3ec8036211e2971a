import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePort } from "./mirror.ts";

/** What a server must still answer from a state folder of an earlier version. Written by test/fixtures/make-state.ts. */
export interface StateManifest {
  /** The version of package.json that wrote the state. */
  readonly version: string;
  readonly files: readonly StoredFile[];
  /** Files of which only some bytes are stored. */
  readonly parts: readonly StoredPart[];
  readonly rows: readonly LedgerEntry[];
  readonly pins: readonly string[];
}

export interface StoredFile {
  /** As a client asks: `/<mirror>/<path>`. */
  readonly path: string;
  readonly key: string;
  readonly class: string;
  readonly size: number;
  /** In hex. */
  readonly sha256: string;
  /** The entity tag that clients were sent, and may send back. */
  readonly etag: string;
  /** Whether a client may not go on from a date: an earlier version went bad. */
  readonly isTainted: boolean;
  /** Whether the digest that the bytes must have is known, from an index, a root or the path itself. */
  readonly isNamed: boolean;
}

export interface StoredPart {
  readonly path: string;
  readonly key: string;
  /** Of the whole file. */
  readonly size: number;
  /** The stored bytes that were asked for: `last` is the last one's position. */
  readonly first: number;
  readonly last: number;
  /** Of these bytes, in hex. */
  readonly sha256: string;
}

/** What the operator's verbs list of an object. */
export interface LedgerEntry {
  readonly key: string;
  readonly version: string;
  readonly size: number;
  readonly sliceBytes: number | null;
  readonly storedAt: number;
}

/** The part of `/-/why.json/…` that the fixture is about. */
export interface Why {
  readonly key: string;
  readonly class: string;
  readonly stored: { readonly tainted?: true } | null;
  /** `known`: an index, a root or the path itself states the digest. */
  readonly expected: { readonly kind: "known" | "building" | "none" };
}

/** The user of the fixture's mirror `closed`, for `Authorization`. */
export const CLOSED_USER = `Basic ${Buffer.from("alice:state-fixture").toString("base64")}`;

export interface StateServer {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  /** An operator's page below `/-`, with the state folder's own token. Throws for any answer but 200. */
  operate(path: string, init?: RequestInit): Promise<unknown>;
  /** All rows of the ledger, by key. Without the digest tables, which the server makes of the stored indexes whenever it needs them. */
  rows(): Promise<readonly LedgerEntry[]>;
  /** What `/-/why.json` says of a path. */
  why(path: string): Promise<Why>;
  /** Ends it by SIGTERM; throws unless it ends with 0. */
  stop(): Promise<void>;
}

const READY_MS = 60_000;
const END_MS = 20_000;

/** Starts the one-machine server of the project in the folder `checkout`, whichever version that is, and waits until it answers. */
export async function startStateServer(checkout: string, config: string, state: string): Promise<StateServer> {
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}`;
  const entry = ["src/local/server/main.ts", "src/local/main.ts"].find((path) => existsSync(join(checkout, path))) ?? "";
  const args = [join(checkout, entry), "--config", config, "--state", state, "--port", String(port)];
  const child = spawn(join(checkout, "node_modules/.bin/node"), args, { cwd: checkout, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const collect = (text: string): void => void (output += text);
  child.stdout.setEncoding("utf8").on("data", collect);
  child.stderr.setEncoding("utf8").on("data", collect);

  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const isReady = async (): Promise<boolean> => (await fetch(`${url}/-/health`).catch(() => null))?.status === 200;
  for (const deadline = Date.now() + READY_MS; !(await isReady()); await sleep(50)) {
    if (!hasEnded() && Date.now() < deadline) continue;
    child.kill("SIGKILL");
    throw new Error(`Cannot start the server of ${checkout} on ${state}: /-/health should answer 200 within ${READY_MS} ms\n${output}`);
  }

  async function operate(path: string, init: RequestInit = {}): Promise<unknown> {
    const token = readFileSync(join(state, "admin-token"), "utf8").trim();
    const response = await fetch(`${url}/-${path}`, { ...init, headers: { authorization: `Bearer ${token}` } });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`Cannot read /-${path}: ${response.status}, should be 200: ${text}\n${output}`);
    return JSON.parse(text) as unknown;
  }

  return {
    url,
    operate,
    why: (path) => operate(`/why.json${path}`) as Promise<Why>,
    async rows() {
      const rows: LedgerEntry[] = [];
      for (let after: string | null = ""; after !== null;) {
        const page = (await operate(`/ledger/objects?pattern=*&limit=200&after=${encodeURIComponent(after)}`)) as {
          readonly rows: readonly LedgerEntry[];
          readonly after: string | null;
        };
        for (const { key, version, size, sliceBytes, storedAt } of page.rows) {
          rows.push({ key, version, size, sliceBytes, storedAt });
        }
        after = page.after;
      }
      return rows.filter(({ key }) => !key.startsWith("-/table/")).toSorted((one, other) => (one.key < other.key ? -1 : 1));
    },
    async stop() {
      if (!hasEnded()) {
        const ended = once(child, "exit");
        child.kill("SIGTERM");
        const timer = setTimeout(() => child.kill("SIGKILL"), END_MS);
        await ended;
        clearTimeout(timer);
      }
      if (child.exitCode !== 0)
        throw new Error(`Cannot stop the server of ${checkout}: it should end with 0 within ${END_MS} ms\n${output}`);
    },
  };
}

/** Packs the folder into one file. */
export function packState(state: string, archive: string): void {
  execFileSync("tar", ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-C", state, "-czf", archive, "."]);
}

/** Unpacks such a file into a folder that is there. */
export function unpackState(archive: string, state: string): void {
  execFileSync("tar", ["-C", state, "-xzf", archive]);
}
