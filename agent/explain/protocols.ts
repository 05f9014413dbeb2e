/** Names of IP protocols as records and questions have them. */

/** By IANA number. */
export const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
  [33, 'dccp'],
  [58, 'icmpv6'],
  [132, 'sctp'],
  [136, 'udplite'],
]);

/** `tcp` or `6` to 6; `undefined` for what is no protocol. */
export function protocolNumber(name: string): number | undefined {
  const named = [...PROTOCOL_NAMES].find(([, each]) => each === name)?.[0];
  if (named !== undefined) return named;
  return /^\d{1,3}$/.test(name) && Number(name) <= 255 ? Number(name) : undefined;
}
