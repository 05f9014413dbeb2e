/**
 * A flow record as a question: text of one JSON line in, the packet that it tells of out, or what is wrong. Only addresses, interfaces and
 * headers are asked about: names may have passed to somebody else since.
 */
import { toAddress } from '../../compiler/model/ip.ts';
import { protocolNumber } from './protocols.ts';
import type { EndWord, Question, Read, ServiceHeader } from './question.ts';

type Fields = Readonly<Record<string, unknown>>;

export function readRecord(text: string): Read<Question> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { wrong: 'the flow record is not JSON: give one line of picket flows -o json' };
  }
  const record = fieldsOf(value);
  const [src, dst] = [fieldsOf(record['src']), fieldsOf(record['dst'])];
  const header = readHeader(record, src, dst);
  const { in: incoming, out: outgoing } = interfacesOf(record, src, dst);
  const [from, to] = [readEnd(src, incoming), readEnd(dst, outgoing)];
  if (from === undefined || to === undefined || header === undefined) {
    return { wrong: 'the flow record has no src.ip, dst.ip and proto' };
  }
  const { family } = from.address;
  if (family !== to.address.family) return { wrong: 'the flow record has ends of two IP families' };
  const what = describe(String(record['proto']), header);
  const names = [String(src['ip']), String(dst['ip'])].join(' -> ');
  const question = { from, to, service: { [family]: header }, via: undefined };
  return { value: { ...question, text: `${names} ${what}` } };
}

type AddressWord = Extract<EndWord, { readonly kind: 'address' }>;

function readEnd({ ip }: Fields, name: string | undefined): AddressWord | undefined {
  const address = typeof ip === 'string' ? toAddress(ip) : undefined;
  return address && { kind: 'address', address, interface: name };
}

/** What the packet had; what it had not, as the ports of a fragment, is not asked about. */
function readHeader({ proto, icmp }: Fields, src: Fields, dst: Fields): ServiceHeader | undefined {
  const protocol = typeof proto === 'string' ? protocolNumber(proto) : undefined;
  if (protocol === undefined) return undefined;
  const { type, code } = fieldsOf(icmp);
  return {
    protocol,
    sport: numberUpTo(65_535, src['port']),
    dport: numberUpTo(65_535, dst['port']),
    icmpType: numberUpTo(255, type),
    icmpCode: numberUpTo(255, code),
  };
}

/** Interfaces of the host, beside the end that explain takes them with; a pod's own says nothing that the pod does not. */
function interfacesOf(
  { hook, inputInterface, outputInterface }: Fields,
  src: Fields,
  dst: Fields,
): { readonly in: string | undefined; readonly out: string | undefined } {
  const ofHost = (name: unknown, { kind }: Fields): string | undefined =>
    typeof name === 'string' && name !== 'lo' && kind !== 'pod' && kind !== 'workload'
      ? name
      : undefined;
  const [incoming, outgoing] = [ofHost(inputInterface, src), ofHost(outputInterface, dst)];
  // Where the host itself is an end, its interface stands with the host.
  if (hook === 'input') return { in: undefined, out: incoming };
  if (hook === 'output' || hook === 'postrouting') return { in: outgoing, out: undefined };
  return { in: incoming, out: outgoing };
}

function describe(proto: string, { sport, dport, icmpType, icmpCode }: ServiceHeader): string {
  if (icmpType !== undefined) return `${proto}/${icmpType}/${icmpCode ?? 0}`;
  if (dport === undefined) return proto;
  return `${proto}/${dport}${sport === undefined ? '' : ` from port ${sport}`}`;
}

function numberUpTo(max: number, value: unknown): number | undefined {
  const isGood = typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max;
  return isGood ? value : undefined;
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}
