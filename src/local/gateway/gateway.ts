import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GATEWAY_ERROR, LOCAL_FILES_HOST } from "../../http/gateway.ts";
import { done, refused, type Step } from "../step.ts";
import { createForwarder } from "./forward.ts";
import { createLocalFiles } from "./local-files.ts";
import type { ProxySettings } from "./proxy-settings.ts";

/** A server that fetches for the Worker what workerd cannot: by a proxy, and from local folders. */
export interface Gateway {
  /** The path of the socket on which it listens. */
  readonly socket: string;
  close(): void;
}

/** A socket's path takes so many bytes at most (unix(7)). */
const MAX_SOCKET_PATH = 107;
/** The folder of the socket, in the state folder. */
const FOLDER = "gateway";
/** Longer than workerd keeps an idle connection: it, and not we, closes one, so that none closes under a new request. */
const IDLE_MS = 600_000;

/**
 * Opens the gateway on a socket in `stateFolder`, or, where that path is too long, in a new folder for temporary files. Only this user can reach it. `roots`: URLs
 * of the local folders that it may read.
 */
export async function openGateway(stateFolder: string, proxies: ProxySettings | null, roots: readonly string[]): Promise<Step<Gateway>> {
  const forwarder = proxies && createForwarder(proxies);
  const files = createLocalFiles(roots);
  const server = createServer({ requireHostHeader: false, keepAliveTimeout: IDLE_MS, requestTimeout: 0 }, (asked, answer) => {
    const fail = (reason: string): void => {
      if (answer.headersSent || answer.destroyed) return void answer.destroy();
      answer.writeHead(502, { [GATEWAY_ERROR]: encodeURIComponent(reason), "content-length": 0 });
      answer.end();
    };
    const url = URL.canParse(asked.url ?? "") ? new URL(asked.url ?? "") : null;
    if (url === null) fail(`"${asked.url}" is no URL`);
    else if (url.hostname === LOCAL_FILES_HOST)
      files.answer(url.pathname, asked, answer, fail).catch((error: Error) => fail(error.message));
    else if (forwarder === null) fail("no proxy is configured");
    else forwarder.forward(url, asked, answer, fail);
  });
  try {
    const folder = makeFolder(stateFolder);
    const socket = join(folder, "socket");
    server.listen(socket);
    await once(server, "listening");
    // Where a later step of the start fails, the process is to end.
    server.unref();
    chmodSync(socket, 0o600);
    return done({
      socket,
      close() {
        closeServer(server);
        forwarder?.close();
        rmSync(folder, { recursive: true, force: true });
      },
    });
  } catch (error) {
    closeServer(server);
    return refused(`Cannot open a socket for proxies and local files: ${(error as Error).message}`);
  }
}

/** A new folder that only this user can enter. */
function makeFolder(stateFolder: string): string {
  const folder = join(stateFolder, FOLDER);
  rmSync(folder, { recursive: true, force: true });
  if (Buffer.byteLength(join(folder, "socket")) > MAX_SOCKET_PATH) return mkdtempSync(join(tmpdir(), "lazy-mirror-"));
  mkdirSync(folder, { mode: 0o700 });
  return folder;
}

function closeServer(server: Server): void {
  server.close();
  server.closeAllConnections();
}
