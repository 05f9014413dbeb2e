/**
 * Members of the sets in use, counted by how many items contribute them, and the deltas since the last flush. Comes in: items with
 * what they contribute, and which selectors match them. Goes out: per set, members that appeared and went. Does not decide what matches.
 */
import { hostCidr, printAddress, printCidr } from '../model/ip.ts';
import type { NamedPort } from '../model/cluster.ts';
import type { Address, Cidr } from '../model/ip.ts';
import type { Member, SetDelta, SetSpec } from './resolved.ts';

/** What one endpoint or network set has to give. */
export interface Contribution {
  /** Besides its own addresses. */
  readonly nets: readonly Cidr[];
  readonly addresses: readonly Address[];
  readonly ports: readonly NamedPort[];
}

/** What one EndpointSlice gives. */
export interface ServiceContribution {
  readonly addresses: readonly Address[];
  readonly ports: readonly { readonly protocol: number; readonly port: number }[];
}

interface Counted {
  readonly member: Member;
  count: number;
}

interface SetState {
  readonly spec: SetSpec;
  readonly counted: Map<string, Counted>;
  /** Member key to whether it was a member at the last flush; only for members touched since. */
  readonly touched: Map<string, { readonly member: Member; readonly before: boolean }>;
  isNew: boolean;
}

export class MemberSets {
  readonly #sets = new Map<string, SetState>();
  readonly #dirty = new Set<string>();
  /** Sets known to readers, as they were when dropped. */
  readonly #dropped = new Map<string, SetState>();

  has(id: string): boolean {
    return this.#sets.has(id);
  }

  /** A set that was dropped since the last flush goes on where readers left it. */
  create(spec: SetSpec): void {
    const dropped = this.#dropped.get(spec.id);
    this.#dropped.delete(spec.id);
    const touched: SetState['touched'] = new Map(dropped && publishedMembers(dropped));
    this.#sets.set(spec.id, { spec, counted: new Map(), touched, isNew: dropped === undefined });
    this.#dirty.add(spec.id);
  }

  drop(id: string): void {
    const state = this.#sets.get(id);
    if (state === undefined) return;
    this.#sets.delete(id);
    this.#dirty.delete(id);
    if (!state.isNew) this.#dropped.set(id, state);
  }

  /** Adds (`by` = 1) or takes back (`by` = -1) what one item contributes to one set. */
  contribute(setId: string, contribution: Contribution, by: 1 | -1): void {
    const state = this.#sets.get(setId);
    if (state === undefined) return;
    for (const member of membersOf(state.spec, contribution)) this.#count(state, member, by);
  }

  contributeService(setId: string, contribution: ServiceContribution, by: 1 | -1): void {
    const state = this.#sets.get(setId);
    if (state === undefined || state.spec.kind !== 'service') return;
    for (const address of contribution.addresses) {
      if (!state.spec.withPorts) {
        this.#count(state, { kind: 'net', cidr: hostCidr(address) }, by);
        continue;
      }
      for (const { protocol, port } of contribution.ports) {
        this.#count(state, { kind: 'port', address, protocol, port }, by);
      }
    }
  }

  /** Drains the deltas. `undefined` = the set is gone. A new set appears even without members. */
  takeDeltas(): Map<string, SetDelta | undefined> {
    const deltas = new Map<string, SetDelta | undefined>();
    for (const id of this.#dropped.keys()) deltas.set(id, undefined);
    this.#dropped.clear();
    for (const id of this.#dirty) {
      const state = this.#sets.get(id);
      if (state === undefined) continue;
      const delta = takeDelta(state);
      if (state.isNew || delta.added.length > 0 || delta.removed.length > 0) deltas.set(id, delta);
      state.isNew = false;
    }
    this.#dirty.clear();
    return deltas;
  }

  #count(state: SetState, member: Member, by: 1 | -1): void {
    const key = memberKey(member);
    const counted = state.counted.get(key);
    if (!state.touched.has(key)) {
      state.touched.set(key, { member, before: counted !== undefined });
    }
    if (counted === undefined) state.counted.set(key, { member, count: by });
    else if (counted.count + by === 0) state.counted.delete(key);
    else counted.count += by;
    this.#dirty.add(state.spec.id);
  }
}

/** Members as of the last flush, in the form of `touched`. */
function publishedMembers(state: SetState): [string, { member: Member; before: boolean }][] {
  const untouched = [...state.counted].filter(([key]) => !state.touched.has(key));
  const touched = [...state.touched].filter(([, { before }]) => before);
  return [...untouched, ...touched].map(([key, { member }]) => [key, { member, before: true }]);
}

function takeDelta(state: SetState): SetDelta {
  const added: Member[] = [];
  const removed: Member[] = [];
  for (const [key, { member, before }] of state.touched) {
    const after = state.counted.has(key);
    if (after && !before) added.push(member);
    if (before && !after) removed.push(member);
  }
  state.touched.clear();
  return { spec: state.spec, added, removed };
}

function membersOf(spec: SetSpec, contribution: Contribution): Member[] {
  switch (spec.kind) {
    case 'addresses':
      return [...contribution.addresses.map(hostCidr), ...contribution.nets].map((cidr) => ({
        kind: 'net',
        cidr,
      }));
    case 'named-port':
      return contribution.ports
        .filter(({ name, protocol }) => {
          return spec.ports.includes(name) && (spec.protocol ?? protocol) === protocol;
        })
        .flatMap(({ protocol, port }) =>
          contribution.addresses.map((address): Member => ({
            kind: 'port',
            address,
            protocol,
            port,
          })),
        );
    case 'service':
      return [];
  }
}

/** Canonical text of a member; equal members have equal keys. Joined, not a template, of which V8 would keep every part. */
export function memberKey(member: Member): string {
  return member.kind === 'net'
    ? printCidr(member.cidr)
    : [printAddress(member.address), member.protocol, member.port].join();
}
