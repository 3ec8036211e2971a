/** Upstreams that one sentence names; of the others it says how many they are. */
const MAX_NAMED = 8;
/** Characters of what one of them did. */
const MAX_WORD = 200;

/** What one upstream, named by its configured URL, said or did, or why it was not asked: a phrase. */
export interface UpstreamWord {
  readonly upstream: string;
  readonly detail: string;
}

/** `http://a answered 404; http://b refused the connection`: each upstream once, with what it did last. Of bounded length. */
export function listWords(words: readonly UpstreamWord[]): string {
  const last = [...new Map(words.map(({ upstream, detail }) => [upstream, detail]))];
  const named = last.slice(0, MAX_NAMED).map(([upstream, detail]) => `${upstream} ${shorten(detail)}`);
  const others = last.length - named.length;
  return [...named, ...(others > 0 ? [`and ${others} more`] : [])].join("; ");
}

function shorten(text: string): string {
  return text.length <= MAX_WORD ? text : `${text.slice(0, MAX_WORD - 1).toWellFormed()}…`;
}
