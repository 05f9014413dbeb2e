/**
 * The stages of host policy: where packets of a host interface are judged, what each of its chains begins with, and how packets find it.
 * Comes in: configuration. Goes out: dispatch maps, preambles, failsafe chains. Refuses to know: host endpoints. Specification sections
 * 3.6, 6.1 and 6.2.
 */
import type { ResolvedHostEndpoint, ResolvedTier } from '../calc/resolved.ts';
import type { Family } from '../model/ip.ts';
import type { Direction } from '../model/policy.ts';
import type { BaseConfig } from './base.ts';
import { CT_STATE, ctStateAny, jump } from './exprs.ts';
import type { FailsafeChain } from './failsafe.ts';
import type { DenyAction, Layer, LoweredChain } from './lower-chain.ts';
import { objectName } from './names.ts';
import type { NftCounter, NftRule, NftSet } from './program.ts';
import { acceptEstablished, builtInCounter, chain, denied, fixedSet, rule } from './rules.ts';

export type HostStage =
  | 'untracked-ingress'
  | 'untracked-egress'
  | 'pre-dnat'
  | 'ingress'
  | 'egress'
  | 'dnat'
  | 'forward-ingress'
  | 'forward-egress';

/** What a host endpoint's packets go through in a stage. */
export interface HostProgram {
  readonly tiers: readonly ResolvedTier[];
  /** `undefined` = what no tier decides goes on. */
  readonly profiles: readonly string[] | undefined;
}

interface StageSpec {
  readonly direction: Direction;
  /** Connections are known, and go on. */
  readonly isTracked: boolean;
  readonly failsafe: FailsafeChain | undefined;
  /** Hooks before and after routing cannot reject. */
  readonly canReject: boolean;
  /** `undefined` = the stage is not for this endpoint, and its packets go on. */
  programOf(host: ResolvedHostEndpoint): HostProgram | undefined;
}

function undecided(tiers: readonly ResolvedTier[]): HostProgram {
  return { tiers, profiles: undefined };
}

function unlessEmpty(tiers: readonly ResolvedTier[]): HostProgram | undefined {
  return tiers.length === 0 ? undefined : undecided(tiers);
}

export const HOST_STAGES: Readonly<Record<HostStage, StageSpec>> = {
  'untracked-ingress': {
    direction: 'ingress',
    isTracked: false,
    failsafe: 'failsafe-in-raw',
    canReject: false,
    programOf: ({ untracked }) => unlessEmpty(untracked.ingress),
  },
  'untracked-egress': {
    direction: 'egress',
    isTracked: false,
    failsafe: 'failsafe-out-raw',
    canReject: false,
    programOf: ({ untracked }) => unlessEmpty(untracked.egress),
  },
  'pre-dnat': {
    direction: 'ingress',
    isTracked: true,
    failsafe: 'failsafe-in',
    canReject: false,
    programOf: ({ preDnat }) => unlessEmpty(preDnat),
  },
  ingress: {
    direction: 'ingress',
    isTracked: true,
    failsafe: 'failsafe-in',
    canReject: true,
    programOf: ({ normal }) => normal.ingress,
  },
  egress: {
    direction: 'egress',
    isTracked: true,
    failsafe: 'failsafe-out',
    canReject: true,
    programOf: ({ normal }) => normal.egress,
  },
  // Egress once more, for what the host sends to a translated address: only now is the interface known that it leaves by.
  dnat: {
    direction: 'egress',
    isTracked: true,
    failsafe: 'failsafe-out',
    canReject: false,
    programOf: ({ normal }) => normal.egress,
  },
  'forward-ingress': {
    direction: 'ingress',
    isTracked: true,
    failsafe: undefined,
    canReject: true,
    programOf: ({ forward }) => forward && undecided(forward.ingress),
  },
  'forward-egress': {
    direction: 'egress',
    isTracked: true,
    failsafe: undefined,
    canReject: true,
    programOf: ({ forward }) => forward && undecided(forward.egress),
  },
};

export const HOST_STAGE_NAMES = Object.keys(HOST_STAGES) as readonly HostStage[];

/** `host-ingress`: the stage's preamble, and what its sections and counters begin with. */
export function stageName(stage: HostStage): string {
  return `host-${stage}`;
}

/** `host-ingress/<name>`: an endpoint's chain in a stage. */
export function hostChain(stage: HostStage, endpoint: string): string {
  return objectName(stageName(stage), endpoint);
}

/** Interface name to the chain of the host endpoint that it belongs to. */
export const HOST_DISPATCH: Readonly<Record<HostStage, NftSet>> = Object.fromEntries(
  HOST_STAGE_NAMES.map((stage) => [stage, fixedSet(stageName(stage), ['ifname'], true)]),
) as Record<HostStage, NftSet>;

export function hostLayer(stage: HostStage, family: Family, config: BaseConfig): Layer {
  const { direction } = HOST_STAGES[stage];
  const denyAction = denyActionOf(stage, config);
  return { name: stageName(stage), direction, family, denyAction, logAllowed: false };
}

export function denyActionOf(stage: HostStage, { denyAction }: BaseConfig): DenyAction {
  return HOST_STAGES[stage].canReject ? denyAction : 'drop';
}

/** What every endpoint's chain of the stage begins with. Specification sections 6.1 and 6.2.1. */
export function hostPreamble(stage: HostStage, config: BaseConfig): LoweredChain {
  const name = stageName(stage);
  const { isTracked, failsafe } = HOST_STAGES[stage];
  const rules: NftRule[] = [];
  const counters: NftCounter[] = [];
  if (isTracked) rules.push(acceptEstablished(name));
  if (isTracked && config.dropInvalid) {
    const counter = builtInCounter(name, 'invalid-state');
    counters.push(counter);
    rules.push(denied(ctStateAny(CT_STATE.invalid), counter, denyActionOf(stage, config)));
  }
  if (failsafe !== undefined) rules.push(rule([jump(failsafe)], `${name} failsafe`));
  return chain(name, rules, counters);
}
