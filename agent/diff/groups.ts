/**
 * Changes as a person reads them: what changes alike at one end is told once, with everybody at the other. Comes in: changes of pairs of classes.
 * Goes out: groups, the largest first, as plain data.
 */
import { printAddress } from '../../compiler/model/ip.ts';
import type { Address } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { compareUtf8 } from '../../compiler/model/text-order.ts';
import { protocolName } from '../flowlog/record.ts';
import type { EndClass } from './classes.ts';
import type { Change } from './compare.ts';

export interface EndGroup {
  /** Workloads, in the order of their names, the first of them. */
  readonly names: readonly string[];
  readonly workloads: number;
  /** Addresses that are no workload's, one for each way in which rules see them. */
  readonly outside: readonly string[];
  /** Nodes, with one address for each way in which rules see them. */
  readonly hosts: readonly string[];
}

export interface ChangeGroup {
  readonly before: 'allow' | 'deny';
  readonly after: 'allow' | 'deny';
  readonly from: EndGroup;
  readonly to: EndGroup;
  /** Host endpoints: `node a, in by eth0`. */
  readonly way?: string;
  /** `tcp/80`; the first of them, `total` says how many were found. */
  readonly packets: { readonly total: number; readonly first: readonly string[] };
  /** The arguments of picket explain for one packet that the oracle has confirmed. */
  readonly example: string;
  readonly byBefore: string;
  readonly byAfter: string;
}

const MAX_NAMES = 10;
const MAX_PACKETS = 8;

interface Gathered {
  readonly change: Change;
  readonly froms: Set<EndClass>;
  readonly tos: Set<EndClass>;
  /** Where host policy judges. */
  readonly nodes: Set<string>;
}

export function groupChanges(changes: readonly Change[]): readonly ChangeGroup[] {
  const ids = new Map<string, number>();
  const idOf = (end: EndClass): number => {
    const key = contentOf(end);
    const id = ids.get(key) ?? ids.size;
    ids.set(key, id);
    return id;
  };
  const idsOf = (ends: ReadonlySet<EndClass>): string =>
    [...new Set([...ends].map(idOf))].sort((a, b) => a - b).join();
  const all = changes.map((change): Gathered => ({
    change,
    froms: new Set([change.from]),
    tos: new Set([change.to]),
    nodes: new Set(change.way === undefined ? [] : [change.way.node]),
  }));
  // First everybody who reaches one end alike, then all ends that the same ones reach alike.
  const byTo = merge(all, ({ change, tos }) => `${alike(change)} ${idsOf(tos)}`);
  const merged = merge(byTo, ({ change, froms }) => `${alike(change)} ${idsOf(froms)}`);
  return merged
    .map(toGroup)
    .sort((a, b) => sizeOf(b) - sizeOf(a) || compareUtf8(a.example, b.example));
}

function merge(all: readonly Gathered[], keyOf: (one: Gathered) => string): readonly Gathered[] {
  const merged = new Map<string, Gathered>();
  for (const one of all) {
    const key = keyOf(one);
    const known = merged.get(key);
    if (known === undefined) merged.set(key, one);
    else {
      for (const from of one.froms) known.froms.add(from);
      for (const to of one.tos) known.tos.add(to);
      for (const node of one.nodes) known.nodes.add(node);
    }
  }
  return [...merged.values()];
}

/** Equal for changes of the same packets in the same direction, for the same reasons. */
function alike({ before, byBefore, byAfter, packets, way }: Change): string {
  return JSON.stringify([before, byBefore, byAfter, packetsOf(packets), way?.text]);
}

function toGroup({ change, froms, tos, nodes }: Gathered): ChangeGroup {
  const { before, after, example, byBefore, byAfter, way } = change;
  const texts = packetsOf(change.packets);
  return {
    before,
    after,
    from: endGroup(froms),
    to: endGroup(tos),
    ...(way === undefined ? {} : { way: `${printNodes([...nodes])}, ${way.text}` }),
    packets: { total: texts.length, first: texts.slice(0, MAX_PACKETS) },
    example: exampleOf(change, example),
    byBefore,
    byAfter,
  };
}

function printNodes(nodes: readonly string[]): string {
  const more = nodes.length > MAX_NAMES ? `, … (${nodes.length} nodes)` : '';
  return `node ${nodes.slice(0, MAX_NAMES).join(', ')}${more}`;
}

/** Equal for ends that are told as one: every host, and the same workloads or addresses on the way over other nodes. */
function contentOf({ kind, members, addresses }: EndClass): string {
  if (kind === 'host') return kind;
  const own = addresses.flatMap((each) => Object.values(each).map(printAddress));
  return [kind, members.length, members[0]?.id, ...own].join(' ');
}

function endGroup(ends: ReadonlySet<EndClass>): EndGroup {
  const ids = [...ends].flatMap(({ members }) => members.map(({ id }) => id));
  const names = [...new Set(ids)].sort(compareUtf8);
  const addressesOf = (kind: EndClass['kind']): readonly string[] => [
    ...new Set(
      [...ends]
        .filter((end) => end.kind === kind)
        .flatMap(({ addresses: [first], host }) =>
          Object.values(first ?? {}).map(
            (each) => `${host === undefined ? '' : `${host} `}${printAddress(each)}`,
          ),
        ),
    ),
  ];
  return {
    names: names.slice(0, MAX_NAMES),
    workloads: names.length,
    outside: addressesOf('outside').slice(0, MAX_NAMES),
    hosts: addressesOf('host').slice(0, MAX_NAMES),
  };
}

function sizeOf({ from, to }: ChangeGroup): number {
  return countEnds(from) * countEnds(to);
}

function countEnds({ workloads, outside, hosts }: EndGroup): number {
  return workloads + outside.length + hosts.length;
}

function packetsOf(packets: readonly Packet[]): readonly string[] {
  return [...new Set(packets.map(printService))];
}

/** `tcp/80`, `icmp/8/0`, `47`; with the source port where it is not the usual one. */
function printService({ protocol, dport, sport, icmpType, icmpCode }: Packet): string {
  const name = protocolName(protocol);
  if (dport !== undefined) {
    return `${name}/${dport}${sport === undefined || sport === USUAL_SPORT ? '' : ` from port ${sport}`}`;
  }
  return icmpType === undefined ? name : `${name}/${icmpType}/${icmpCode ?? 0}`;
}

const USUAL_SPORT = 40_000;

function exampleOf({ from, to, way }: Change, packet: Packet): string {
  const sender = from.members[0];
  const receiver = to.members[from === to ? 1 : 0];
  // An interface is said with the address that is beyond it, else with the host.
  const said = (end: EndClass, own: string | undefined, other: string | undefined): string => {
    const isBeyond = end.kind === 'outside';
    const isOtherBeyond = (end === from ? to : from).kind === 'outside';
    const name = isBeyond ? own : isOtherBeyond ? undefined : other;
    return name === undefined ? '' : `@${name}`;
  };
  const source = sender?.id ?? `${word(from, packet.saddr)}${said(from, way?.inBy, way?.outBy)}`;
  const destination = receiver?.id ?? `${word(to, packet.daddr)}${said(to, way?.outBy, way?.inBy)}`;
  const node = way === undefined || way.isOnly ? '' : ` --node ${way.node}`;
  return `${source} ${destination} ${printService(packet)}${node}`;
}

function word({ kind }: EndClass, address: Address): string {
  return kind === 'host' ? 'host' : printAddress(address);
}
