import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findFreePorts, startProcess, takesConnections, type Peer } from "./peer.ts";

const WORKERD = join(import.meta.dirname, "../../node_modules/.bin/workerd");

/** As the product starts its own workerd; a test compares the two. */
export const V8_FLAGS = ["--max-semi-space-size=1", "--initial-old-space-size=4"];

/**
 * On sockets of style `proxy`, as the product has them, `request.url` is the target as it was sent: a path.
 * Answers what it was given by PUT: the body from memory, with the given headers, or below /bare/ with none.
 */
const CONSTANT = `const answers = new Map();
export default { async fetch(request) {
  const path = request.url;
  const answer = answers.get(path);
  if (answer !== undefined && request.method === "GET") return new Response(answer.blob, answer.init);
  if (request.method !== "PUT") return new Response(null, { status: 404 });
  const blob = new Blob([await request.arrayBuffer()]);
  answers.set(path, { blob, init: { headers: new Headers(JSON.parse(request.headers.get("x-answer"))) } });
  answers.set("/bare" + path, { blob, init: undefined });
  return new Response(null, { status: 204 });
} };`;

/** Passes on what workerd's disk service reads. */
const PIPE = `export default { fetch(request, env) { return env.DISK.fetch("http://disk" + request.url); } };`;

export const CONSTANT_NAME = "constant";
export const BARE_NAME = "bare constant";
export const PIPE_NAME = "file pipe";

/** What the runtime can do at best: a workerd that answers from memory, with headers and without, and one that pipes files. Two processes, three columns. */
export async function startReferences(folder: string, files: string): Promise<readonly Peer[]> {
  const constant = await startWorkerd(join(folder, "constant"), CONSTANT, files);
  try {
    const pipe = await startWorkerd(join(folder, "pipe"), PIPE, files);
    return [
      { ...constant, name: CONSTANT_NAME },
      { ...constant, name: BARE_NAME, url: (port) => `${constant.url(port)}/bare` },
      { ...pipe, name: PIPE_NAME },
    ];
  } catch (error) {
    await constant.stop();
    throw error;
  }
}

/** Has the constant answer `path` with the body and the headers of `response`. */
export async function giveConstant(constant: Peer, path: string, response: Response): Promise<void> {
  const headers = [...response.headers].filter(([name]) => !["connection", "keep-alive", "date", "transfer-encoding"].includes(name));
  const body = await response.arrayBuffer();
  const given = await fetch(constant.url(0) + path, { method: "PUT", body, headers: { "x-answer": JSON.stringify(headers) } });
  if (given.status !== 204) throw new Error(`Cannot give ${path} to the constant: it answered ${given.status}, should be 204`);
}

async function startWorkerd(folder: string, script: string, files: string): Promise<Omit<Peer, "name">> {
  mkdirSync(folder, { recursive: true });
  const [port = 0] = await findFreePorts(1);
  writeFileSync(join(folder, "worker.js"), script);
  writeFileSync(
    join(folder, "workerd.capnp"),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  v8Flags = ${JSON.stringify(V8_FLAGS)},
  services = [(name = "main", worker = .worker), (name = "disk", disk = (path = ${JSON.stringify(files)}))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (style = proxy), service = "main")]
);
const worker :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.js")],
  compatibilityDate = "2026-10-01",
  bindings = [(name = "DISK", service = "disk")]
);
`,
  );
  const process = await startProcess(WORKERD, ["serve", join(folder, "workerd.capnp")], () => takesConnections(port));
  return { url: () => `http://127.0.0.1:${port}`, ...process };
}
