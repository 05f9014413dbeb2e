/**
 * What host policy never closes, so that nobody is locked out: failsafe ports, and the ICMPv6 without which IPv6 reaches none of them.
 * Comes in: the configured lists. Goes out: chains that accept and otherwise return. Specification section 6.1.
 */
import type { Family } from '../model/ip.ts';
import {
  cidrMatch,
  fieldKeyTypes,
  l4proto,
  lookupFields,
  metaNfproto,
  rangeMatch,
} from './exprs.ts';
import { LINK_ESSENTIAL, isOfTypes } from './icmpv6.ts';
import type { Failsafe, HostConfig } from './host-config.ts';
import type { LoweredChain } from './lower-chain.ts';
import type { ConstantSet } from './lower-tests.ts';
import type { NftRule } from './program.ts';
import { ACCEPT, chain, fixedSet, rule } from './rules.ts';

export type FailsafeChain = 'failsafe-in' | 'failsafe-out' | 'failsafe-in-raw' | 'failsafe-out-raw';

type Port = 'sport' | 'dport';

/** Packets whose `port` is one of the list's, and whose `net` field is in the entry's prefix. */
interface Part {
  readonly list: (config: HostConfig) => readonly Failsafe[];
  readonly port: Port;
}

const INBOUND: Part = { list: (config) => config.failsafeInbound, port: 'dport' };
const OUTBOUND: Part = { list: (config) => config.failsafeOutbound, port: 'dport' };

/** Before connection tracking the answers have to be let through too: the other list with ports reversed. */
const PARTS: Readonly<
  Record<FailsafeChain, { readonly net: 'saddr' | 'daddr'; readonly parts: readonly Part[] }>
> = {
  'failsafe-in': { net: 'saddr', parts: [INBOUND] },
  'failsafe-out': { net: 'daddr', parts: [OUTBOUND] },
  'failsafe-in-raw': { net: 'saddr', parts: [INBOUND, { ...OUTBOUND, port: 'sport' }] },
  'failsafe-out-raw': { net: 'daddr', parts: [OUTBOUND, { ...INBOUND, port: 'sport' }] },
};

export function failsafeChain(name: FailsafeChain, config: HostConfig): LoweredChain {
  const { net, parts } = PARTS[name];
  const rules = [rule([...isOfTypes(LINK_ESSENTIAL), ACCEPT], 'link essential')];
  const constants: ConstantSet[] = [LINK_ESSENTIAL];
  for (const { list, port } of parts) {
    const all = list(config);
    const open = all.filter((failsafe) => failsafe.net === undefined);
    if (open.length > 0) {
      const set = portSet(`${name}-${port}`, open);
      constants.push(set);
      rules.push(
        rule([...lookupFields(['protocol', port], ANY_FAMILY, set.set.name), ACCEPT], name),
      );
    }
    for (const failsafe of all) rules.push(...forNet(failsafe, net, port, name));
  }
  return { ...chain(name, rules, []), constants };
}

/** Protocol and ports are the same in both. */
const ANY_FAMILY: Family = 4;

function portSet(name: string, failsafes: readonly Failsafe[]): ConstantSet {
  const keys = new Set(failsafes.map(({ protocol, port }) => `${protocol} ${port}`));
  return {
    set: fixedSet(name, fieldKeyTypes(['protocol', 'dport'], ANY_FAMILY)),
    elements: [...keys].map((key) => ({
      key: key.split(' ').map(BigInt),
      keyEnd: undefined,
      verdict: undefined,
    })),
  };
}

function forNet(
  { protocol, port, net }: Failsafe,
  address: 'saddr' | 'daddr',
  field: Port,
  name: string,
): NftRule[] {
  if (net === undefined) return [];
  const match = [
    ...metaNfproto(net.family),
    ...cidrMatch(address, net),
    ...l4proto(protocol),
    ...rangeMatch(field, net.family, BigInt(port), BigInt(port)),
  ];
  return [rule([...match, ACCEPT], name)];
}
