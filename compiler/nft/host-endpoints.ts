/**
 * Host endpoints as chains and dispatch elements. Comes in: what was resolved for each, and which interfaces are its own. Goes out: objects
 * of the table, in the stages that some endpoint takes part in. An interface that changes hands costs elements only; that the first or
 * the last endpoint comes to a stage rewrites base chains.
 */
import type { ResolvedHostEndpoint } from '../calc/resolved.ts';
import type { Family } from '../model/ip.ts';
import { elementName } from './dispatch.ts';
import type { DispatchElement } from './dispatch.ts';
import type { BaseConfig } from './base.ts';
import type { ChainStore } from './chain-store.ts';
import { goTo, jump, metaNfproto } from './exprs.ts';
import { failsafeChain } from './failsafe.ts';
import type { FailsafeChain } from './failsafe.ts';
import { hostBaseChains } from './host-base.ts';
import type { HostNeeds } from './host-base.ts';
import {
  HOST_DISPATCH,
  HOST_STAGES,
  HOST_STAGE_NAMES,
  denyActionOf,
  hostChain,
  hostLayer,
  hostPreamble,
  stageName,
} from './host-stages.ts';
import type { HostStage } from './host-stages.ts';
import { deny } from './lower-chain.ts';
import type { LoweredChain } from './lower-chain.ts';
import type { NftRule, Verdict } from './program.ts';
import type { Programs } from './programs.ts';
import { Refs } from './refs.ts';
import { builtInCounter, chain, count, rule } from './rules.ts';
import type { Table } from './table.ts';

/** Which packets are a host endpoint's. */
export interface HostPlacement {
  /** Its own interfaces, whether or not they exist now. */
  readonly interfaces: readonly string[];
  /** It has every interface that is nobody else's, but for `lo`. At most one endpoint does. */
  readonly isDefault: boolean;
}

export const NOWHERE: HostPlacement = { interfaces: [], isDefault: false };

/** What host endpoints share with the rest of the table. */
export interface HostParts {
  readonly table: Table;
  readonly config: BaseConfig;
  readonly chains: ChainStore;
  readonly programs: Programs;
  isRefused(origin: string): boolean;
}

interface Entry {
  readonly chains: readonly string[];
  /** Entry sections of its programs. */
  readonly sections: readonly string[];
  readonly elements: readonly DispatchElement[];
}

const EMPTY: Entry = { chains: [], sections: [], elements: [] };
const FAMILIES: readonly Family[] = [4, 6];
const ORIGIN = 'host-endpoint';

/** `host-endpoint <name>`: what the origins of its chains begin with. */
export function hostOrigin(name: string): string {
  return `${ORIGIN} ${name}`;
}

export class HostEndpoints {
  readonly #parts: HostParts;
  readonly #resolved = new Map<string, ResolvedHostEndpoint>();
  readonly #placements = new Map<string, HostPlacement>();
  readonly #entries = new Map<string, Entry>();
  readonly #elements: Refs<DispatchElement>;
  #stages: ReadonlySet<HostStage> = new Set();
  /** Chains that exist for the stages in use, by name. */
  #built: readonly string[] = [];
  /** What the base chains were made for. */
  #needs = '';

  constructor(parts: HostParts) {
    this.#parts = parts;
    const { table } = parts;
    this.#elements = new Refs(
      ([set, element]) => table.putElement(set, element),
      ([set, element]) => table.deleteElement(set, element),
    );
    this.#buildStages();
  }

  /** `undefined` = gone. */
  set(
    changes: ReadonlyMap<string, ResolvedHostEndpoint | undefined>,
    placementOf: (host: ResolvedHostEndpoint) => HostPlacement,
  ): void {
    if (changes.size === 0) return;
    for (const [name, resolved] of changes) {
      if (resolved === undefined) {
        this.#resolved.delete(name);
        this.#placements.delete(name);
      } else {
        this.#resolved.set(name, resolved);
        this.#placements.set(name, placementOf(resolved));
      }
    }
    this.#update(changes.keys());
  }

  /** An endpoint has other interfaces than before. */
  place(name: string, placement: HostPlacement): void {
    if (!this.#resolved.has(name)) return;
    this.#placements.set(name, placement);
    this.#update([name]);
  }

  placementOf(name: string): HostPlacement | undefined {
    return this.#placements.get(name);
  }

  /** The endpoint that an origin names. */
  ofOrigin(origin: string): string | undefined {
    const [kind, name = ''] = origin.split(' ');
    return kind === ORIGIN && this.#resolved.has(name) ? name : undefined;
  }

  /** Makes an endpoint's chains again, after the kernel refused one of them or was forgiven. */
  rebuild(name: string): void {
    this.#update([name]);
  }

  #update(names: Iterable<string>): void {
    const stages = this.#stagesInUse();
    const isSame = stages.size === this.#stages.size && stages.isSubsetOf(this.#stages);
    const left = this.#stages.difference(stages);
    for (const stage of stages.difference(this.#stages)) {
      this.#parts.table.putSet(HOST_DISPATCH[stage]);
    }
    this.#stages = stages;
    for (const name of isSame ? names : new Set([...names, ...this.#resolved.keys()])) {
      this.#replace(name);
    }
    for (const stage of left) this.#parts.table.deleteSet(HOST_DISPATCH[stage].name);
    this.#buildStages();
  }

  #stagesInUse(): Set<HostStage> {
    const all = [...this.#resolved.values()];
    return new Set(
      HOST_STAGE_NAMES.filter((stage) =>
        all.some((host) => HOST_STAGES[stage].programOf(host) !== undefined),
      ),
    );
  }

  #replace(name: string): void {
    const before = this.#entries.get(name) ?? EMPTY;
    const resolved = this.#resolved.get(name);
    const after = resolved === undefined ? EMPTY : this.#make(resolved);
    for (const element of after.elements) this.#elements.acquire(elementName(element), element);
    for (const element of before.elements) this.#elements.release(elementName(element), element);
    for (const section of before.sections) this.#parts.programs.release(section);
    const kept = new Set(after.chains);
    for (const old of before.chains) if (!kept.has(old)) this.#parts.chains.delete(old);
    if (resolved === undefined) this.#entries.delete(name);
    else this.#entries.set(name, after);
  }

  #make(resolved: ResolvedHostEndpoint): Entry {
    const chains: string[] = [];
    const sections: string[] = [];
    const elements: DispatchElement[] = [];
    const { name } = resolved.endpoint;
    const { interfaces } = this.#placements.get(name) ?? NOWHERE;
    for (const stage of this.#stages) {
      const made = this.#makeChain(stage, resolved, sections);
      if (made !== undefined) {
        this.#parts.chains.put(made);
        chains.push(made.chain.name);
      }
      // An interface that has nothing to judge here is not the wildcard's either.
      const leads: Verdict =
        made === undefined ? { kind: 'accept' } : { kind: 'goto', chain: made.chain.name };
      for (const ifname of interfaces) {
        elements.push([HOST_DISPATCH[stage], { key: [ifname], keyEnd: undefined, verdict: leads }]);
      }
    }
    return { chains, sections, elements };
  }

  #makeChain(
    stage: HostStage,
    resolved: ResolvedHostEndpoint,
    sections: string[],
  ): LoweredChain | undefined {
    const program = HOST_STAGES[stage].programOf(resolved);
    if (program === undefined) return undefined;
    const { config, programs } = this.#parts;
    const endpoint = resolved.endpoint.name;
    const origin = `${hostOrigin(endpoint)} ${stage}`;
    const name = hostChain(stage, endpoint);
    if (this.#parts.isRefused(origin)) return this.#closed(stage, name, origin);
    const begin = rule([jump(stageName(stage))], origin);
    const entries = FAMILIES.flatMap((family): NftRule[] => {
      const layer = hostLayer(stage, family, config);
      const { tiers, profiles } = program;
      const entry =
        profiles === undefined
          ? programs.acquireTiers(layer, tiers)
          : programs.acquire(layer, tiers, profiles);
      if (entry === undefined) return [];
      sections.push(entry);
      return [rule([...metaNfproto(family), goTo(entry)], origin)];
    });
    return chain(name, [begin, ...entries], []);
  }

  /** Failsafes and established connections stay, nothing else. */
  #closed(stage: HostStage, name: string, origin: string): LoweredChain {
    const { config } = this.#parts;
    const counter = builtInCounter(stageName(stage), 'refused');
    const closed = {
      exprs: [...count(counter), ...deny(denyActionOf(stage, config))],
      comment: 'refused by the kernel',
      origin: `${origin} closed`,
    };
    const begin = rule([jump(stageName(stage))], `${origin} closed`);
    return chain(name, [begin, closed], [counter]);
  }

  /** Preambles, failsafes and base chains, as the stages in use and the wildcard want them. */
  #buildStages(): void {
    const needs = { stages: this.#stages, wildcard: this.#wildcard() };
    const key = needsKey(needs);
    if (key === this.#needs) return;
    this.#needs = key;
    const { chains, config } = this.#parts;
    const stages = [...this.#stages];
    const failsafes = new Set(
      stages.flatMap((stage): FailsafeChain[] => {
        const { failsafe } = HOST_STAGES[stage];
        return failsafe === undefined ? [] : [failsafe];
      }),
    );
    const built = [
      ...[...failsafes].map((name) => failsafeChain(name, config.host)),
      ...stages.map((stage) => hostPreamble(stage, config)),
      ...hostBaseChains(needs, config),
    ];
    for (const each of built) chains.put(each);
    const names = built.map((each) => each.chain.name);
    for (const name of this.#built) if (!names.includes(name)) chains.delete(name);
    this.#built = names;
  }

  #wildcard(): HostNeeds['wildcard'] {
    for (const [name, { isDefault }] of this.#placements) {
      const host = this.#resolved.get(name);
      if (!isDefault || host === undefined) continue;
      const stages = HOST_STAGE_NAMES.filter(
        (stage) => HOST_STAGES[stage].programOf(host) !== undefined,
      );
      return { name, stages: new Set(stages) };
    }
    return undefined;
  }
}

function needsKey({ stages, wildcard }: HostNeeds): string {
  return JSON.stringify([[...stages], wildcard && [wildcard.name, [...wildcard.stages]]]);
}
