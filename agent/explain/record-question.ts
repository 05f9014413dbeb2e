/**
 * A flow record as a question: text of one JSON line in, the packet that it tells of out, or what is wrong. Only addresses, interfaces and
 * headers are asked about, for names may have passed to somebody else since; and what else was wrong with the packet: who forged its address,
 * that nobody knows its interface, that it belongs to no connection.
 */
import { toAddress } from '../../compiler/model/ip.ts';
import { protocolNumber } from './protocols.ts';
import type { EndWord, Question, Read, ServiceHeader } from './question.ts';

/** As in deploy/flow-record.schema.json; a record that was cut by hand may lack it. */
const SCHEMA = 'picket.flow/v1';

type Fields = Readonly<Record<string, unknown>>;

export function readRecord(text: string): Read<Question> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { wrong: 'the flow record is not JSON: give one line of picket flows -o json' };
  }
  const record = fieldsOf(value);
  const { schema = SCHEMA } = record;
  if (schema !== SCHEMA) {
    return {
      wrong: `a flow record of schema ${JSON.stringify(schema)}: this version reads ${SCHEMA}`,
    };
  }
  const [src, dst] = [fieldsOf(record['src']), fieldsOf(record['dst'])];
  const header = readHeader(record, src, dst);
  const { in: incoming, out: outgoing } = interfacesOf(record, src, dst);
  const fault = faultOf(record);
  const from = readEnd(src, incoming, fault === 'stray-source');
  const to = readEnd(dst, outgoing, fault === 'stray-destination');
  if (from === undefined || to === undefined || header === undefined) {
    return { wrong: 'the flow record has no src.ip, dst.ip and proto' };
  }
  const { family } = from.address;
  if (family !== to.address.family) return { wrong: 'the flow record has ends of two IP families' };
  const sender = fault === 'forged' ? senderOf(src) : undefined;
  const forger = sender === undefined ? '' : ` (sent by ${sender})`;
  const names = `${String(src['ip'])}${forger} -> ${String(dst['ip'])}`;
  return {
    value: {
      from: sender === undefined ? from : { ...from, sender },
      to,
      service: { [family]: header },
      via: undefined,
      state: fault === 'invalid' ? fault : undefined,
      text: `${names} ${describe(String(record['proto']), header)}`,
    },
  };
}

type AddressWord = Extract<EndWord, { readonly kind: 'address' }>;

function readEnd(
  { ip }: Fields,
  name: string | undefined,
  isStray: boolean,
): AddressWord | undefined {
  const address = typeof ip === 'string' ? toAddress(ip) : undefined;
  if (address === undefined) return undefined;
  return { kind: 'address', address, interface: name, ...(isStray ? { isStray } : {}) };
}

/** What is wrong with the packet whatever policy says. */
type Fault = 'forged' | 'invalid' | 'stray-source' | 'stray-destination';

function faultOf({ implicit, direction }: Fields): Fault | undefined {
  switch (fieldsOf(implicit)['reason']) {
    case 'anti-spoofing':
      return 'forged';
    case 'invalid-state':
      return 'invalid';
    case 'unknown-interface':
      return direction === 'ingress' ? 'stray-destination' : 'stray-source';
    default:
      return undefined;
  }
}

/** Found by its interface; `undefined` where nobody knows. */
function senderOf({ kind, namespace, name }: Fields): string | undefined {
  const isWorkload = kind === 'pod' || kind === 'workload';
  return isWorkload ? `${String(namespace)}/${String(name)}` : undefined;
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
