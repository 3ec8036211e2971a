import type { Context, Hono } from "hono";
import * as v from "valibot";
import type { Config } from "../config/config.ts";
import type { Given, GivenBody, GivenPlace } from "../fill/given-bodies.ts";
import type { BroughtGeneration, CarriedGeneration } from "../metadata/ports/carried.ts";
import type { Repositories } from "../metadata/ports/repositories.ts";
import { parseKeyPattern } from "../store/key-pattern.ts";
import { encodePath } from "../route/canonical-path.ts";
import { placeOf } from "../route/place.ts";
import { routeRequest } from "../route/route-request.ts";
import { deleteVersion } from "../store/delete-version.ts";
import { contentKey, formatStoredObject } from "../store/keys.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { readObject } from "../store/read-object.ts";
import { parseDigest } from "../verify/expectation.ts";
import { hasStructure } from "../verify/create-verifier.ts";
import { send } from "./respond.ts";

/** What import and export work with. */
export interface TransferDependencies {
  readonly config: Config;
  readonly store: ObjectStore;
  readonly repositories: Pick<Repositories, "expected">;
  readonly giveBody: (place: GivenPlace, body: GivenBody, waitUntil: (work: Promise<unknown>) => void) => Promise<Given>;
  /** Names `<mirror>/<base>` of the repositories that have published something and begin with `prefix`. */
  readonly repositoryNames: (prefix: string) => Promise<readonly string[]>;
  /** The published generations of the repository of this name. */
  readonly carried: (name: string, mirror: string) => Promise<readonly CarriedGeneration[]>;
  /** Null: it is published; else why it is not. */
  readonly adopt: (generation: BroughtGeneration) => Promise<string | null>;
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** A file's bytes are judged by an index that is read just now, if it has been read within this time. */
const INDEX_WAIT_MS = 5_000;
const CONTENT_KEY = /^-\/(?:closed\/([^/]+)\/)?(md5|sha1|sha256|sha384|sha512)\/([0-9a-f]+)$/;

const TEXT = v.pipe(v.string(), v.minLength(1), v.maxLength(1024));
const KEY = v.object({ key: TEXT });
const PUT = v.object({ key: TEXT, mirror: v.optional(TEXT), vouched: v.optional(v.string()) });
const PATTERN = v.object({ pattern: v.optional(TEXT, "*") });
const GENERATION = v.strictObject({
  mirror: TEXT,
  root: TEXT,
  companions: v.array(v.strictObject({ path: TEXT, sha256: TEXT })),
  sha256: TEXT,
  /** The form of an index that stands in for a root. */
  form: v.optional(TEXT),
  members: v.array(TEXT),
});

/**
 * The verbs of `mirror import` and `mirror export` (docs/ledger.md). A file comes in by the same way as a client's miss, with the body of the request as its
 * upstream; a generation is judged and published as if an upstream had shown it.
 */
export function addTransferVerbs(api: Hono, deps: TransferDependencies): void {
  const { config, store } = deps;

  api.put("/stored", async (context) => {
    const { key, mirror, vouched } = v.parse(PUT, context.req.query());
    const length = context.req.header("content-length") ?? "";
    // A request of zero bytes has no body.
    const stream = context.req.raw.body ?? (length === "0" ? new ReadableStream<Uint8Array>({ start: (one) => one.close() }) : null);
    const refuse = async (status: 411 | 422, reason: string): Promise<Response> => {
      await passOver(stream);
      return sendJson(context, { error: `Cannot store ${key}: ${reason}` }, status);
    };
    if (!/^\d+$/.test(length) || stream === null) return refuse(411, "send its bytes, with their number as Content-Length");
    const isVouched = vouched === "true";
    const place = await placeGiven(key, mirror, isVouched);
    if (typeof place === "string") return refuse(422, place);
    const body = {
      stream,
      size: Number(length),
      contentType: context.req.header("content-type"),
      lastModified: context.req.header("last-modified"),
    };
    const given = await deps.giveBody(place, body, deps.waitUntil);
    if (given.kind === "refused") return refuse(422, given.reason);
    const { verified, size, version } = given.object;
    if (given.kind === "stored" && !isVouched && verified !== "digest" && verified !== "structure" && "target" in place) {
      await deleteVersion(store, place.target.key, version);
      return refuse(422, "no index names it, and its bytes are of no format that shows whether they are whole");
    }
    await passOver(stream);
    return sendJson(context, { key, kind: given.kind, verified, size });
  });

  api.get("/stored", async (context) => {
    const { key } = v.parse(KEY, context.req.query());
    const object = await store.head(key);
    if (object === null) return sendJson(context, { error: `Cannot read ${key}: it is not stored` }, 404);
    const headers = { "Content-Type": object.contentType, "Cache-Control": "no-store", "Stored-Object": formatStoredObject(object) };
    if (context.req.method === "HEAD") return new Response(null, { headers });
    return new Response(streamOf(readObject(store, key)), { headers });
  });

  api.get("/generations", async (context) => {
    const pattern = parseKeyPattern(v.parse(PATTERN, context.req.query()).pattern);
    if (pattern === null) return sendJson(context, { error: "Cannot use pattern: name paths such as debian/*" }, 400);
    const rows: CarriedGeneration[] = [];
    for (const mirror of config.mirrors.keys()) {
      if (!pattern.reaches(`${mirror}/`)) continue;
      for (const name of await deps.repositoryNames(`${mirror}/`)) {
        const carried = await deps.carried(name, mirror);
        rows.push(...carried.filter(({ root }) => pattern.matches(`${mirror}/${root.path}`)));
      }
    }
    return sendJson(context, { rows });
  });

  api.post("/generations", async (context) => {
    const { mirror: name, root, companions, sha256, form, members } = v.parse(GENERATION, await context.req.json().catch(() => null));
    const mirror = config.mirrors.get(name);
    if (mirror === undefined) return sendJson(context, { error: `Cannot publish ${root}: there is no mirror "${name}"` }, 422);
    const place = placeOf(mirror, root).repository;
    const standing = form === undefined ? place : place && { ...place, form, root: root.replace(/\.(?:gz|xz|zst|bz2|lzma|lz4)$/, "") };
    if (standing === null || (place?.role !== "root" && form === undefined && place?.role !== "companion"))
      return sendJson(context, { error: `Cannot publish ${root}: ${name} has no repository with such a root` }, 422);
    const keyOf = (digest: string): string => contentKey(mirror, { algorithm: "sha256", digest });
    const files = [{ path: root, key: keyOf(sha256) }, ...companions.map((one) => ({ path: one.path, key: keyOf(one.sha256) }))];
    const reason = await deps.adopt({ mirror: name, place: { ...standing, role: "root" }, files, members });
    if (reason !== null) return sendJson(context, { error: `Cannot publish ${root}: ${reason}` }, 422);
    return sendJson(context, { published: `${name}/${root}` });
  });

  /** Where a given file is to lie, or why it may lie nowhere. */
  async function placeGiven(key: string, mirrorName: string | undefined, isVouched: boolean): Promise<GivenPlace | string> {
    const [, closed, algorithm = "", hex = ""] = CONTENT_KEY.exec(key) ?? [];
    const digest = parseDigest(algorithm, hex);
    if (digest !== null) {
      const mirror = config.mirrors.get(mirrorName ?? closed ?? "");
      return mirror === undefined ? "name one of this server's mirrors with it" : { mirror, digest };
    }
    const routed = routeRequest(config, { url: urlOf(key) });
    if (routed.kind !== "mirror") return routed.kind === "refused" ? routed.detail : "it is the path of no mirror";
    const { target } = routed;
    if (target.path === "" || target.path.endsWith("/")) return "it is a folder";
    if (target.class === "root") return "it changes with what it names: the server fetches it itself, or a bundle brings it";
    if (target.class === "pass") return "files of its kind are passed on and never stored";
    const named = target.repository?.digest;
    if (target.class === "hashed" && named !== undefined) return { mirror: target.mirror, digest: named };
    const expected = await deps.repositories.expected(target, { waitMs: INDEX_WAIT_MS });
    const [first] = expected.kind === "known" ? expected.expectations : [];
    if (target.class === "member") {
      if (first === undefined || first.algorithm === "size" || first.algorithm === "apk-control-sha1") return "no published root names it";
      return { mirror: target.mirror, digest: { algorithm: first.algorithm, digest: first.digest } };
    }
    const isJudged = (first !== undefined && first.algorithm !== "size") || hasStructure(target.path);
    if (!isJudged && !isVouched) return "no index names it, and files of its kind do not show whether they are whole";
    return { target, expected: (waitMs, maxAgeMs) => deps.repositories.expected(target, { waitMs, maxAgeMs }) };
  }

  /** The URL of a key. One such as `//ftp.debian.org/debian/pool/x.deb` names the place upstream: it is the mirror that has this upstream, or this host. */
  function urlOf(key: string): string {
    if (!key.startsWith("//")) return `/${encodePath(key)}`;
    const upstream = key.slice(2);
    for (const { name, upstreams } of config.mirrors.values()) {
      const top = upstreams
        .map(({ url }) => `${url.replace(/^https?:\/\//, "").replace(/\/+$/, "")}/`)
        .find((one) => upstream.startsWith(one));
      if (top !== undefined) return `/${name}/${encodePath(upstream.slice(top.length))}`;
    }
    const slash = upstream.indexOf("/");
    return `http://${upstream.slice(0, slash)}/${encodePath(upstream.slice(slash + 1))}`;
  }
}

/** Reads the rest of a body that is not needed: a client that is still sending sees a broken connection otherwise, and no answer. */
async function passOver(stream: ReadableStream<Uint8Array> | null): Promise<void> {
  await stream?.pipeTo(new WritableStream()).catch(() => {});
}

function streamOf(chunks: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    cancel: async () => void (await chunks.return(undefined)),
  });
}

function sendJson(context: Context, body: object, status: 200 | 400 | 404 | 411 | 422 = 200): Response {
  return send(context, "application/json", JSON.stringify(body), status);
}
