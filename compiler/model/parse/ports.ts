/** Ports of rules and endpoints. Source: specification section 4.2. */
import type { NamedPort } from '../cluster.ts';
import type { PortMatch } from '../policy.ts';
import { hasPorts, readProtocol } from './protocol.ts';
import {
  type Cursor,
  fail,
  readEach,
  readFields,
  readInteger,
  readList,
  readString,
  requirePresent,
  show,
  warn,
} from './reader.ts';

export const MAX_PORT = 65_535;

/** Entries of one port list of a rule. */
const MAX_PORTS = 50;

const PORT_NAME = /^[a-zA-Z0-9_.-]{1,128}$/;

export function readPorts(at: Cursor): readonly PortMatch[] {
  return readList(at, MAX_PORTS).flatMap((entry) => readPort(entry) ?? []);
}

/** A number, its text, a range `8080:8090`, or a name. */
function readPort(at: Cursor): PortMatch | undefined {
  const { value } = at;
  if (typeof value === 'number') return toRange(at, value, value);
  if (typeof value !== 'string') return failPort(at);
  const digits = /^(\d+)(?::(\d+))?$/.exec(value);
  if (digits !== null) return toRange(at, Number(digits[1]), Number(digits[2] ?? digits[1]));
  if (!PORT_NAME.test(value)) return failPort(at);
  const dashed = /^(\d+)-(\d+)$/.exec(value);
  if (dashed !== null) {
    warn(
      at,
      'port-looks-like-range',
      `${show(value)} is read as the name of a port; the range would be "${dashed[1]}:${dashed[2]}"`,
    );
  }
  return { kind: 'named', name: value };
}

/** Both ends included. */
export function toRange(at: Cursor, first: number, last: number): PortMatch | undefined {
  if (!isPort(first) || !isPort(last)) return failPort(at);
  if (first <= last) return { kind: 'range', first, last };
  return fail(at, 'port-invalid', `the range ${first}:${last} ends before it begins`);
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= MAX_PORT;
}

function failPort(at: Cursor): undefined {
  const text = 'is not a port: a number from 1 to 65535, a range like "8080:8090", or a port name';
  return fail(at, 'port-invalid', `${show(at.value)} ${text}`);
}

/** The name in a field that can only hold one. */
export function readPortName(at: Cursor): string | undefined {
  const name = readString(at);
  if (name === undefined || PORT_NAME.test(name)) return name;
  return fail(at, 'port-invalid', `${show(name)} is not a port name`);
}

/** `spec.ports` of a host endpoint or a stored workload endpoint. A bad entry is left out. */
export function readEndpointPorts(at: Cursor): readonly NamedPort[] {
  return readEach(at, PORT_EFFECT, readEndpointPort);
}

/** What becomes of a bad one, for messages. */
export const PORT_EFFECT = 'rules do not know this port by its name';

const ENDPOINT_PORT_FIELDS = ['name', 'protocol', 'port', 'hostPort', 'hostIP'] as const;

function readEndpointPort(at: Cursor): NamedPort | undefined {
  if (!requirePresent(at, 'the port')) return undefined;
  const fields = readFields(at, ENDPOINT_PORT_FIELDS, 'warn');
  requirePresent(fields.port, 'the port number');
  const port = readInteger(fields.port, 1, MAX_PORT);
  requirePresent(fields.protocol, 'the protocol');
  const protocol = readProtocol(fields.protocol);
  if (protocol !== undefined && !hasPorts(protocol.number)) {
    fail(fields.protocol, 'ports-with-protocol', 'named ports must have protocol TCP, UDP or SCTP');
  }
  requirePresent(fields.name, 'the port name');
  const name = readPortName(fields.name);
  if (port === undefined || protocol === undefined || name === undefined) return undefined;
  return { name, protocol: protocol.number, port };
}
