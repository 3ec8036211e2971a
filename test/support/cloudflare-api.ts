import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";

/** What an account holds, as far as `npm run deploy` asks for it. */
export interface Account {
  bucket: { name: string; creation_date: string; location: string; storage_class: string } | null;
  rules: { id: string; enabled: boolean; conditions: object; [transition: string]: unknown }[];
  hasLocalUploads: boolean;
  /** The bindings of the Worker that was uploaded last; null: none was. */
  bindings: { name: string; type: string; [field: string]: unknown }[] | null;
  crons: string[];
}

/** A server of Cloudflare's API (v4) with one account, `acc`, and one Worker and bucket, `lazy-mirror`. */
export interface CloudflareApi {
  /** For CLOUDFLARE_API_BASE_URL. */
  readonly url: string;
  readonly account: Account;
  /** The requests that change something, since the last call. */
  changes(): readonly string[];
  stop(): Promise<void>;
}

const ACCOUNT = "/client/v4/accounts/acc";
const BUCKET = `${ACCOUNT}/r2/buckets/lazy-mirror`;
const SCRIPT = `${ACCOUNT}/workers/scripts/lazy-mirror`;
const DATE = "2026-11-27T00:00:00Z";

/** Starts the server on a port of its own. It answers as Cloudflare's API documentation and the pinned wrangler's source have it; what it does not know is a 404. */
export async function startCloudflareApi(): Promise<CloudflareApi> {
  const account: Account = { bucket: null, rules: [], hasLocalUploads: false, bindings: null, crons: [] };
  let changed: string[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const path = (request.url ?? "").replace(/\?.*/, "");
      const asked = `${request.method ?? ""} ${path}`;
      const result = answer(account, asked, Buffer.concat(chunks).toString("latin1"));
      if (request.method !== "GET" && !path.endsWith("/graphql")) changed.push(asked.replace("/client/v4/accounts/acc", ""));
      response.writeHead(result === undefined ? 404 : 200, { "content-type": "application/json" });
      response.end(JSON.stringify(result === undefined ? refusal(path) : { success: true, errors: [], messages: [], result }));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/client/v4`,
    account,
    changes: () => {
      const since = changed;
      changed = [];
      return since;
    },
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

function refusal(path: string): object {
  const [code, message] =
    path === BUCKET ? [10_006, "The specified bucket does not exist."] : [10_007, "This Worker does not exist on your account."];
  return { success: false, errors: [{ code, message }], messages: [], result: null };
}

/** The `result` of an answer; undefined: there is no such thing. */
function answer(account: Account, asked: string, body: string): unknown {
  const worker = account.bindings === null ? undefined : account.bindings;
  switch (asked) {
    case "GET /client/v4/user/tokens/verify":
      return { id: "t", status: "active" };
    case "GET /client/v4/user":
      return { id: "u", email: "me@example.com" };
    case "GET /client/v4/memberships":
      return [{ account: { id: "acc", name: "Me" } }];
    case "GET /client/v4/accounts":
      return [{ id: "acc", name: "Me" }];
    case "POST /client/v4/graphql":
      return {};
    case `GET ${BUCKET}`:
      return account.bucket ?? undefined;
    case `POST ${ACCOUNT}/r2/buckets`: {
      const { name, locationHint = "weur" } = JSON.parse(body) as { name: string; locationHint?: string };
      return (account.bucket = { name, creation_date: DATE, location: locationHint.toUpperCase(), storage_class: "Standard" });
    }
    case `GET ${BUCKET}/lifecycle`:
      return { rules: account.rules };
    case `PUT ${BUCKET}/lifecycle`:
      account.rules = (JSON.parse(body) as Pick<Account, "rules">).rules;
      return {};
    case `GET ${BUCKET}/local-uploads`:
      return { enabled: account.hasLocalUploads };
    case `PUT ${BUCKET}/local-uploads`:
      account.hasLocalUploads = (JSON.parse(body) as { enabled: boolean }).enabled;
      return {};
    case `GET ${ACCOUNT}/workers/subdomain`:
      return { subdomain: "me" };
    case `PUT ${SCRIPT}`: {
      const [, metadata = "{}"] = /name="metadata"[^]*?\r\n\r\n([^]*?)\r\n--/.exec(body) ?? [];
      account.bindings = (JSON.parse(metadata) as { bindings: NonNullable<Account["bindings"]> }).bindings;
      return { id: "lazy-mirror", deployment_id: "d", version_id: "v", startup_time_ms: 20, entry_point: "worker.js" };
    }
    case `GET ${ACCOUNT}/workers/services/lazy-mirror`:
      return worker && { id: "lazy-mirror", default_environment: { environment: "production", script: { id: "lazy-mirror", tag: "t" } } };
    case `GET ${SCRIPT}/settings`:
      return worker && { bindings: worker, tags: [], migration_tag: "v1" };
    case `GET ${SCRIPT}/deployments`:
      return worker && { deployments: [{ id: "d", created_on: DATE, versions: [{ version_id: "v", percentage: 100 }] }] };
    case `GET ${SCRIPT}/versions/v`:
      return worker && { id: "v", metadata: { created_on: DATE }, resources: { bindings: worker } };
    case `GET ${ACCOUNT}/workers/workers/lazy-mirror`:
      return worker && { id: "w", name: "lazy-mirror", subdomain: { enabled: true, previews_enabled: false }, tags: [] };
    case `POST ${SCRIPT}/subdomain`:
    case `GET ${SCRIPT}/subdomain`:
      return { enabled: true, previews_enabled: false };
    case `PUT ${SCRIPT}/schedules`:
      account.crons = (JSON.parse(body) as { cron: string }[]).map(({ cron }) => cron);
      return {};
    default:
      return undefined;
  }
}
