/**
 * Base chains of host policy. Comes in: which stages are in use, and whose chains take the interfaces that no host endpoint names. Goes
 * out: chains. A packet meets them in this order; nothing of them exists while no host endpoint needs it.
 *
 *   raw-prerouting  -300   untracked-ingress      raw-output       -300   untracked-egress
 *   pre-dnat        -150   pre-dnat               output              0   egress, unless the address was translated
 *   input-host        +2   ingress                postrouting-dnat -150   dnat: egress, where it was
 *   forward-host-in    0   forward-ingress
 *   forward-host-out  +3   forward-egress
 *
 * Workload chains stand between, in chains of their own: an accept ends one base chain, so each side is judged for itself.
 */
import type { Family } from '../model/ip.ts';
import { DISPATCH, RAW_PRIORITY, rawPrerouting } from './base.ts';
import type { BaseConfig } from './base.ts';
import { tunnelJump, tunnelsOut } from './tunnels.ts';
import {
  CT_STATUS,
  IFNAME_LOADS,
  ctStatusAny,
  fieldLoads,
  goTo,
  ifnameEquals,
  ifnamePrefix,
  lookupLoads,
  metaNfproto,
  reversePathHolds,
  sentByHost,
  vmap,
} from './exprs.ts';
import type { IfnameKey } from './exprs.ts';
import { HOST_DISPATCH, hostChain, stageName } from './host-stages.ts';
import type { HostStage } from './host-stages.ts';
import type { LoweredChain } from './lower-chain.ts';
import { clearMark, markHas } from './mark.ts';
import type { BaseHook, NftRule } from './program.ts';
import { ACCEPT, base, chain, rule } from './rules.ts';

/** What decides about base chains. */
export interface HostNeeds {
  /** Stages that some host endpoint takes part in. */
  readonly stages: ReadonlySet<HostStage>;
  /** Stages of the endpoint that takes the interfaces which no other has, and its name; `undefined` = there is none. */
  readonly wildcard: { readonly name: string; readonly stages: ReadonlySet<HostStage> } | undefined;
}

/** Between connection tracking and address translation. */
const MANGLE_PRIORITY = -150;

/** Always the same chains for the same needs. `raw-prerouting` is always among them. */
export function hostBaseChains(needs: HostNeeds, config: BaseConfig): LoweredChain[] {
  const { stages } = needs;
  const chains = [raw(needs, config)];
  if (hasUntracked(stages)) chains.push(rawOutput(needs, config));
  if (stages.has('pre-dnat')) chains.push(preDnat(needs, config));
  if (stages.has('ingress')) chains.push(inputHost(needs, config));
  if (stages.has('egress')) chains.push(output(needs, config));
  if (stages.has('dnat')) chains.push(...postrouting(needs, config));
  if (stages.has('forward-ingress')) chains.push(forwardIn(needs, config));
  if (stages.has('forward-egress')) chains.push(forwardOut(needs, config));
  return chains;
}

/** Something before routing allows packets that later stages must let through. */
function usesMark(stages: HostNeeds['stages']): boolean {
  return stages.has('pre-dnat') || hasUntracked(stages);
}

function hasUntracked(stages: HostNeeds['stages']): boolean {
  return stages.has('untracked-ingress') || stages.has('untracked-egress');
}

/** Whoever sent the packet has no say in what we allowed. */
function cleared(needs: HostNeeds, { host }: BaseConfig): NftRule[] {
  return usesMark(needs.stages) ? [rule(clearMark(host.acceptMark), 'accept mark')] : [];
}

function allowedEarlier(isUsed: boolean, { host }: BaseConfig): NftRule[] {
  return isUsed ? [rule([...markHas(host.acceptMark), ACCEPT], 'accept mark')] : [];
}

/** By name; the rest, but for `lo`, belongs to the wildcard. */
function dispatch(stage: HostStage, key: IfnameKey, { stages, wildcard }: HostNeeds): NftRule[] {
  if (!stages.has(stage)) return [];
  const origin = `${stageName(stage)} dispatch`;
  const rules = [rule(vmap([IFNAME_LOADS[key]], HOST_DISPATCH[stage].name), origin)];
  if (wildcard?.stages.has(stage) === true) {
    const others = ifnameEquals(key, 'lo', true);
    rules.push(rule([...others, goTo(hostChain(stage, wildcard.name))], origin));
  }
  return rules;
}

/** Workload interfaces have left it when host policy comes: only interfaces of the host itself have untracked policy. */
function raw(needs: HostNeeds, config: BaseConfig): LoweredChain {
  return rawPrerouting({
    before: cleared(needs, config),
    after: dispatch('untracked-ingress', 'iifname', needs),
  });
}

function rawOutput(needs: HostNeeds, config: BaseConfig): LoweredChain {
  const rules = [...cleared(needs, config), ...dispatch('untracked-egress', 'oifname', needs)];
  return base('raw-output', { hook: 'output', priority: RAW_PRIORITY }, rules, []);
}

function preDnat(needs: HostNeeds, config: BaseConfig): LoweredChain {
  const rules = [
    ...allowedEarlier(hasUntracked(needs.stages), config),
    ...dispatch('pre-dnat', 'iifname', needs),
  ];
  return base('pre-dnat', { hook: 'prerouting', priority: MANGLE_PRIORITY }, rules, []);
}

/** Behind the stages that judge workloads: what these send to their host is none of host policy's business. */
function inputHost(needs: HostNeeds, config: BaseConfig): LoweredChain {
  const hook: BaseHook = { hook: 'input', priority: config.priority + 2 };
  const rules = [
    ...tunnelJump(config),
    ...fromWorkloads(),
    ...allowedEarlier(usesMark(needs.stages), config),
    ...dispatch('ingress', 'iifname', needs),
  ];
  return base('input-host', hook, rules, []);
}

function forwardIn(needs: HostNeeds, config: BaseConfig): LoweredChain {
  const hook: BaseHook = { hook: 'forward', priority: config.priority };
  const rules = [
    ...allowedEarlier(usesMark(needs.stages), config),
    ...dispatch('forward-ingress', 'iifname', needs),
  ];
  return base('forward-host-in', hook, rules, []);
}

function forwardOut(needs: HostNeeds, config: BaseConfig): LoweredChain {
  const hook: BaseHook = { hook: 'forward', priority: config.priority + 3 };
  return base('forward-host-out', hook, dispatch('forward-egress', 'oifname', needs), []);
}

const TRANSLATED = ctStatusAny(CT_STATUS.dnat);

/** The interface of a translated packet is that of its old destination: it is judged after routing. */
function output(needs: HostNeeds, config: BaseConfig): LoweredChain {
  const rules = [
    ...allowedEarlier(hasUntracked(needs.stages), config),
    ...toWorkloads(config),
    ...tunnelsOut(config),
    rule([...TRANSLATED, ACCEPT], 'translated'),
    ...dispatch('egress', 'oifname', needs),
  ];
  return base('output', { hook: 'output', priority: config.priority }, rules, []);
}

/** Forwarded packets have been judged as such. */
function postrouting(needs: HostNeeds, config: BaseConfig): LoweredChain[] {
  const name = 'host-translated';
  const hook: BaseHook = { hook: 'postrouting', priority: MANGLE_PRIORITY };
  const begin = rule([...sentByHost(), ...TRANSLATED, goTo(name)], 'translated');
  const rules = [
    ...allowedEarlier(hasUntracked(needs.stages), config),
    ...toWorkloads(config),
    ...dispatch('dnat', 'oifname', needs),
  ];
  return [base('postrouting-dnat', hook, [begin], []), chain(name, rules, [])];
}

const FAMILIES: readonly Family[] = [4, 6];

function isWorkload(family: Family, field: 'saddr' | 'daddr'): NftRule['exprs'] {
  const set = family === 4 ? DISPATCH.addresses4 : DISPATCH.addresses6;
  return [...metaNfproto(family), ...lookupLoads(fieldLoads([field], family), set.name)];
}

/** By interface; by address only where that is where the address lives, or anybody could pass for a workload. */
function fromWorkloads(): NftRule[] {
  const origin = 'from workload';
  return [
    rule([...lookupLoads([IFNAME_LOADS.iifname], DISPATCH.interfaces.name), ACCEPT], origin),
    ...FAMILIES.map((family) =>
      rule([...isWorkload(family, 'saddr'), ...reversePathHolds(), ACCEPT], origin),
    ),
  ];
}

/** The host may always reach its own workloads (specification section 3.9), known or not. */
function toWorkloads({ interfacePrefixes }: BaseConfig): NftRule[] {
  const origin = 'to workload';
  return [
    rule([...lookupLoads([IFNAME_LOADS.oifname], DISPATCH.interfaces.name), ACCEPT], origin),
    ...interfacePrefixes.map((prefix) =>
      rule([...ifnamePrefix('oifname', prefix), ACCEPT], origin),
    ),
    ...FAMILIES.map((family) => rule([...isWorkload(family, 'daddr'), ACCEPT], origin)),
  ];
}
