/**
 * Which ends reach each other otherwise in another world. Comes in: two worlds, compiled, and a judge. Goes out: pairs of classes with the
 * packets whose verdict changes, each confirmed by the judge; the compiled programs only find them quickly.
 */
import type { Family } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { classesOf } from './classes.ts';
import type { Classes, EndClass } from './classes.ts';
import type { CompiledWorld } from './compiled-world.ts';
import type { Program } from './program.ts';
import { headersFor } from './probes.ts';

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

export function compareWorlds(
  before: CompiledWorld,
  after: CompiledWorld,
  judge: Judge,
): Comparison {
  const found = classesOf(before, after);
  const comparing = new Comparing(before, after, judge);
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

  constructor(before: CompiledWorld, after: CompiledWorld, judge: Judge) {
    this.#before = before;
    this.#after = after;
    this.#judge = judge;
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
    const [source] = from.end.addresses;
    const destination = to.end.addresses[isSelf ? 1 : 0];
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

  #compare(
    ends: Pick<Change, 'from' | 'to'>,
    views: readonly View[],
    addresses: Pick<Packet, 'family' | 'saddr' | 'daddr'>,
  ): void {
    const programs = views.flatMap(({ before, after }) => [before, after]);
    const { daddr, family } = addresses;
    const ports = [...this.#before.portsOf(daddr), ...this.#after.portsOf(daddr)];
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
    const members = [from.members[0], to.members[from === to ? 1 : 0]];
    const nodes = members.flatMap((member) =>
      [this.#before, this.#after].flatMap(({ workloads }) => {
        const node = member && workloads.get(member.id)?.node;
        return node === undefined || node === '' ? [] : [node];
      }),
    );
    for (const example of packets.slice(0, MAX_ASKED)) {
      const confirmed = this.#judge(example, [...new Set(nodes)]);
      if (confirmed === undefined) continue;
      this.changes.push({ ...ends, ...confirmed, example, packets });
      return;
    }
  }
}
