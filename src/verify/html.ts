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
