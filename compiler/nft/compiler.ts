/**
 * The table as a function of the calculation: takes its changes and where endpoints are, keeps the desired table up to date. Work is
 * proportional to the change: a new member is one element, an edited policy is its own chains, a new endpoint is its entry and elements.
 *
 *   vmap from-interface --> from-<endpoint> --> egress4/program/... --> jump egress4/tier/...  --> jump egress4/<policy> ...
 *                                                                   --> goto egress4/profiles/... --> jump egress4/pro/... ...
 */
import type { CalcChanges, ResolvedEndpoint, ResolvedHostEndpoint } from '../calc/resolved.ts';
import type { Family } from '../model/ip.ts';
import type { Direction } from '../model/policy.ts';
import { DISPATCH, lowerBase, preambleChain } from './base.ts';
import type { BaseConfig } from './base.ts';
import { ChainStore } from './chain-store.ts';
import { elementName, elementsOf } from './dispatch.ts';
import type { DispatchElement, Placement } from './dispatch.ts';
import { goTo, jump, metaNfproto } from './exprs.ts';
import { HostEndpoints, NOWHERE, hostOrigin } from './host-endpoints.ts';
import type { HostPlacement } from './host-endpoints.ts';
import { dropRuleOrigins } from './lower-chain.ts';
import { endpointChain } from './names.ts';
import { NodeAddresses } from './node-addresses.ts';
import { PeerTables, setOrigin } from './peer-tables.ts';
import type { NftRule } from './program.ts';
import { Programs } from './programs.ts';
import { Refs } from './refs.ts';
import type { RuleMeaning } from './rule-id.ts';
import { builtInCounter, chain, denied } from './rules.ts';
import type { Table } from './table.ts';

const DIRECTIONS: readonly Direction[] = ['ingress', 'egress'];
const FAMILIES: readonly Family[] = [4, 6];

interface EndpointEntry {
  readonly resolved: ResolvedEndpoint;
  readonly placement: Placement;
  readonly chains: readonly string[];
  /** Entry sections, four of them. */
  readonly sections: readonly string[];
  readonly elements: readonly DispatchElement[];
}

export class TableCompiler {
  readonly #table: Table;
  readonly #config: BaseConfig;
  readonly #chains: ChainStore;
  readonly #peers: PeerTables;
  readonly #programs: Programs;
  readonly #endpoints = new Map<string, EndpointEntry>();
  /** Dispatch elements; while an interface changes hands, two endpoints refer to the same one. */
  readonly #elements: Refs<DispatchElement>;
  readonly #hosts: HostEndpoints;
  readonly #nodes: NodeAddresses;
  readonly #refused = new Set<string>();

  constructor(table: Table, config: BaseConfig) {
    this.#table = table;
    this.#config = config;
    this.#chains = new ChainStore(table, config.logging);
    this.#peers = new PeerTables(table);
    this.#elements = new Refs(
      ([set, element]) => {
        table.putElement(set, element);
      },
      ([set, element]) => {
        table.deleteElement(set, element);
      },
    );
    this.#programs = new Programs(this.#chains, {
      denyAction: config.denyAction,
      acceptMark: config.host.acceptMark,
      partsOf: (set, family) => this.#peers.partsOf(set, family),
      isRefused: (origin) => this.#refused.has(origin),
      isSetRefused: (set) => this.#refused.has(setOrigin(set)),
    });
    for (const set of Object.values(DISPATCH)) table.putSet(set);
    for (const chain of lowerBase(config)) this.#chains.put(chain);
    this.#nodes = new NodeAddresses(table, config.host.encapsulation);
    this.#hosts = new HostEndpoints({
      table,
      config,
      chains: this.#chains,
      programs: this.#programs,
      isRefused: (origin) => this.#refused.has(origin),
    });
  }

  /** Ids of rules whose packets may be logged from now on, and of those that are gone, since the last call. */
  takeRuleChanges(): ReadonlyMap<string, RuleMeaning | undefined> {
    return this.#chains.takeRuleChanges();
  }

  /** Policy chains lowered so far; for tests that count work. */
  get lowered(): number {
    return this.#programs.lowered;
  }

  /** `placementOf` says where a workload is now, `hostPlacementOf` which interfaces a host endpoint has. */
  apply(
    changes: CalcChanges,
    placementOf: (endpoint: ResolvedEndpoint) => Placement,
    hostPlacementOf: (host: ResolvedHostEndpoint) => HostPlacement = () => NOWHERE,
  ): void {
    const stale = new Set<string>();
    for (const [id, delta] of changes.sets) {
      if (delta === undefined || !this.#peers.apply(delta)) continue;
      for (const policy of this.#programs.usersOf(id)) stale.add(policy);
    }
    for (const [id, policy] of changes.policies) {
      if (policy === undefined) continue;
      dropRuleOrigins(this.#refused, id);
      this.#programs.setPolicy(id, policy);
      stale.add(id);
    }
    for (const id of stale) this.#programs.relower(id);
    for (const [id, resolved] of changes.endpoints) {
      for (const direction of DIRECTIONS) this.#refused.delete(endpointOrigin(id, direction));
      this.#setEndpoint(id, resolved, resolved && placementOf(resolved));
    }
    for (const name of changes.hostEndpoints.keys())
      dropRuleOrigins(this.#refused, hostOrigin(name));
    this.#hosts.set(changes.hostEndpoints, hostPlacementOf);
    for (const [name, addresses] of changes.nodes) this.#nodes.set(name, addresses);
    for (const [id, policy] of changes.policies) {
      if (policy === undefined) this.#programs.setPolicy(id, undefined);
    }
    for (const [id, delta] of changes.sets) if (delta === undefined) this.#peers.drop(id);
  }

  /** An endpoint is found somewhere else. */
  place(id: string, placement: Placement): void {
    const entry = this.#endpoints.get(id);
    if (entry !== undefined) this.#setEndpoint(id, entry.resolved, placement);
  }

  /** A host endpoint has other interfaces. */
  placeHost(name: string, placement: HostPlacement): void {
    this.#hosts.place(name, placement);
  }

  hostPlacementOf(name: string): HostPlacement | undefined {
    return this.#hosts.placementOf(name);
  }

  /**
   * The kernel refused an object of this origin: the rule, or every rule that refers to the set, from now on matches nothing
   * (allow, pass, log) or everything (deny); an endpoint's direction is closed. False when the origin is none of these, or was refused
   * before.
   */
  refuse(origin: string): boolean {
    const isKnown =
      this.#policiesOf(origin).length > 0 ||
      this.#endpointOf(origin) !== undefined ||
      this.#hosts.ofOrigin(origin) !== undefined;
    if (!isKnown || this.#refused.has(origin)) return false;
    this.#refused.add(origin);
    this.#table.withhold(origin);
    this.#relowerOrigin(origin);
    return true;
  }

  /** Gives everything refused another try; true when there was something. */
  forgive(): boolean {
    const origins = [...this.#refused];
    this.#refused.clear();
    this.#table.release();
    for (const origin of origins) this.#relowerOrigin(origin);
    return origins.length > 0;
  }

  get refused(): ReadonlySet<string> {
    return this.#refused;
  }

  #relowerOrigin(origin: string): void {
    for (const policy of this.#policiesOf(origin)) this.#programs.relower(policy);
    const host = this.#hosts.ofOrigin(origin);
    if (host !== undefined) this.#hosts.rebuild(host);
    const endpoint = this.#endpointOf(origin);
    if (endpoint === undefined) return;
    this.#setEndpoint(endpoint.resolved.endpoint.id, endpoint.resolved, endpoint.placement);
  }

  #endpointOf(origin: string): EndpointEntry | undefined {
    const [kind, id = ''] = origin.split(' ');
    return kind === 'endpoint' ? this.#endpoints.get(id) : undefined;
  }

  /** Policies whose rules an origin concerns. */
  #policiesOf(origin: string): string[] {
    const set = this.#peers.setOfOrigin(origin);
    if (set !== undefined) return this.#programs.usersOf(set);
    const policy = origin.slice(0, origin.lastIndexOf(' '));
    return this.#programs.isUsed(policy) ? [policy] : [];
  }

  endpoint(id: string): { readonly placement: Placement } | undefined {
    return this.#endpoints.get(id);
  }

  #setEndpoint(
    id: string,
    resolved: ResolvedEndpoint | undefined,
    placement: Placement | undefined,
  ): void {
    const before = this.#endpoints.get(id);
    const after =
      resolved === undefined || placement === undefined
        ? undefined
        : this.#makeEndpoint(resolved, placement);
    for (const element of after?.elements ?? [])
      this.#elements.acquire(elementName(element), element);
    for (const element of before?.elements ?? [])
      this.#elements.release(elementName(element), element);
    for (const section of before?.sections ?? []) this.#programs.release(section);
    const kept = new Set(after?.chains);
    for (const chain of before?.chains ?? []) if (!kept.has(chain)) this.#chains.delete(chain);
    if (after === undefined) this.#endpoints.delete(id);
    else this.#endpoints.set(id, after);
  }

  #makeEndpoint(resolved: ResolvedEndpoint, placement: Placement): EndpointEntry {
    const sections: string[] = [];
    const { denyAction, logging } = this.#config;
    // Where all that is allowed is logged anyway, chains of its own would say the same.
    const logAllowed = resolved.logAllowed && !logging.verdicts.includes('allow');
    const chains = DIRECTIONS.map((direction) => {
      const name = endpointChain(direction, resolved.endpoint.id);
      const origin = endpointOrigin(resolved.endpoint.id, direction);
      if (this.#refused.has(origin)) {
        const counter = builtInCounter(direction, 'refused');
        const closed = denied([], counter, denyAction);
        const comment = 'refused by the kernel';
        this.#chains.put(
          chain(name, [{ ...closed, comment, origin: `${origin} closed` }], [counter]),
        );
        return name;
      }
      const begin: NftRule = {
        exprs: [jump(preambleChain(direction))],
        comment: undefined,
        origin,
      };
      const entries = FAMILIES.map((family): NftRule => {
        const { tiers, profiles } = resolved[direction];
        const layer = { name: direction, direction, family, denyAction, logAllowed };
        const entry = this.#programs.acquire(layer, tiers, profiles);
        sections.push(entry);
        return { exprs: [...metaNfproto(family), goTo(entry)], comment: undefined, origin };
      });
      this.#chains.put(chain(name, [begin, ...entries], []));
      return name;
    });
    return { resolved, placement, chains, sections, elements: elementsOf(resolved, placement) };
  }
}

/** `endpoint shop/web ingress`: names an endpoint's chain in messages. */
function endpointOrigin(id: string, direction: Direction): string {
  return `endpoint ${id} ${direction}`;
}
