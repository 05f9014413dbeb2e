/**
 * Where packets cross a node: by interfaces that the same host endpoints govern in both worlds, at the host itself, or at its workloads. Comes
 * in: two scenes and the classes of ends; goes out: sides of each node, with the ends that can be there. Refuses to know verdicts.
 */
import { printAddress } from '../../compiler/model/ip.ts';
import type { Address } from '../../compiler/model/ip.ts';
import { compareUtf8 } from '../../compiler/model/text-order.ts';
import { anyHostEndpoint, namedHostEndpoint } from '../../compiler/oracle/host-endpoint.ts';
import { linkNamed } from '../../compiler/oracle/stage.ts';
import type { Link } from '../../compiler/oracle/stage.ts';
import type { HostInterface, World } from '../../compiler/oracle/world.ts';
import { onlyNode, worldOf } from '../explain/ends.ts';
import { hostAddresses, interfacesOf, possibleInterfaces } from '../explain/interfaces.ts';
import type { Scene } from '../explain/scene.ts';
import { Sight, byFamily } from './classes.ts';
import type { EndClass } from './classes.ts';
import type { CompiledWorld } from './compiled-world.ts';

/** Names of the host endpoints that judge at an interface. */
export interface Governing {
  /** One of its own, which judges untracked packets too. */
  readonly named: string | undefined;
  /** That, or the wildcard. */
  readonly any: string | undefined;
}

export interface Side {
  /** `nowhere`: an interface that nobody asks about. `inside`: interfaces of workloads. */
  readonly kind: 'host' | 'interfaces' | 'inside' | 'nowhere';
  readonly interfaces: readonly string[];
  readonly before: Governing;
  readonly after: Governing;
  readonly ends: readonly EndClass[];
}

export interface NodeSides {
  readonly node: string;
  /** The only one that has host endpoints or a Node. */
  readonly isOnly: boolean;
  /** With the interfaces that either world speaks of. */
  readonly before: World;
  readonly after: World;
  readonly sides: readonly Side[];
}

/** Of the documentation's networks: for hosts whose addresses nobody says. */
const STAND_IN: readonly Address[] = [
  { family: 4, value: 0xc000_0201n },
  { family: 6, value: 0x2001_0db8_ffffn << 80n },
];

const NOBODY: Governing = { named: undefined, any: undefined };

/** Nodes that have a host endpoint in a world. */
export function nodesWithHosts(before: Scene, after: Scene): readonly string[] {
  const nodes = [before, after].flatMap(({ resources }) =>
    resources.flatMap((each) => (each.kind === 'HostEndpoint' ? [each.node] : [])),
  );
  return [...new Set(nodes)].sort(compareUtf8);
}

export interface Worlds<T> {
  readonly before: T;
  readonly after: T;
}

export function sidesOf(
  node: string,
  scenes: Worlds<Scene>,
  compiled: Worlds<CompiledWorld>,
  classes: readonly EndClass[],
): NodeSides {
  const either = bothScenes(scenes);
  const interfaces = interfacesOf(either, node);
  const before = { ...worldOf(scenes.before, node), interfaces };
  const after = { ...worldOf(scenes.after, node), interfaces };
  const see = new Sight(compiled.before, compiled.after, 'hosts');
  const own = new Set(
    hostAddresses(either).flatMap((each) =>
      each.node === node ? [printAddress(each.address)] : [],
    ),
  );
  const isOwn = (end: EndClass['addresses'][number]): boolean =>
    Object.values(end).some((address) => own.has(printAddress(address)));
  const remote = merged(
    classes.flatMap((end) => livingAt(end, compiled, (at) => at !== node)),
    see,
    isOwn,
  );
  const local = classes
    .filter(({ kind }) => kind === 'workload')
    .flatMap((end) => livingAt(end, compiled, (at) => at === node));
  const governing = (link: Link): Worlds<Governing> => ({
    before: governingAt(before, link),
    after: governingAt(after, link),
  });
  const nobody = { interfaces: [], before: NOBODY, after: NOBODY };
  const gates = new Map<string, Side>();
  for (const name of possibleInterfaces(either, node).toSorted(byName)) {
    const link = linkNamed(before, name);
    if (name === undefined || link === undefined) continue;
    const both = governing(link);
    const key = JSON.stringify(both);
    const names = [...(gates.get(key)?.interfaces ?? []), name];
    gates.set(key, { kind: 'interfaces', interfaces: names, ...both, ends: remote });
  }
  return {
    node,
    isOnly: onlyNode(either) === node,
    before,
    after,
    sides: [
      { kind: 'host', ...nobody, ends: hostEnds(either, node, interfaces, see) },
      ...gates.values(),
      // The wildcard governs workloads' interfaces too where packets are forwarded, or not translated yet.
      { kind: 'inside', interfaces: [], ...insideOf(governing), ends: local },
      { kind: 'nowhere', ...nobody, ends: remote },
    ],
  };
}

/** Only to ask which interfaces there are. */
function bothScenes({ before, after }: Worlds<Scene>): Scene {
  return { ...before, resources: [...before.resources, ...after.resources] };
}

function governingAt(world: World, link: Link): Governing {
  return {
    named: namedHostEndpoint(world, link)?.name,
    any: anyHostEndpoint(world, link)?.name,
  };
}

function insideOf(governing: (link: Link) => Worlds<Governing>): Worlds<Governing> {
  return governing({ kind: 'workload' });
}

/** Members that are there in both worlds, as a class of their own; all of it for addresses outside. */
function livingAt(
  end: EndClass,
  { before, after }: Worlds<CompiledWorld>,
  isThere: (node: string) => boolean,
): EndClass[] {
  if (end.kind !== 'workload') return [end];
  const members = end.members.filter(({ id }) =>
    [before, after].every(({ workloads }) => isThere(workloads.get(id)?.node ?? '')),
  );
  if (members.length === 0) return [];
  const addresses = members.slice(0, 2).map((member) => byFamily(member.before.addresses));
  return [{ ...end, members, addresses }];
}

/** What a host endpoint cannot tell apart is one: here nobody asks what the workloads themselves allow. */
function merged(
  ends: readonly EndClass[],
  see: Sight,
  isOwn: (end: EndClass['addresses'][number]) => boolean,
): readonly EndClass[] {
  const found = new Map<string, EndClass>();
  for (const end of ends) {
    const own = end.members[0]?.before.addresses ?? Object.values(end.addresses[0] ?? {});
    const key = [end.kind, ...own.map((address) => see.signatureOf(address))].join(' ');
    const known = found.get(key);
    const members = [...(known?.members ?? []), ...end.members];
    // The node's own, which are not outside for it, stand for nobody here.
    const all = [...(known?.addresses ?? []), ...end.addresses];
    const addresses = all.toSorted((a, b) => Number(isOwn(a)) - Number(isOwn(b))).slice(0, 2);
    found.set(key, { kind: end.kind, members, addresses });
  }
  return [...found.values()];
}

/** One for each way in which rules see addresses of the host. */
function hostEnds(
  scene: Scene,
  node: string,
  interfaces: readonly HostInterface[],
  see: Sight,
): EndClass[] {
  const own = interfaces.filter(({ name, isWorkload }) => name !== 'lo' && !isWorkload);
  const nodes = scene.resources.filter((each) => each.kind === 'Node' && each.name === node);
  const known = [...own, ...nodes].flatMap((each) => ('addresses' in each ? each.addresses : []));
  const all = known.length === 0 ? STAND_IN : known;
  const unique = new Map(all.toReversed().map((each) => [see.signatureOf(each), each] as const));
  return [...unique.values()].map((address) => ({
    kind: 'host',
    host: node,
    members: [],
    addresses: [byFamily([address])],
  }));
}

function byName(a: string | undefined, b: string | undefined): number {
  return compareUtf8(a ?? '', b ?? '');
}
