/**
 * Netlink messages as text on standard error when NLDEBUG=1: headers, then attributes by number, nested ones indented. Bytes in,
 * text out; broken bytes are shown as such. Refuses to know: what the numbers mean.
 */
import { ATTR_HEADER_BYTES, NetlinkDecodeError, type Slice } from './codec.ts';
import { messages, readAck, readNfgenmsg, type Message } from './message.ts';
import { NFNL_SUBSYS_NFTABLES, NLA_F_NESTED, NLA_TYPE_MASK } from './uapi.generated.ts';

const enabled = process.env['NLDEBUG'] === '1';

/** Prints datagrams sent (`>`) or received (`<`) if NLDEBUG=1. */
export function traceNetlink(direction: '<' | '>', datagrams: Uint8Array): void {
  if (!enabled) return;
  process.stderr.write(describeMessages(datagrams, direction));
}

/** One block of lines per message. Never throws. */
export function describeMessages(datagrams: Uint8Array, direction: '<' | '>'): string {
  const lines: string[] = [];
  try {
    for (const message of messages(datagrams)) describe(message, direction, lines);
  } catch (error) {
    if (!(error instanceof NetlinkDecodeError)) throw error;
    lines.push(`${direction} broken: ${error.message}`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

function describe(message: Message, direction: string, lines: string[]): void {
  const { type, flags, seq, body } = message;
  const subsystem = type >>> 8;
  const name = subsystem === 0 ? `type ${type}` : `subsystem ${subsystem} message ${type & 0xff}`;
  const size = body.bytes.length;
  lines.push(`${direction} ${name} flags 0x${flags.toString(16)} seq ${seq} body ${size} bytes`);
  const ack = readAck(message);
  if (ack !== undefined) {
    lines.push(`    errno ${ack.errno} ${ack.extAck ?? ''} offset ${ack.offset ?? '-'}`);
  } else if (subsystem === NFNL_SUBSYS_NFTABLES) {
    const { family, attrs } = readNfgenmsg(body);
    lines.push(`    family ${family}`);
    describeAttrs(attrs, 1, lines);
  }
}

function describeAttrs(slice: Slice, indent: number, lines: string[]): void {
  for (let at = 0; at < slice.bytes.length;) {
    const lenBytes = slice.u16host(at);
    const type = slice.u16host(at + 2);
    if (lenBytes < ATTR_HEADER_BYTES)
      throw new NetlinkDecodeError(`attribute of ${lenBytes} bytes`);
    const payload = slice.sub(at + ATTR_HEADER_BYTES, lenBytes - ATTR_HEADER_BYTES);
    const prefix = `${'    '.repeat(indent)}[${type & NLA_TYPE_MASK}]`;
    if ((type & NLA_F_NESTED) === 0) {
      lines.push(`${prefix} ${describeBytes(payload.bytes)}`);
    } else {
      lines.push(prefix);
      describeAttrs(payload, indent + 1, lines);
    }
    at += (lenBytes + 3) & ~3;
  }
}

/** Hexadecimal, with the text beside where there is some. */
function describeBytes(bytes: Uint8Array): string {
  const shown = Array.from(bytes.subarray(0, 64), (byte) => byte.toString(16).padStart(2, '0'));
  const more = bytes.length > 64 ? ` (${bytes.length} bytes)` : '';
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, 64)).replace(/\0+$/, '');
  return `${shown.join(' ')}${more}${/^[ -~]{2,}$/.test(text) ? ` "${text}"` : ''}`;
}
