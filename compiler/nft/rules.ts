/** Small parts that the built-in chains are made of: rules, counters, chains. */
import { CT_STATE, ctStateAny, l4proto, rangeMatch, verdict } from './exprs.ts';
import { deny } from './lower-chain.ts';
import type { DenyAction, LoweredChain } from './lower-chain.ts';
import type { BaseHook, DataType, Expr, NftCounter, NftRule, NftSet } from './program.ts';

/** IP protocol numbers. */
export const UDP = 17;
export const IPIP = 4;

export const ACCEPT: Expr = verdict({ kind: 'accept' });

export function fixedSet(name: string, key: readonly DataType[], verdictMap = false): NftSet {
  const kind = { interval: false, verdictMap, constant: false };
  return { name, key, ...kind, comment: undefined, origin: `dispatch ${name}` };
}

/** `egress/invalid-state`: what a built-in rule denied. */
export function builtInCounter(direction: string, name: string): NftCounter {
  return {
    name: `${direction}/${name}`,
    comment: undefined,
    origin: `built-in ${direction} ${name}`,
  };
}

export function count(counter: NftCounter): Expr[] {
  return [{ kind: 'counter', name: counter.name }];
}

export function rule(exprs: readonly Expr[], origin: string): NftRule {
  return { exprs, comment: undefined, origin };
}

/** Denies what matches, and counts it. */
export function denied(match: readonly Expr[], counter: NftCounter, action: DenyAction): NftRule {
  return rule([...match, ...count(counter), ...deny(action)], counter.origin);
}

export function chain(
  name: string,
  rules: readonly NftRule[],
  counters: readonly NftCounter[],
): LoweredChain {
  return { chain: { name, base: undefined, rules }, counters, constants: [] };
}

export function base(
  name: string,
  hook: BaseHook,
  rules: readonly NftRule[],
  counters: readonly NftCounter[],
): LoweredChain {
  return { chain: { name, base: hook, rules }, counters, constants: [] };
}

/** `layer`: `egress`, `host-ingress`, … */
export function acceptEstablished(layer: string): NftRule {
  const match = ctStateAny(CT_STATE.established | CT_STATE.related);
  return rule([...match, ACCEPT], `${layer} established`);
}

/** `udp dport 4789` */
export function portMatch(protocol: number, port: number): Expr[] {
  return [...l4proto(protocol), ...rangeMatch('dport', 4, BigInt(port), BigInt(port))];
}
