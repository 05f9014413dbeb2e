/**
 * A flow record as a question: text of one JSON line in, the words that explain takes out, or what is wrong. Only addresses, protocol and port
 * are asked about: names may have passed to somebody else since.
 */
import type { Read } from './question.ts';

export interface Words {
  readonly src: string;
  readonly dst: string;
  readonly service: string;
}

/** Protocols whose port stands behind a slash. */
const WITH_PORTS: ReadonlySet<string> = new Set(['tcp', 'udp', 'sctp', 'udplite']);

export function readRecord(text: string): Read<Words> {
  let record: unknown;
  try {
    record = JSON.parse(text);
  } catch {
    return { wrong: 'the flow record is not JSON: give one line of picket flows -o json' };
  }
  const src = fieldOf(fieldOf(record, 'src'), 'ip');
  const dst = fieldOf(fieldOf(record, 'dst'), 'ip');
  const proto = fieldOf(record, 'proto');
  if (typeof src !== 'string' || typeof dst !== 'string' || typeof proto !== 'string') {
    return { wrong: 'the flow record has no src.ip, dst.ip and proto' };
  }
  return { value: { src, dst, service: serviceOf(record, proto) } };
}

function serviceOf(record: unknown, proto: string): string {
  const port = fieldOf(fieldOf(record, 'dst'), 'port');
  if (WITH_PORTS.has(proto) && typeof port === 'number') return `${proto}/${port}`;
  const icmp = fieldOf(record, 'icmp');
  const [type, code] = [fieldOf(icmp, 'type'), fieldOf(icmp, 'code')];
  return typeof type === 'number' && typeof code === 'number' ? `${proto}/${type}/${code}` : proto;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}
