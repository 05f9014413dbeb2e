/** Comments and log prefixes cut to what nf_tables carries, so that what is sent and what is read back compare equal. */

/** NFTNL_UDATA_COMMENT_MAXLEN 128, NUL included. Source: libnftnl include/libnftnl/udata.h. */
const MAX_COMMENT_BYTES = 127;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The longest prefix of `text` that fits, at a character boundary. */
export function fitComment(text: string): string {
  if (text.length * 3 <= MAX_COMMENT_BYTES) return text;
  const bytes = encoder.encode(text);
  if (bytes.length <= MAX_COMMENT_BYTES) return text;
  let end = MAX_COMMENT_BYTES;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return decoder.decode(bytes.subarray(0, end));
}
