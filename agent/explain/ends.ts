/**
 * Ends of a question to places in the scene. Comes in: words; goes out: the addresses that a packet would carry, or which name is unknown
 * and which known one is near. Refuses to know policies.
 */
import type { WorkloadEndpoint } from '../../compiler/model/cluster.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import type { Address, Family } from '../../compiler/model/ip.ts';
import { nearest } from '../../compiler/model/parse/nearest.ts';
import { compareUtf8 } from '../../compiler/model/text-order.ts';
import { findEnd } from '../../compiler/oracle/flow.ts';
import type { FlowEnd } from '../../compiler/oracle/stage.ts';
import { isSameAddress, resourcesOf } from '../../compiler/oracle/world.ts';
import type { World } from '../../compiler/oracle/world.ts';
import { interfacesOf, possibleInterfaces } from './interfaces.ts';
import type { EndWord, Question, Read } from './question.ts';
import type { Scene } from './scene.ts';

/** Where a packet starts or ends. */
export interface Place {
  /** As people say it. */
  readonly name: string;
  /** The first of each family counts. */
  readonly addresses: readonly Address[];
  /** The node that judges this end, where one does. */
  readonly node: string | undefined;
  /** It is that node itself. */
  readonly isHost: boolean;
  /** The host's interface on the way, where the question says it: the place's own where it is a host. */
  readonly interface: string | undefined;
  /** What is there, as the world's node sees it. */
  endIn(world: World, address: Address): FlowEnd;
}

/** Names that an error lists. */
const MAX_NAMES = 8;

/** For hosts whose addresses nobody says: nothing that the host sends to its workloads depends on them. */
const UNSPECIFIED: readonly Address[] = ([4, 6] as const).map((family) => ({ family, value: 0n }));

export function worldOf(scene: Scene, node: string): World {
  return {
    resources: scene.resources,
    node,
    interfaces: interfacesOf(scene, node),
    config: scene.config,
  };
}

/** Source and destination. */
export function resolveEnds(
  scene: Scene,
  { from, to }: Question,
): Read<{ readonly source: Place; readonly destination: Place }> {
  const known = [resolveKnown(scene, from), resolveKnown(scene, to)] as const;
  const [a, b] = known;
  if ('wrong' in a) return a;
  if ('wrong' in b) return b;
  const source = a.value ?? hostPlace(scene, from, b.value?.node);
  const destination =
    b.value === undefined ? hostPlace(scene, to, a.value?.node) : receiving(b.value, to);
  if (b.value === undefined && destination.addresses.length === 0) {
    return { wrong: unknownHost(destination) };
  }
  const isJudged = possibleInterfaces(scene, source.node ?? '')[0] !== undefined;
  if (source.addresses.length === 0 && isJudged && destination.node !== source.node) {
    return { wrong: unknownHost(source) };
  }
  const unknown = unknownInterface(scene, source) ?? unknownInterface(scene, destination);
  if (unknown !== undefined) return { wrong: unknown };
  const sender = source.addresses.length > 0 ? source : { ...source, addresses: UNSPECIFIED };
  return { value: { source: sender, destination } };
}

/** Packets go to whoever has the address, whoever was meant. */
function receiving(place: Place, word: EndWord): Place {
  const isStray = word.kind === 'address' && word.isStray === true;
  return isStray ? place : { ...place, endIn: findEnd };
}

function unknownHost({ name }: Place): string {
  return (
    `no address of ${name} is known: add its Node object to the manifests, ` +
    'say which node with --node, or ask on the machine itself with --live'
  );
}

/** What manifests do not name may exist all the same; on the machine itself it does not. */
function unknownInterface(scene: Scene, place: Place): string | undefined {
  const { live } = scene;
  const isOurs = !place.isHost || place.node === live?.node;
  if (live === undefined || place.interface === undefined || !isOurs) return undefined;
  const names = live.interfaces.map(({ name }) => name);
  if (names.includes(place.interface)) return undefined;
  return `this machine has no interface ${place.interface} that is up; there is: ${names.join(', ')}`;
}

/** `undefined` for `host`, which depends on the other end. */
function resolveKnown(scene: Scene, word: EndWord): Read<Place | undefined> {
  if (word.kind === 'host') return { value: undefined };
  if (word.kind === 'workload') return workloadPlace(scene, word.id);
  const { address, sender } = word;
  if (sender !== undefined) return senderPlace(scene, sender, address);
  return {
    value:
      word.isStray === true
        ? strayPlace(scene, address)
        : addressPlace(scene, address, word.interface),
  };
}

/** Behind an interface that no endpoint claims, unless one has the address by now. */
function strayPlace(scene: Scene, address: Address): Place {
  const place = addressPlace(scene, address, undefined);
  const endIn = (world: World): FlowEnd => {
    const end = findEnd(world, address);
    return end.kind === 'external' ? { kind: 'unknown-interface' } : end;
  };
  return { ...place, node: place.node ?? scene.live?.node, endIn };
}

/** A workload that sends from an address, its own or not. */
function senderPlace(scene: Scene, id: string, address: Address): Read<Place> {
  const place = workloadPlace(scene, id);
  if ('wrong' in place) return place;
  const [own] = place.value.addresses;
  const endIn = (world: World): FlowEnd =>
    own === undefined ? { kind: 'external' } : place.value.endIn(world, own);
  const name = `${id} (as ${printAddress(address)})`;
  return { value: { ...place.value, name, addresses: [address], endIn } };
}

function workloadPlace(scene: Scene, id: string): Read<Place> {
  const workloads = resourcesOf(worldOf(scene, ''), 'WorkloadEndpoint');
  const endpoint = workloads.find((each) => each.id === id);
  if (endpoint === undefined) return { wrong: unknownWorkload(scene, id, workloads) };
  if (!endpoint.active || endpoint.addresses.length === 0) {
    const wrong =
      `${id} has no network of its own: it is finished, not scheduled, without an address yet, or shares ` +
      "its node's network (then ask for host)";
    return { wrong };
  }
  const { node, addresses } = endpoint;
  const endIn = (world: World, address: Address): FlowEnd =>
    addresses.some((own) => isSameAddress(own, address))
      ? { kind: 'workload', endpoint }
      : findEnd(world, address);
  return { value: { name: id, addresses, node, isHost: false, interface: undefined, endIn } };
}

function unknownWorkload(scene: Scene, id: string, workloads: readonly WorkloadEndpoint[]): string {
  const services = resourcesOf(worldOf(scene, ''), 'Service');
  if (services.some(({ namespace, name }) => `${namespace}/${name}` === id)) {
    return `${id} is a Service: name one of its pods, for policy judges packets after their address is replaced`;
  }
  const ids = workloads.map((each) => each.id).toSorted(compareUtf8);
  if (ids.length === 0) return `there is no pod ${id}: the manifests have no pods at all`;
  const near = nearest(id, ids);
  if (near !== undefined) return `there is no pod ${id}; did you mean ${near}?`;
  const [namespace = ''] = id.split('/');
  const neighbours = ids.filter((each) => each.startsWith(`${namespace}/`));
  const shown = neighbours.length > 0 ? neighbours : ids;
  const more = shown.length > MAX_NAMES ? `, … (${shown.length} in all)` : '';
  return `there is no pod ${id}; there is: ${shown.slice(0, MAX_NAMES).join(', ')}${more}`;
}

function addressPlace(scene: Scene, address: Address, name: string | undefined): Place {
  const text = printAddress(address);
  const common = { addresses: [address], interface: name, endIn: findEnd };
  const end = findEnd(worldOf(scene, scene.node ?? ''), address);
  if (end.kind === 'workload') {
    const { id, node } = end.endpoint;
    return { ...common, name: `${text} (${id})`, node, isHost: false };
  }
  const node = hostWith(scene, address);
  const isHost = node !== undefined;
  return { ...common, name: isHost ? `${text} (node ${node})` : text, node, isHost };
}

/** The node that has the address. */
export function hostWith(scene: Scene, address: Address): string | undefined {
  return nodesOf(scene).find((name) => findEnd(worldOf(scene, name), address).kind === 'host');
}

function hostPlace(scene: Scene, word: EndWord, neighbour: string | undefined): Place {
  const node = scene.node ?? neighbour ?? onlyNode(scene);
  const name = 'interface' in word ? word.interface : undefined;
  const own = node === undefined ? [] : interfacesOf(scene, node);
  const known = resourcesOf(worldOf(scene, ''), 'Node').filter((each) => each.name === node);
  const addresses = [
    // Those of the interface that is asked for go first.
    ...own.filter((each) => each.name === name),
    ...known,
    ...own.filter((each) => each.name !== 'lo'),
  ].flatMap((each) => each.addresses);
  const endIn = (seenBy: World): FlowEnd => ({ kind: seenBy.node === node ? 'host' : 'external' });
  const title = node === undefined ? 'host' : `host ${node}`;
  return { name: title, addresses, node, isHost: true, interface: name, endIn };
}

/** Of the nodes that have addresses or host endpoints. */
export function onlyNode(scene: Scene): string | undefined {
  const [first, ...others] = nodesOf(scene);
  return others.length === 0 ? first : undefined;
}

/** Names of nodes that have addresses of their own. */
function nodesOf(scene: Scene): string[] {
  const world = worldOf(scene, '');
  const named = resourcesOf(world, 'Node').map(({ name }) => name);
  const hosts = resourcesOf(world, 'HostEndpoint').map(({ node }) => node);
  const live = scene.live === undefined ? [] : [scene.live.node];
  return [...new Set([...named, ...hosts, ...live])];
}

/** Why `scene.node` cannot be asked: nothing in the manifests says that it exists. */
export function unknownNode(scene: Scene): string | undefined {
  const { node } = scene;
  const workloads = resourcesOf(worldOf(scene, ''), 'WorkloadEndpoint').map((each) => each.node);
  const known = [...new Set([...nodesOf(scene), ...workloads])].filter((name) => name !== '');
  if (node === undefined || known.includes(node)) return undefined;
  const near = nearest(node, known);
  const shown = known.toSorted(compareUtf8).slice(0, MAX_NAMES).join(', ') || 'none';
  return `no manifest knows a node ${node}; ${near === undefined ? `there is: ${shown}` : `did you mean ${near}?`}`;
}

export function addressOf(place: Place, family: Family): Address | undefined {
  return place.addresses.find((address) => address.family === family);
}
