/**
 * The connection that the operator is on. Comes in: the environment of this process and of those that it comes from, since sudo drops what
 * ssh says. Goes out: the connection, as its first packet. Refuses to know: whether it is denied.
 */
import { readFileSync } from 'node:fs';
import type { Address } from '../../compiler/model/ip.ts';
import { toAddress } from '../../compiler/model/ip.ts';
import type { Connection } from '../netlink/connections.ts';

const TCP = 6;

/** Processes between a shell and whoever it was started by, at most. */
const MAX_ANCESTORS = 32;

const MAX_ENVIRON_BYTES = 1 << 20;

/** `undefined` = nobody is here by ssh, or /proc does not show it. */
export function findOperator(
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const own = env['SSH_CONNECTION'];
  if (own !== undefined && own !== '') return own;
  for (let pid = process.ppid, left = MAX_ANCESTORS; pid > 1 && left > 0; left--) {
    const said = readVariable(pid);
    if (said !== undefined) return said;
    pid = parentOf(pid);
  }
  return undefined;
}

function readVariable(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/environ`).subarray(0, MAX_ENVIRON_BYTES).toString();
    const line = text.split('\0').find((each) => each.startsWith('SSH_CONNECTION='));
    return line?.slice('SSH_CONNECTION='.length);
  } catch {
    return undefined;
  }
}

/** 0 where that is not known. */
function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Of `client port server port`, as sshd writes it; `undefined` for anything else. */
export function toConnection(text: string): Connection | undefined {
  const [client = '', clientPort = '', server = '', serverPort = '', ...rest] = text.split(' ');
  const [saddr, daddr] = [toPlainAddress(client), toPlainAddress(server)];
  const [sport, dport] = [Number(clientPort), Number(serverPort)];
  if (rest.length > 0 || saddr === undefined || daddr === undefined) return undefined;
  if (saddr.family !== daddr.family || !isPort(sport) || !isPort(dport)) return undefined;
  const connection = tcpConnection(saddr, sport, daddr, dport);
  const zone = ZONE.exec(client)?.[1];
  return zone === undefined ? connection : { ...connection, zone };
}

/** Of a link-local address, `fe80::1%eth0`. */
const ZONE = /%(.+)$/;

/** The first packet of a TCP connection that nothing translates. */
export function tcpConnection(
  saddr: Address,
  sport: number,
  daddr: Address,
  dport: number,
): Connection {
  const icmp = { icmpType: undefined, icmpCode: undefined };
  const packet = { family: saddr.family, saddr, daddr, protocol: TCP, sport, dport, ...icmp };
  return { sent: packet, arrived: packet };
}

/** Without the zone of a link-local one; ::ffff:192.0.2.1 is what it stands for. */
function toPlainAddress(text: string): Address | undefined {
  return toAddress(text.replace(ZONE, '').replace(/^::ffff:(?=\d+\.)/i, ''));
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value > 0 && value <= 0xffff;
}

export const SSH_PORT = 22;
