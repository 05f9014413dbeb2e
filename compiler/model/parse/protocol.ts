/** Protocol names and numbers. Source: specification sections 1.14 and 4.1. */
import type { ProtocolMatch } from '../policy.ts';
import { suggest } from './nearest.ts';
import { type Cursor, fail, isAbsent, readWord, show, warn } from './reader.ts';

interface ProtocolName {
  readonly name: string;
  readonly match: ProtocolMatch;
}

/** Names, as the API spells them. Only a name implies a family; numbers do not. */
const PROTOCOLS: readonly ProtocolName[] = [
  { name: 'TCP', match: { number: 6, family: undefined } },
  { name: 'UDP', match: { number: 17, family: undefined } },
  { name: 'ICMP', match: { number: 1, family: 4 } },
  { name: 'ICMPv6', match: { number: 58, family: 6 } },
  { name: 'SCTP', match: { number: 132, family: undefined } },
  { name: 'UDPLite', match: { number: 136, family: undefined } },
];

export const ICMP = 1;
export const ICMPV6 = 58;

/** Protocols with ports that policies can match. */
export const TRANSPORTS = { SCTP: 132, TCP: 6, UDP: 17 } as const;

export type TransportName = keyof typeof TRANSPORTS;

const TRANSPORT_NAMES = ['SCTP', 'TCP', 'UDP'] as const;

export function hasPorts(protocol: number): boolean {
  return TRANSPORT_NAMES.some((name) => TRANSPORTS[name] === protocol);
}

/** A protocol in a Calico rule or endpoint: name, number 1 to 255, or the number as text. */
export function readProtocol(at: Cursor): ProtocolMatch | undefined {
  if (isAbsent(at)) return undefined;
  const { value } = at;
  if (typeof value === 'string' && !/^\d+$/.test(value)) return readProtocolName(at, value);
  const number = typeof value === 'string' ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= 1 && number <= 255) {
    return { number, family: undefined };
  }
  return failProtocol(at, '');
}

function readProtocolName(at: Cursor, text: string): ProtocolMatch | undefined {
  const found = PROTOCOLS.find(({ name }) => name.toLowerCase() === text.toLowerCase());
  if (found === undefined)
    return failProtocol(
      at,
      suggest(
        text,
        PROTOCOLS.map(({ name }) => name),
      ),
    );
  if (found.name !== text) {
    warn(at, 'letter-case', `${show(text)} is read as ${found.name}, which is how it is spelt`);
  }
  return found.match;
}

function failProtocol(at: Cursor, hint: string): undefined {
  const names = PROTOCOLS.map(({ name }) => name).join(', ');
  const text = `${show(at.value)} is not a protocol: ${names}, or a number from 1 to 255`;
  return fail(at, 'protocol-invalid', `${text}${hint}`);
}

/** A transport protocol in a Kubernetes object; absent is TCP. */
export function readTransport(at: Cursor): TransportName | undefined {
  return isAbsent(at) ? 'TCP' : readWord(at, TRANSPORT_NAMES, 'any-case');
}
