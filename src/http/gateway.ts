/** The header, in a 502 of the gateway (local/gateway), that says why there is no answer. The gateway drops it from answers of upstreams. */
export const GATEWAY_ERROR = "lazy-mirror-gateway-error";

/** The host by which the Worker asks the gateway for a local file: `file:///srv/x` is `http://local-files.invalid/srv/x`. No DNS has it (RFC 6761). */
export const LOCAL_FILES_HOST = "local-files.invalid";

/** The header by which workerd's own sockets on one machine say that a request came over TLS: `https`. workerd removes what a client sends by that name. */
export const SCHEME_HEADER = "lazy-mirror-scheme";
