/**
 * Which ends reach each other otherwise in another world. Comes in: two worlds, compiled, and a judge. Goes out: pairs of classes with the
 * packets whose verdict changes, each confirmed by the judge; the compiled programs only find them quickly.
 */
import { printAddress } from '../../compiler/model/ip.ts';
import type { Address, Family } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import type { HostAddress } from '../explain/interfaces.ts';
import { classesOf } from './classes.ts';
import type { Classes, EndClass, Workload } from './classes.ts';
import type { CompiledWorld } from './compiled-world.ts';
import type { Program } from './program.ts';
import { headersFor } from './probes.ts';
import type { PortsOfEnds } from './probes.ts';

/** `undefined` = the judge sees no change in this packet. */
export type Judge = (packet: Packet, nodes: readonly string[]) => Confirmed | undefined;

export interface Confirmed {
  readonly before: 'allow' | 'deny';
  readonly after: 'allow' | 'deny';
  /** What decided, for people. */
  readonly byBefore: string;
  readonly byAfter: string;
}

/** Where host policy sees a packet. */
export interface ChangeWay {
  readonly node: string;
  /** No other node has to be told from it. */
  readonly isOnly: boolean;
  /** `in by eth0`. */
  readonly text: string;
  /** The first interface of each side, where it has a name. */
  readonly inBy?: string;
  readonly outBy?: string;
}

export interface Change extends Confirmed {
  readonly from: EndClass;
  readonly to: EndClass;
  /** The packet that was confirmed. */
  readonly example: Packet;
  /** All packets that change alike, as far as the compiled programs say, the example among them. */
  readonly packets: readonly Packet[];
  /** Of changes at host endpoints. */
  readonly way?: ChangeWay;
}

export interface Comparison extends Classes {
  readonly changes: readonly Change[];
  /** Pairs of classes, and how many of them had to be looked at. */
  readonly pairs: number;
  readonly compared: number;
  /** False: so much changes that not everything was looked at. */
  readonly isComplete: boolean;
}

/** Pairs that are looked at, and changes that are confirmed: both cost time. */
const MAX_COMPARED = 200_000;
const MAX_CHANGES = 2_000;
/** Packets that the judge is asked about until it confirms one. */
const MAX_ASKED = 20;

/** `hosts`: addresses that nodes have in either world. */
export function compareWorlds(
  before: CompiledWorld,
  after: CompiledWorld,
  judge: Judge,
  hosts: readonly HostAddress[],
): Comparison {
  const found = classesOf(before, after, hosts);
  const comparing = new Comparing(before, after, judge, hosts);
  const classes = found.all.map((end) => ({ end, views: comparing.viewsOf(end) }));
  for (const from of classes) for (const to of classes) comparing.look(from, to);
  const { changes, compared, isComplete } = comparing;
  return { ...found, changes, pairs: classes.length ** 2, compared, isComplete };
}

/** A direction of a workload in one family, in both worlds. */
interface View {
  readonly before: Program;
  readonly after: Program;
  /** The same packets are allowed in both, whoever is at the other end. */
  readonly isSame: boolean;
}

type Views = Readonly<Record<'ingress' | 'egress', Readonly<Record<Family, View>>>>;

interface SeenEnd {
  readonly end: EndClass;
  /** `undefined` for addresses outside, which judge nothing. */
  readonly views: Views | undefined;
}

class Comparing {
  readonly changes: Change[] = [];
  compared = 0;
  isComplete = true;
  readonly #before: CompiledWorld;
  readonly #after: CompiledWorld;
  readonly #judge: Judge;
  /** `node address`. */
  readonly #hosts: ReadonlySet<string>;

  constructor(
    before: CompiledWorld,
    after: CompiledWorld,
    judge: Judge,
    hosts: readonly HostAddress[],
  ) {
    this.#before = before;
    this.#after = after;
    this.#judge = judge;
    this.#hosts = new Set(hosts.map(({ node, address }) => `${node} ${printAddress(address)}`));
  }

  viewsOf({ members: [first] }: EndClass): Views | undefined {
    if (first === undefined) return undefined;
    const view = (direction: 'ingress' | 'egress', family: Family): View => {
      const before = this.#before.programOf(first.before, direction, family);
      const after = this.#after.programOf(first.after, direction, family);
      const isSame =
        before.text === after.text &&
        [...before.sets].every((id) => this.#before.hasSameSet(this.#after, id));
      return { before, after, isSame };
    };
    const both = (direction: 'ingress' | 'egress'): Views['ingress'] => ({
      4: view(direction, 4),
      6: view(direction, 6),
    });
    return { ingress: both('ingress'), egress: both('egress') };
  }

  look(from: SeenEnd, to: SeenEnd): void {
    if (from.views === undefined && to.views === undefined) return;
    // A class of one has no second member to talk to.
    const isSelf = from === to;
    const source = this.#addressesOf(from.end, to.end);
    const destination = isSelf ? to.end.addresses[1] : this.#addressesOf(to.end, from.end);
    if (source === undefined || destination === undefined) return;
    for (const family of [4, 6] as const) {
      const [saddr, daddr] = [source[family], destination[family]];
      if (saddr === undefined || daddr === undefined) continue;
      const egress = from.views?.egress[family];
      const ingress = to.views?.ingress[family];
      if ((egress?.isSame ?? true) && (ingress?.isSame ?? true)) continue;
      if (this.compared >= MAX_COMPARED || this.changes.length >= MAX_CHANGES) {
        this.isComplete = false;
        return;
      }
      this.compared++;
      const views = [egress, ingress].filter((each) => each !== undefined);
      this.#compare({ from: from.end, to: to.end }, views, { family, saddr, daddr });
    }
  }

  /** Of an end outside one that the nodes of the other do not have themselves. */
  #addressesOf(end: EndClass, other: EndClass): EndClass['addresses'][number] | undefined {
    const nodes = this.#nodesOf([other.members[0]]);
    const isOutside = (each: EndClass['addresses'][number]): boolean =>
      Object.values(each).every((address) =>
        nodes.every((node) => !this.#hosts.has(`${node} ${printAddress(address)}`)),
      );
    if (end.kind === 'workload') return end.addresses[0];
    return end.addresses.find(isOutside) ?? end.addresses[0];
  }

  /** In either world. */
  #nodesOf(members: readonly (Workload | undefined)[]): readonly string[] {
    const nodes = members.flatMap((member) =>
      [this.#before, this.#after].flatMap(({ workloads }) => {
        const node = member && workloads.get(member.id)?.node;
        return node === undefined || node === '' ? [] : [node];
      }),
    );
    return [...new Set(nodes)];
  }

  #compare(
    ends: Pick<Change, 'from' | 'to'>,
    views: readonly View[],
    addresses: Pick<Packet, 'family' | 'saddr' | 'daddr'>,
  ): void {
    const programs = views.flatMap(({ before, after }) => [before, after]);
    const { saddr, daddr, family } = addresses;
    const portsOf = (end: Address): PortsOfEnds['source'] => [
      ...this.#before.portsOf(end),
      ...this.#after.portsOf(end),
    ];
    const ports = { source: portsOf(saddr), destination: portsOf(daddr) };
    const { headers, isComplete } = headersFor(programs, family, ports);
    this.isComplete &&= isComplete;
    const found = { opened: [] as Packet[], closed: [] as Packet[] };
    for (const header of headers) {
      const packet: Packet = { ...addresses, ...header };
      const was = views.every(({ before }) => this.#before.allows(before, packet));
      const is = views.every(({ after }) => this.#after.allows(after, packet));
      if (was !== is) found[is ? 'opened' : 'closed'].push(packet);
    }
    for (const packets of [found.opened, found.closed]) this.#confirm(ends, packets);
  }

  #confirm(ends: Pick<Change, 'from' | 'to'>, packets: readonly Packet[]): void {
    const { from, to } = ends;
    const nodes = this.#nodesOf([from.members[0], to.members[from === to ? 1 : 0]]);
    for (const example of packets.slice(0, MAX_ASKED)) {
      const confirmed = this.#judge(example, nodes);
      if (confirmed === undefined) continue;
      this.changes.push({ ...ends, ...confirmed, example, packets });
      return;
    }
  }
}
