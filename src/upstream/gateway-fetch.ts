import { GATEWAY_ERROR, LOCAL_FILES_HOST } from "../http/gateway.ts";

/** What sends requests, as a service binding of workerd does. */
interface Sender {
  fetch(url: string, init: RequestInit): Promise<Response>;
}

/**
 * Sends requests to upstreams on one machine. What workerd cannot fetch itself goes to the gateway of the parent process (local/gateway): the files of
 * `file:` upstreams, and everything where `isProxied` is set. Rejects, as `fetch` does, with the gateway's reason where it got no answer.
 */
export function createLocalFetch(network: Sender, gateway: Sender | undefined, isProxied: boolean) {
  return async (url: string, init: RequestInit): Promise<Response> => {
    const isFile = url.startsWith("file:");
    if (!isFile && !isProxied) return network.fetch(url, init);
    if (gateway === undefined) throw new Error("only the server of one machine (npm start) reads local files");
    const response = await gateway.fetch(isFile ? url.replace("file://", `http://${LOCAL_FILES_HOST}`) : url, init);
    const reason = response.headers.get(GATEWAY_ERROR);
    if (reason === null) return response;
    void response.body?.cancel().catch(() => {});
    throw new Error(decodeURIComponent(reason));
  };
}
