/** The URL of a server as an operator types it: `mirror.lan:8787` is `http://mirror.lan:8787/`. Null: it is none. Only http and https are. */
export function parseServerUrl(written: string): URL | null {
  const text = written.trim();
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(url) || !/^https?:/i.test(url)) return null;
  return new URL(url);
}
