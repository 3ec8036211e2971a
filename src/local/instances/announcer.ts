import { createSocket } from "node:dgram";
import { once } from "node:events";
import { request } from "node:http";

/** A file of metadata that a client read: its Host, its request target, and its entity tag ("" or "-" where it has none). */
interface Reading {
  readonly host: string;
  readonly target: string;
  readonly version: string;
}

export interface AnnouncerOptions {
  /** Where the balancer's lines come in, over UDP. */
  readonly host: string;
  readonly port: number;
  /** The URLs of the instances, without a path. */
  readonly instances: readonly string[];
  /** The Authorization of requests to mirrors that are not open to everyone. */
  readonly authorization?: string;
  readonly log: (line: string) => void;
}

/** A version that every instance knows is announced again after this long: an instance may have lost it, or have started since. */
const REPEAT_MS = 60_000;
/** Files whose announcement is remembered; beyond, the oldest is forgotten, and announced again with its next client. */
const REMEMBERED = 10_000;
/** Lines that wait for one instance. Further ones are dropped: a client that reads the file after `REPEAT_MS` brings its line again. */
const MAX_WAITING = 1_000;
/** A root may take as long as METADATA_WAIT_SECONDS, and a member comes as slowly as the upstream sends it. */
const SILENCE_MS = 60_000;

/** `200 fedora.lan:8080 /releases/44/repodata/repomd.xml "5e3f-99"`, as haproxy's log-format has it. Nginx writes the same, after a syslog header. */
const LINE = /(?:^|: )(?:200|206|304) (\S*) (\/\S*) ?(.*)$/;

/** The line of a balancer's log, parsed. Null: a client got no file, or it is no such line. */
function parseReading(line: string): Reading | null {
  const [, host, target, version] = LINE.exec(line.trim()) ?? [];
  return host === undefined || target === undefined || version === undefined ? null : { host, target, version };
}

/**
 * Makes every instance know each repository of which one instance serves the metadata: it asks all of them for what a client read (its home has it already), so that each
 * publishes the same generation, and compares the packages that it stores with its indexes. Nothing rests on any one line: a line that is lost comes again with the next client.
 */
export async function startAnnouncer({ host, port, instances, authorization, log }: AnnouncerOptions) {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  const announced = new Map<string, { readonly version: string; readonly at: number }>();
  const queues = instances.map((instance) => createQueue((reading) => read(instance, reading, authorization), log));
  socket.on("message", (bytes) => {
    const reading = parseReading(bytes.toString("latin1"));
    if (reading === null || !isNew(reading)) return;
    for (const queue of queues) queue.add(reading);
  });
  socket.bind(port, host);
  await once(socket, "listening");
  return {
    port: socket.address().port,
    close(): void {
      socket.close();
      for (const queue of queues) queue.close();
    },
  };

  function isNew({ host: of, target, version }: Reading): boolean {
    const key = `${of} ${target}`;
    const before = announced.get(key);
    const now = Date.now();
    if (before !== undefined && before.version === version && now - before.at < REPEAT_MS && now >= before.at) return false;
    announced.delete(key);
    announced.set(key, { version, at: now });
    const oldest = announced.size > REMEMBERED ? announced.keys().next().value : undefined;
    if (oldest !== undefined) announced.delete(oldest);
    return true;
  }
}

/** Works through readings one after the other: a second of the same file waits once. */
function createQueue(work: (reading: Reading) => Promise<string | null>, log: (line: string) => void) {
  const waiting = new Map<string, Reading>();
  let isBusy = false;
  let isClosed = false;
  async function run(): Promise<void> {
    if (isBusy) return;
    isBusy = true;
    for (let [first] = waiting; first !== undefined && !isClosed; [first] = waiting) {
      const [key, reading] = first;
      waiting.delete(key);
      const problem = await work(reading);
      if (problem !== null) log(problem);
    }
    isBusy = false;
  }
  return {
    add(reading: Reading): void {
      if (waiting.size < MAX_WAITING) waiting.set(`${reading.host} ${reading.target}`, reading);
      void run();
    },
    close(): void {
      isClosed = true;
    },
  };
}

/** Reads a file of one instance, past what it remembers, and discards the bytes. Returns what went wrong, or null; never rejects. */
function read(instance: string, { host, target }: Reading, authorization: string | undefined): Promise<string | null> {
  return new Promise((resolve) => {
    const fail = (why: string): void => resolve(`Cannot announce ${target} to ${instance}: ${why}`);
    const headers = { host, "cache-control": "no-cache", ...(authorization === undefined ? {} : { authorization }) };
    const asking = request(instance, { path: target, headers }, (response) => {
      response.on("error", (error) => fail(error.message));
      response.on("close", () => (response.complete ? resolve(null) : fail("the answer was cut")));
      const { statusCode = 0 } = response;
      if (statusCode >= 500) fail(`it answers ${statusCode}`);
      response.resume();
    });
    asking.setTimeout(SILENCE_MS, () => asking.destroy(new Error("it does not answer")));
    asking.on("error", (error) => fail(error.message));
    asking.end();
  });
}
