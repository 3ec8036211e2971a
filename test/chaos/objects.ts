import { DatabaseSync } from "node:sqlite";
import { createMemorySql } from "../support/memory-sql.ts";

/** The storage of one Durable Object, which outlives it. */
function createStorage() {
  const sql = createMemorySql(new DatabaseSync(":memory:"));
  const values = new Map<string, unknown>();
  return {
    sql: {
      exec(query: string, ...bindings: never[]) {
        const rows = sql.exec(query, ...bindings).toArray();
        return { toArray: () => rows, [Symbol.iterator]: () => rows[Symbol.iterator]() };
      },
    },
    transactionSync: <T>(work: () => T): T => work(),
    async list({ prefix = "" } = {}) {
      return new Map([...values].filter(([key]) => key.startsWith(prefix)));
    },
    get: async (key: string) => values.get(key),
    put: async (key: string, value: unknown) => void values.set(key, value),
    delete: async (key: string) => values.delete(key),
    setAlarm: async () => {},
    getAlarm: async () => null,
    deleteAlarm: async () => {},
  };
}

/** Where the Durable Objects of one class keep their state: it outlives every restart. */
export type Storages = Map<string, ReturnType<typeof createStorage>>;

/**
 * The Durable Objects of one class, by name. A stub's calls arrive in a later turn, as over the wire; the objects go with the process, what they keep
 * stays in `storages`.
 */
export function createNamespace<T extends object>(storages: Storages, create: (ctx: DurableObjectState) => T) {
  const objects = new Map<string, T>();
  function objectOf(name: string): T {
    const storage = storages.get(name) ?? createStorage();
    storages.set(name, storage);
    const ctx = { storage, id: { name }, waitUntil: () => {}, blockConcurrencyWhile: (work: () => Promise<unknown>) => work() };
    const object = objects.get(name) ?? create(ctx as unknown as DurableObjectState);
    objects.set(name, object);
    return object;
  }
  return {
    idFromName: (name: string) => ({ name }),
    get: ({ name }: { name: string }) =>
      new Proxy({} as T, {
        get: (_stub, method) =>
          method === "then"
            ? undefined
            : async (...parameters: unknown[]) => {
                const object = objectOf(name) as Record<PropertyKey, (...given: unknown[]) => unknown>;
                await Promise.resolve();
                return object[method]?.(...parameters);
              },
      }),
  };
}
