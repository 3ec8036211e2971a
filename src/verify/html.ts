/** The first bytes of a body by which `isHtmlBody` decides. */
export const HTML_SNIFF_BYTES = 1024;

/** What may precede the first tag: a UTF-8 byte order mark (as latin1 decodes it), white space, an XML declaration, comments. */
const BEFORE_FIRST_TAG = /^(?:\u00ef\u00bb\u00bf)?(?:\s|<\?xml\b[^>]*>|<!--[^]*?-->)*/i;
const PAGE_START = /^<(?:!doctype\s+html|html|head|body)(?=[\s/>]|$)/i;
/**
 * The other tags by which browsers recognize HTML (https://mimesniff.spec.whatwg.org/#identifying-a-resource-with-an-unknown-mime-type); here only
 * under a Content-Type of HTML.
 */
const FRAGMENT_START = /^<(?:(?:script|iframe|h1|div|font|table|a|style|title|b|br|p|center|meta|link)(?=[\s/>])|!--)/i;
const HTML_TYPE = /^\s*(?:text\/html|application\/xhtml\+xml)\s*(?:;|$)/i;

/**
 * Whether a body is an HTML page: a login, error or parking page that came with status 200 in place of a package. The bytes decide. The Content-Type
 * alone does not, since servers send real packages as `text/html`; but under that type a fragment of HTML counts as a page too.
 * @param firstBytes the body's first HTML_SNIFF_BYTES, or all of a shorter one.
 */
export function isHtmlBody(firstBytes: Uint8Array, contentType: string | null | undefined): boolean {
  const text = new TextDecoder("latin1").decode(firstBytes.subarray(0, HTML_SNIFF_BYTES)).replace(BEFORE_FIRST_TAG, "");
  return PAGE_START.test(text) || (HTML_TYPE.test(contentType ?? "") && FRAGMENT_START.test(text));
}

/** Names under which a page is the file itself: listings too. */
const HTML_NAME = /(?:\.(?:x?html?|xht|php)|\/|^)$/i;

/**
 * Whether a page came in place of the file of this name (login, error, bot check). Ask only where neither a digest nor a structure proves the bytes: these
 * decide over what the body looks like.
 */
export function isPageInPlaceOf(path: string, firstBytes: Uint8Array, contentType: string | null | undefined): boolean {
  return !HTML_NAME.test(path) && isHtmlBody(firstBytes, contentType);
}

const TYPE_BY_SUFFIX: Readonly<Record<string, string>> = {
  rpm: "application/x-rpm",
  drpm: "application/x-rpm",
  deb: "application/vnd.debian.binary-package",
  udeb: "application/vnd.debian.binary-package",
  gz: "application/gzip",
  tgz: "application/gzip",
  xz: "application/x-xz",
  bz2: "application/x-bzip2",
  zst: "application/zstd",
  xml: "text/xml",
  iso: "application/octet-stream",
  db: "application/octet-stream",
  files: "application/octet-stream",
  apk: "application/octet-stream",
};

/**
 * The Content-Type to give a file whose bytes were found to be no page, or that came under a Content-Encoding that was a mistake: that of its name, where
 * the upstream's cannot be right. Undefined: there is none.
 */
export function contentTypeOf(path: string, sent: string | undefined, isCodingMistaken: boolean): string | undefined {
  if (!isCodingMistaken && !HTML_TYPE.test(sent ?? "")) return sent;
  return typeOfName(path) ?? sent;
}

/** The Content-Type that goes with the suffix of a name; undefined where the suffix stands for none. */
export function typeOfName(path: string): string | undefined {
  const suffix = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  return Object.hasOwn(TYPE_BY_SUFFIX, suffix) ? TYPE_BY_SUFFIX[suffix] : undefined;
}
