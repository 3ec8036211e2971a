import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";

const PRIMARY = gzipSync(
  '<?xml version="1.0" encoding="UTF-8"?>\n<metadata xmlns="http://linux.duke.edu/metadata/common" packages="0"></metadata>\n',
);
const DIGEST = createHash("sha256").update(PRIMARY).digest("hex");
const REPOMD = `<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>
  <data type="primary"><checksum type="sha256">${DIGEST}</checksum><location href="repodata/${DIGEST}-primary.xml.gz"/><size>${PRIMARY.length}</size></data>
</repomd>
`;

/** An upstream on loopback with an empty rpm-md repository at every base: each `…/repodata/repomd.xml` names the same list of no packages. */
export async function startRepositories(): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    const body = path.endsWith("/repodata/repomd.xml") ? REPOMD : path.endsWith("-primary.xml.gz") ? PRIMARY : null;
    if (body === null) return void response.writeHead(404).end();
    response.writeHead(200, { "Content-Length": Buffer.byteLength(body), "Last-Modified": "Thu, 06 Aug 2026 10:00:00 GMT" });
    response.end(request.method === "HEAD" ? undefined : body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
