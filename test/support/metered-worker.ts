import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import worker from "../../src/worker.ts";

type WorkerEnv = Parameters<typeof worker.fetch>[1];

/** What requests cost: operations by the class that R2 bills, calls to Durable Objects, bytes written, requests to upstreams. */
export interface Bill {
  /** `get`, `head`. */
  readonly classB: readonly string[];
  /** `put`, `list`. */
  readonly classA: readonly string[];
  /** `REPOSITORIES.resolve`; without the ledger's, which are batched. */
  readonly objects: readonly string[];
  /** Batches for the ledger, and questions to it. */
  readonly ledger: readonly string[];
  readonly writtenBytes: number;
  /** To upstreams. */
  readonly external: number;
}

export interface Metered {
  readonly response: Response;
  readonly bytes: Uint8Array;
  /** Until the body had come and all that the request left behind was done. */
  readonly bill: Bill;
}

export interface MeteredWorker {
  fetch(path: string, init?: RequestInit): Promise<Metered>;
  /** The response as it begins; `done` resolves when all that the request left behind is done, and rejects where that fails. */
  open(path: string, init?: RequestInit): Promise<{ readonly response: Response; readonly done: () => Promise<void> }>;
  /** As many clients at the same moment: the first one's response, and the bill of all. */
  fetchAtOnce(path: string, clients: number): Promise<Metered>;
  readonly bucket: R2Bucket;
}

export interface MeterOptions {
  readonly vars: Readonly<Record<string, unknown>>;
  /** Called before each call of a Durable Object, as `FLIGHTS.claimSlice`: may throw as one that restarts does. */
  readonly beforeObject?: (call: string) => void;
  /** Called before each operation of R2: may throw as R2 does, or wait. */
  readonly beforeBucket?: (method: string, key: string) => Promise<void> | void;
  /** What takes the place of a body that R2 gives; may hold it up. */
  readonly bodyOf?: (key: string, body: ReadableStream<Uint8Array>) => ReadableStream<Uint8Array>;
}

/** The whole Worker with its real Durable Objects and the simulator's R2, every call counted. One for each test file: the Worker keeps its parts. */
export function createMeteredWorker({ vars, beforeBucket, beforeObject, bodyOf }: MeterOptions): MeteredWorker {
  const bindings = env as unknown as Record<"BUCKET" | "FLIGHTS" | "REPOSITORIES" | "LEDGER", object>;
  let bill = emptyBill();
  const counted = callsOf(bindings.BUCKET, async (method, [key, body]) => {
    const name = `${method} ${String(key)}`;
    if (method === "get" || method === "head") bill.classB.push(name);
    if (method === "put" || method === "list") bill.classA.push(name);
    if (method === "put" && ArrayBuffer.isView(body)) bill.writtenBytes += body.byteLength;
    await beforeBucket?.(method, String(key));
  });
  const bucket = bodyOf === undefined ? counted : withBodies(counted as R2Bucket, bodyOf);
  const namespace = (binding: "FLIGHTS" | "REPOSITORIES" | "LEDGER"): object => {
    const stubOf = (stub: object) =>
      callsOf(stub, (method) => {
        const name = `${binding}.${method}`;
        (binding === "LEDGER" ? bill.ledger : bill.objects).push(name);
        beforeObject?.(name);
      });
    return new Proxy(bindings[binding], {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...given: unknown[]) => {
          const got: unknown = Reflect.apply(value, target, given);
          return name === "get" ? stubOf(got as object) : got;
        };
      },
    });
  };
  const metered = {
    ...vars,
    LOG: "off",
    BUCKET: bucket,
    FLIGHTS: namespace("FLIGHTS"),
    REPOSITORIES: namespace("REPOSITORIES"),
    LEDGER: namespace("LEDGER"),
  } as unknown as WorkerEnv;

  async function open(path: string, init?: RequestInit) {
    const ctx = createExecutionContext();
    const request = new Request(`http://localhost${path}`, init) as unknown as Parameters<typeof worker.fetch>[0];
    const response = await worker.fetch(request, metered, ctx);
    return { response, done: () => waitOnExecutionContext(ctx) };
  }

  async function fetchOne(path: string, init?: RequestInit): Promise<{ response: Response; bytes: Uint8Array }> {
    const { response, done } = await open(path, init);
    const bytes = new Uint8Array(await response.arrayBuffer());
    await done();
    return { response, bytes };
  }

  async function measure<T>(run: () => Promise<T>): Promise<T & { readonly bill: Bill }> {
    bill = emptyBill();
    const before = await askedInAll();
    const result = await run();
    return { ...result, bill: { ...bill, external: (await askedInAll()) - before } };
  }

  return {
    bucket: bindings.BUCKET as R2Bucket,
    open,
    fetch: (path, init) => measure(() => fetchOne(path, init)),
    fetchAtOnce: (path, clients) =>
      measure(async () => {
        const [first, ...others] = await Promise.all(Array.from({ length: clients }, () => fetchOne(path)));
        if (first === undefined) throw new RangeError(`Cannot fetch ${path} for ${clients} clients: wanted at least one`);
        for (const { bytes } of others) if (bytes.length !== first.bytes.length) throw new Error(`${path} has two lengths`);
        return first;
      }),
  };
}

async function askedInAll(): Promise<number> {
  return Number(await (await fetch("http://origin.test/-/asked")).text());
}

function emptyBill() {
  return { classB: [] as string[], classA: [] as string[], objects: [] as string[], ledger: [] as string[], writtenBytes: 0, external: 0 };
}

/** The same object, with `before` called for each call of a method. */
function callsOf<T extends object>(object: T, before: (method: string, given: readonly unknown[]) => Promise<void> | void): T {
  return new Proxy(object, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      // A stub's methods are callable and have properties of their own; what is no call is passed through.
      if (typeof value !== "function" || typeof name === "symbol") return value;
      return (...given: unknown[]) => {
        const waited = before(name, given);
        const call = (): unknown => Reflect.apply(value, target, given);
        return waited === undefined ? call() : waited.then(call);
      };
    },
  });
}

/** The bucket, with other bodies in place of those that its `get` gives. */
function withBodies(bucket: R2Bucket, bodyOf: NonNullable<MeterOptions["bodyOf"]>): object {
  return new Proxy(bucket, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name !== "get") return value;
      return async (key: string, options?: R2GetOptions) => {
        const found = await target.get(key, options);
        if (found === null || !("body" in found)) return found;
        const body = bodyOf(key, found.body);
        return new Proxy(found, { get: (object, field) => (field === "body" ? body : Reflect.get(object, field, object)) });
      };
    },
  });
}
