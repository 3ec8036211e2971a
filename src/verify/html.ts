/** Enough of a body to tell whether it is a page. */
export const HTML_SNIFF_BYTES = 1024;

/** A UTF-8 BOM as latin1 shows it, white space, an XML declaration and comments: what may stand before the first tag. */
const BEFORE_FIRST_TAG = /^(?:\u00ef\u00bb\u00bf)?(?:\s|<\?xml\b[^>]*>|<!--[^]*?-->)*/i;
const PAGE_START = /^<(?:!doctype\s+html|html|head|body)(?=[\s/>]|$)/i;
/** https://mimesniff.spec.whatwg.org/#identifying-a-resource-with-an-unknown-mime-type: what makes HTML of unnamed bytes; here of bytes named so. */
const FRAGMENT_START = /^<(?:(?:script|iframe|h1|div|font|table|a|style|title|b|br|p|center|meta|link)(?=[\s/>])|!--)/i;
const HTML_TYPE = /^\s*(?:text\/html|application\/xhtml\+xml)\s*(?:;|$)/i;

/**
 * Whether a body is an HTML page: a 200 with a login, error or parking page in place of a package. The bytes decide; the
 * type alone does not, since servers name real packages `text/html`, but under that type the beginning of a fragment will do.
 */
export function isHtml(firstBytes: Uint8Array, contentType: string | null | undefined): boolean {
  const text = new TextDecoder("latin1").decode(firstBytes.subarray(0, HTML_SNIFF_BYTES)).replace(BEFORE_FIRST_TAG, "");
  return PAGE_START.test(text) || (HTML_TYPE.test(contentType ?? "") && FRAGMENT_START.test(text));
}
