import type { Endpoint } from "./command-line.ts";
import { formatEndpoint } from "./free-port.ts";
import type { WorkerModules } from "./load-worker.ts";
import type { ProjectFile } from "../project-file.ts";
import type { KeyPair } from "./key-pair.ts";
import { SCHEME_HEADER } from "../../http/gateway.ts";

/** The socket that runs the cron handler; those of clients are `0`, `1`, …, in the order of the endpoints. */
export const CRON_SOCKET = "cron";

/**
 * V8's own sizes are a browser's. Requests and answers are objects that only a full collection frees; with a small heap these come often and are short, and the
 * process is smaller by 80 to 100 MB under load (docs/decisions/0022-workerd-without-miniflare.md). In MB; both grow with what lives.
 */
const V8_FLAGS = ["--max-semi-space-size=1", "--initial-old-space-size=4"];

/** What workerd's configuration says. */
export interface WorkerdConfig {
  /** Each is embedded from a file of its name, beside the configuration. */
  readonly modules: WorkerModules;
  readonly project: ProjectFile;
  /** Values that JSON can carry. */
  readonly bindings: Readonly<Record<string, unknown>>;
  /** The folder of the mirrored files. */
  readonly store: string;
  /** The folder in which workerd keeps a folder for each class of Durable Objects. */
  readonly objects: string;
  readonly endpoints: readonly Endpoint[];
  /** Of https endpoints; null: there are none. */
  readonly keyPair: KeyPair | null;
  /** The path of the gateway's socket; null: workerd fetches everything itself. */
  readonly gateway: string | null;
  /** Authorities that upstreams may have certificates of, besides those that browsers trust; in PEM. */
  readonly certificates: readonly string[];
  /** The path of the request that runs the cron handler. Any program of this machine reaches that socket, so the path is the parent's secret. */
  readonly cronPath: string;
}

/** Runs the mirror's cron handler for a request that knows the path, and answers with its outcome. workerd itself has no cron. */
const CRON_WORKER = `export default {
  async fetch({ url }, { MIRROR, PATH }) {
    if (new URL(url).pathname !== PATH) return new Response(null, { status: 404 });
    const { outcome } = await MIRROR.scheduled();
    return new Response(outcome, { status: outcome === "ok" ? 200 : 500 });
  },
};`;

/**
 * The configuration of workerd, in its text format (`workerd.capnp` in npm's `workerd` documents each field). It embeds the modules from files beside it.
 * State folders of earlier versions depend on each `uniqueKey`.
 */
export function describeWorkerd(config: WorkerdConfig): string {
  const { modules, project, bindings, store, objects, endpoints, certificates, cronPath, keyPair, gateway } = config;
  const date = text(project.compatibilityDate);
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  logging = (structuredLogging = true),
  v8Flags = ${list(V8_FLAGS.map(text))},
  services = [
    (name = "mirror", worker = (
      modules = ${list(modules.map(({ type, path }) => `(name = ${text(path)}, ${FIELDS[type]} = embed ${text(path)})`))},
      compatibilityDate = ${date},
      compatibilityFlags = ${list(project.compatibilityFlags.map(text))},
      bindings = ${list([
        ...Object.entries(bindings).map(([name, value]) => `(name = ${text(name)}, json = ${text(JSON.stringify(value))})`),
        ...project.durableObjects.map(({ name, className }) => `(name = ${text(name)}, durableObjectNamespace = ${text(className)})`),
        `(name = "DISK", service = "disk")`,
        `(name = "NETWORK", service = "network")`,
        ...(gateway === null ? [] : [`(name = "GATEWAY", service = "gateway")`]),
      ])},
      durableObjectNamespaces = ${list(
        project.durableObjects.map(
          ({ className }) => `(className = ${text(className)}, uniqueKey = ${text(`lazy-mirror-${className}`)}, enableSql = true)`,
        ),
      )},
      durableObjectStorage = (localDisk = "objects"),
    )),
    (name = "cron", worker = (
      modules = [(name = "cron.js", esModule = ${text(CRON_WORKER)})],
      compatibilityDate = ${date},
      compatibilityFlags = ["service_binding_extra_handlers"],
      bindings = [(name = "MIRROR", service = "mirror"), (name = "PATH", text = ${text(cronPath)})],
    )),
    (name = "disk", disk = (path = ${text(store)}, writable = true)),
    (name = "objects", disk = (path = ${text(objects)}, writable = true)),
    (name = "network", network = (
      allow = ["public", "private"],
      tlsOptions = (trustBrowserCas = true, trustedCertificates = ${list(certificates.map(text))}),
    )),
    ${gateway === null ? "" : `(name = "gateway", external = (address = ${text(`unix:${gateway}`)}, http = (style = proxy))),`}
  ],
  sockets = ${list([
    ...endpoints.map(
      (endpoint, index) =>
        `(name = "${index}", address = ${text(formatEndpoint(endpoint))}, ${describeProtocol(endpoint, keyPair)}, service = "mirror")`,
    ),
    `(name = "${CRON_SOCKET}", address = "127.0.0.1:0", http = (), service = "cron")`,
  ])},
);
`;
}

/**
 * `proxy` passes the request target as the client sent it, so that the Worker can distinguish an absolute URL from a path; the scheme comes by a header, which
 * clients cannot set.
 */
function describeProtocol({ isSecure }: Endpoint, keyPair: KeyPair | null): string {
  const header = (value: string): string => `(style = proxy, injectRequestHeaders = [(name = ${text(SCHEME_HEADER)}${value})])`;
  if (isSecure !== true || keyPair === null) return `http = ${header("")}`;
  const { key, certificate } = keyPair;
  return `https = (options = ${header(`, value = "https"`)}, tlsOptions = (keypair = (privateKey = ${text(key)}, certificateChain = ${text(certificate)})))`;
}

const FIELDS = { ESModule: "esModule", CompiledWasm: "wasm" } as const;

function list(items: readonly string[]): string {
  return `[\n        ${items.join(",\n        ")}\n      ]`;
}

/** A text literal of Cap'n Proto. It is UTF-8, of which `\x` escapes one byte. */
function text(value: string): string {
  const escape = (character: string): string => String.raw`\x` + character.charCodeAt(0).toString(16).padStart(2, "0");
  return `"${value.replaceAll(/["\\]|(?=[\0-\x7f])\p{Cc}/gu, escape)}"`;
}
