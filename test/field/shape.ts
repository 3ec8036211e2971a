import { mkdirSync, mkdtempSync, rmSync, statSync, readFileSync, existsSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Files } from "../support/miniature/deb-archive.ts";
import { type MirrorProcess, type MirrorTable, startMirror } from "../support/mirror.ts";
import { type Origin, startOrigin } from "../support/origin.ts";
import { requireTools } from "../support/run-tool.ts";
import { type Client, Refusal, type Seen } from "./model-clients.ts";

/** An imperfect upstream as it is found in the field, with what its clients do. */
export interface Shape {
  /** Names the row, and its mirror. */
  readonly id: string;
  /** What the upstream is, in one sentence. */
  readonly upstream: string;
  /** Which clients meet it. */
  readonly clients: string;
  /** What is promised to them. */
  readonly promised: string;
  /** Programs that the row needs. */
  readonly tools?: readonly string[];
  readonly table?: Partial<MirrorTable>;
  /** Further mirrors of the same upstreams, `<id>-<name>`, each cold. */
  readonly mirrors?: readonly string[];
  readonly upstreams?: 1 | 2;
  readonly play: (stage: Stage) => Promise<void>;
}

/** One upstream, whose folder a row fills. */
export interface Upstream {
  readonly origin: Origin;
  readonly url: string;
  /** Writes `files`, dated an hour after the last generation; what has the same bytes keeps its date. */
  put(files: Files, options?: { readonly seconds?: number }): void;
  remove(...paths: readonly string[]): void;
}

export interface Stage {
  readonly upstream: Upstream;
  /** The second in order; the same as the first where there is one alone. */
  readonly second: Upstream;
  /** The mirror, or a further one. */
  url(name?: string): string;
  /** The whole server's `/-/status.json`. */
  status(): Promise<unknown>;
  /** The client straight at the first upstream (or at `url`): the control. It must work. */
  direct(client: Client, url?: string): Promise<Seen>;
  /** The client through the mirror: it must see at once what it saw directly. */
  same(client: Client, direct: Seen, what: string, url?: string): Promise<void>;
  /**
   * The client through the mirror, again and again until it sees what it saw directly. Until then it may see `before` whole, and nothing else, where
   * that is given.
   */
  soon(client: Client, direct: Seen, what: string, before?: Seen, url?: string): Promise<void>;
}

/** Of `[vars]`: nothing is taken for fresh, and doubts are short. */
const VARS = { METADATA_TTL_SECONDS: 0, METADATA_WAIT_SECONDS: 4, DOUBT_SECONDS: 2 };
/** Within METADATA_TTL, DOUBT_SECONDS and METADATA_WAIT_SECONDS, on a machine with other work. */
const SOON_MS = 10_000;
const POLL_MS = 250;
const GENERATION_S = 3600;
const FIRST_GENERATION_AGO_S = 10 * 86_400;

/** The date of generation `n`, counted from 1, in Unix seconds. */
const START = Math.floor(Date.now() / 1000) - FIRST_GENERATION_AGO_S;
export function dateOf(generation: number): number {
  return START + generation * GENERATION_S;
}

/** Runs each row: directly first, then through one server that has a mirror for each. */
export function describeShapes(kind: string, shapes: readonly Shape[], vars: Readonly<Record<string, number>> = {}): void {
  const runnable = shapes.filter(({ tools = [] }) => requireTools(...tools));
  describe(`${kind}: ${runnable.length} shapes of upstreams`, () => {
    const upstreams = new Map<string, readonly Upstream[]>();
    let mirror: MirrorProcess;

    beforeAll(async () => {
      const mirrors: Record<string, MirrorTable> = {};
      for (const { id, table, mirrors: further = [], upstreams: count = 1 } of runnable) {
        const own = await Promise.all(Array.from({ length: count }, openUpstream));
        upstreams.set(id, own);
        for (const name of [id, ...further.map((one) => `${id}-${one}`)]) {
          mirrors[name] = { hosts: [], upstreams: own.map(({ url }) => url), ...table };
        }
      }
      mirror = await startMirror({ mirrors, vars: { ...VARS, ...vars } });
    });
    afterAll(async () => {
      await mirror?.remove();
      for (const { origin } of [...upstreams.values()].flat()) {
        await origin.close();
        rmSync(origin.folder, { recursive: true, force: true });
      }
    });

    it.each(runnable.map((shape) => [shape.id, shape.upstream, shape] as const))("%s: %s", async (id, _says, shape) => {
      const [upstream, second = upstream] = upstreams.get(id) ?? [];
      if (upstream === undefined || second === undefined) throw new Error(`Cannot play ${id}: it has no upstream`);
      await shape.play(createStage(id, upstream, second, mirror));
    });
  });
}

function createStage(id: string, upstream: Upstream, second: Upstream, mirror: MirrorProcess): Stage {
  const url = (name?: string): string => mirror.prefixUrl(name === undefined ? id : `${id}-${name}`);
  return {
    upstream,
    second,
    url,
    async status() {
      const token = readFileSync(join(mirror.stateFolder, "admin-token"), "utf8").trim();
      const response = await fetch(`${mirror.url}/-/status.json`, { headers: { authorization: `Bearer ${token}` } });
      return response.json();
    },
    async direct(client, at = upstream.url) {
      try {
        return await client(at);
      } catch (error) {
        throw new Error(`direct: the control should work: ${messageOf(error)}`, { cause: error });
      }
    },
    async same(client, direct, what, at = url()) {
      expectSame(await seenBy(client, at), direct, what);
    },
    async soon(client, direct, what, before, at = url()) {
      const deadline = Date.now() + SOON_MS;
      for (;;) {
        const seen = await seenBy(client, at);
        if (equal(seen, direct)) return;
        if (Date.now() > deadline) expectSame(seen, direct, `${what}, after ${SOON_MS} ms`);
        if (before !== undefined && !equal(seen, before)) expectSame(seen, direct, `${what}: neither the generation before nor the newest`);
        await sleep(POLL_MS);
      }
    },
  };
}

/** Fails with all that was seen: a refusal says why. */
function expectSame(seen: unknown, direct: Seen, what: string): void {
  expect(seen, `${what}: the client sees ${JSON.stringify(seen)} through the mirror, and directly ${JSON.stringify(direct)}`).toEqual(
    direct,
  );
}

/** What the client saw, or why it refused. */
async function seenBy(client: Client, url: string): Promise<Seen | { readonly refusal: string }> {
  try {
    return await client(url);
  } catch (error) {
    if (error instanceof Refusal) return { refusal: error.message };
    throw error;
  }
}

function equal(one: unknown, two: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(two);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function openUpstream(): Promise<Upstream> {
  const origin = await startOrigin(mkdtempSync(join(tmpdir(), "lazy-mirror-field-")));
  let generation = 0;
  return {
    origin,
    url: origin.url,
    put(files, { seconds } = {}) {
      generation += 1;
      for (const [path, bytes] of Object.entries(files)) {
        const file = join(origin.folder, path);
        const isUnchanged =
          seconds === undefined &&
          statSync(file, { throwIfNoEntry: false })?.size === bytes.length &&
          existsSync(file) &&
          readFileSync(file).equals(bytes);
        if (isUnchanged) continue;
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, bytes);
        utimesSync(file, seconds ?? dateOf(generation), seconds ?? dateOf(generation));
      }
    },
    remove: (...paths) => paths.forEach((path) => rmSync(join(origin.folder, path), { recursive: true })),
  };
}

/** One generation after the other, each seen directly, then through the mirror: cold, warm, and from the second on within the bounded wait. */
export function generations(
  client: Client,
  ...publish: readonly ((stage: Stage, generation: number) => void | Promise<void>)[]
): Shape["play"] {
  return async (stage) => {
    let before: Seen | undefined;
    for (const [index, one] of publish.entries()) {
      await one(stage, index + 1);
      const direct = await stage.direct(client);
      if (before !== undefined) expect(direct, "direct: the next generation is another one").not.toEqual(before);
      if (before === undefined) await stage.same(client, direct, "generation 1, cold");
      else await stage.soon(client, direct, `generation ${index + 1}`, before);
      await stage.same(client, direct, `generation ${index + 1}, warm`);
      before = direct;
    }
  };
}

/** As `generations`; then a mirror that saw none of them is asked for the last one. The row lists the mirror `cold`. */
export function generationsAndCold(
  client: Client,
  ...publish: readonly ((stage: Stage, generation: number) => void | Promise<void>)[]
): Shape["play"] {
  return async (stage) => {
    await generations(client, ...publish)(stage);
    await stage.same(client, await stage.direct(client), "the last generation, cold", stage.url("cold"));
  };
}
