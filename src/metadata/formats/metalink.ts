/** What a metalink says of the published repomd.xml. */
export interface MetalinkFile {
  /** Its absolute URL, which ends in `repodata/repomd.xml`. */
  readonly url: string;
  /** Bytes. */
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
  /** Unix seconds of the generation; librepo refuses one older than it has. */
  readonly timestamp: number;
}

/** A metalink as dnf and zypper take it for `metalink=` (Metalink 3.0 with MirrorManager's timestamp): one URL and the hash to expect there. */
export function formatMetalink({ url, size, sha256, timestamp }: MetalinkFile): string {
  const protocol = url.startsWith("https:") ? "https" : "http";
  return `<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" type="dynamic" generator="lazy-mirror" xmlns:mm0="http://fedorahosted.org/mirrormanager">
  <files>
    <file name="repomd.xml">
      <mm0:timestamp>${Math.floor(timestamp)}</mm0:timestamp>
      <size>${size}</size>
      <verification>
        <hash type="sha256">${sha256}</hash>
      </verification>
      <resources maxconnections="1">
        <url protocol="${protocol}" type="${protocol}" preference="100">${escapeXml(url)}</url>
      </resources>
    </file>
  </files>
</metalink>
`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
