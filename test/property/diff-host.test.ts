/**
 * Two worlds with host endpoints compared: every example that is reported changes its verdict under the oracle, and no packet whose verdict
 * changes at a host's interface is missed. FC_RUNS sets the number of runs.
 */
import test from 'ava';
import * as fc from 'fast-check';
import { Sight, classesOf } from '../../agent/diff/classes.ts';
import { CompiledWorld } from '../../agent/diff/compiled-world.ts';
import { groupChanges } from '../../agent/diff/groups.ts';
import { compareHosts } from '../../agent/diff/host-compare.ts';
import type { HostComparison } from '../../agent/diff/host-compare.ts';
import { worldOf } from '../../agent/explain/ends.ts';
import { hostAddresses } from '../../agent/explain/interfaces.ts';
import { sceneOf } from '../../agent/explain/scene.ts';
import type { Scene } from '../../agent/explain/scene.ts';
import type { Resource } from '../../compiler/model/cluster.ts';
import type { Address, Family } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { evaluateFlow, findEnd } from '../../compiler/oracle/flow.ts';
import type { Flow } from '../../compiler/oracle/stage.ts';
import { DEFAULT_ORACLE_CONFIG } from '../../compiler/oracle/world.ts';
import { arbitraryHostResources, arbitraryPacket } from '../support/arbitrary.ts';
import { ORACLE_INTERFACES } from '../support/host-flows.ts';
import { keyOf } from '../support/keys.ts';
import { HOST_INTERFACES } from '../support/pools.ts';
import { NODE, address } from '../support/world.ts';
import { seedCases } from '../support/seed.ts';

seedCases();

const RUNS = Number(process.env['FC_RUNS'] ?? 20);
const LIMIT_MS = 60_000 + RUNS * 400;
const OPTIONS = { numRuns: RUNS, includeErrorInReport: true, interruptAfterTimeLimit: LIMIT_MS };

const UPLINKS = HOST_INTERFACES.map(({ name }) => name);

interface Sent {
  readonly packet: Packet;
  readonly kind: 'in' | 'out' | 'forward-in' | 'forward-out';
  readonly interface: string;
}

const sent = fc.array(
  fc
    .record({
      packet: fc.oneof(arbitraryPacket(4), arbitraryPacket(6)),
      kind: fc.constantFrom<Sent['kind'][]>('in', 'out', 'forward-in', 'forward-out'),
      interface: fc.constantFrom(...UPLINKS),
      own: fc.nat(),
    })
    .map(({ packet, kind, own, interface: name }): Sent => {
      const all = HOST_INTERFACES.flatMap((each) => each.own).map(address);
      const host = all.filter(({ family }) => family === packet.family);
      const mine = host[own % host.length];
      if (mine === undefined || kind.startsWith('forward'))
        return { packet, kind, interface: name };
      const ends = kind === 'in' ? { daddr: mine } : { saddr: mine };
      return { packet: { ...packet, ...ends }, kind, interface: name };
    }),
  { minLength: 20, maxLength: 40 },
);

/** A world and what somebody may do to it: other policies and host endpoints over the same workloads, or one object less. */
const pairs = fc
  .tuple(arbitraryHostResources, arbitraryHostResources, fc.nat(), fc.boolean())
  .map(([before, other, at, isOneLess]) => {
    if (isOneLess) {
      const [gone] = before.filter(isHost).slice(at % Math.max(1, before.filter(isHost).length));
      return { before, after: before.filter((each) => each !== gone) };
    }
    return { before, after: [...before.filter((each) => !isHost(each)), ...other.filter(isHost)] };
  });

function isHost({ kind }: Resource): boolean {
  return kind === 'Policy' || kind === 'HostEndpoint';
}

function compile(resources: readonly Resource[]): CompiledWorld {
  return new CompiledWorld(resources.map((each) => [keyOf(each), each] as const));
}

function sceneFrom(resources: readonly Resource[]): Scene {
  const store = {
    resources: () => resources.map((each): [string, Resource] => [keyOf(each), each]),
    locate: () => undefined,
  };
  const live = { node: NODE, interfaces: ORACLE_INTERFACES };
  return sceneOf(store, { config: DEFAULT_ORACLE_CONFIG, node: undefined, live });
}

test('every example changes, and no change at a host is missed', (t) => {
  t.timeout(2 * LIMIT_MS);
  const seen = { examples: 0, packets: 0 };
  fc.assert(
    fc.property(pairs, sent, ({ before, after }, packets) => {
      const compiled = { before: compile(before), after: compile(after) };
      const scenes = { before: sceneFrom(before), after: sceneFrom(after) };
      const own = [...hostAddresses(scenes.before), ...hostAddresses(scenes.after)];
      const { all } = classesOf(compiled.before, compiled.after, own);
      const found = compareHosts(compiled, scenes, all);
      seen.examples += assertExamples(scenes, found);
      groupChanges(found.changes);
      // Of too many ports not all are tried, which is said.
      if (!found.isComplete) return;
      const see = new Sight(compiled.before, compiled.after, 'hosts');
      seen.packets += assertNoneMissed(scenes, found, packets, see);
    }),
    OPTIONS,
  );
  t.true(seen.examples > RUNS, `${seen.examples} examples`);
  t.true(seen.packets > 0, `${seen.packets} packets changed their verdict`);
});

interface Scenes {
  readonly before: Scene;
  readonly after: Scene;
}

/** Between addresses, by the interfaces that the change names: asked here without the code that found it. */
function assertExamples(scenes: Scenes, { changes }: HostComparison): number {
  for (const { example, way, from, to, before, after } of changes) {
    if (way === undefined) throw new Error('a change at a host says where');
    const verdict = (scene: Scene): string => {
      const world = worldOf(scene, way.node);
      const flow: Flow = {
        from: from.kind === 'host' ? { kind: 'host' } : findEnd(world, example.saddr),
        to: to.kind === 'host' ? { kind: 'host' } : findEnd(world, example.daddr),
        packet: example,
        inInterface: way.inBy,
        outInterface: way.outBy,
      };
      return evaluateFlow(world, flow).verdict;
    };
    // Of other nodes the interfaces are worked out from both worlds together.
    if (way.node !== NODE) continue;
    const verdicts = [verdict(scenes.before), verdict(scenes.after)].join();
    if (verdicts !== [before, after].join()) {
      throw new Error(`not so: ${show(example)} ${way.text} ${verdicts}`);
    }
  }
  return changes.length;
}

type Ends = Partial<Record<Family, Address>>;

/** From and to addresses that no workload of the node has. */
function assertNoneMissed(
  scenes: Scenes,
  found: HostComparison,
  packets: readonly Sent[],
  see: Sight,
): number {
  let count = 0;
  const isAlike = ([end]: readonly Ends[], own: Address): boolean => {
    const shown = end?.[own.family];
    return shown !== undefined && see.signatureOf(shown) === see.signatureOf(own);
  };
  for (const each of packets) {
    const verdicts = [scenes.before, scenes.after].map((scene) => verdictOf(scene, each));
    const [was, is] = verdicts;
    if (was === undefined || is === undefined || was === is) continue;
    count++;
    const isReported = found.changes.some(
      ({ way, after, from, to }) =>
        way?.node === NODE &&
        after === is &&
        kindOf(from.kind, to.kind, way) === each.kind &&
        way.text.includes(each.interface) &&
        isAlike(from.addresses, each.packet.saddr) &&
        isAlike(to.addresses, each.packet.daddr),
    );
    if (!isReported) throw new Error(`missed: ${show(each)} becomes ${is}`);
  }
  return count;
}

function kindOf(from: string, to: string, { inBy }: { readonly inBy?: string }): Sent['kind'] {
  if (to === 'host') return 'in';
  if (from === 'host') return 'out';
  return inBy === undefined ? 'forward-out' : 'forward-in';
}

function verdictOf(scene: Scene, { packet, kind, interface: name }: Sent): string | undefined {
  const world = worldOf(scene, NODE);
  const ends = [packet.saddr, packet.daddr].map((own) => findEnd(world, own));
  const [from, to] = [
    kind === 'out' ? ({ kind: 'host' } as const) : ends[0],
    kind === 'in' ? ({ kind: 'host' } as const) : ends[1],
  ];
  if (from === undefined || to === undefined) return undefined;
  const outside = [...(kind === 'out' ? [] : [from]), ...(kind === 'in' ? [] : [to])];
  if (outside.some((end) => end.kind !== 'external')) return undefined;
  // Nobody sends to itself by the host, nor is at either end of all addresses.
  if (packet.saddr.value === packet.daddr.value) return undefined;
  const last = packet.family === 4 ? 2n ** 32n - 1n : 2n ** 128n - 1n;
  if ([packet.saddr, packet.daddr].some(({ value }) => value === 0n || value === last)) {
    return undefined;
  }
  const isIn = kind === 'in' || kind === 'forward-in';
  const way = isIn ? { inInterface: name } : { outInterface: name };
  return evaluateFlow(world, { from, to, packet, ...way }).verdict;
}

function show(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'bigint' ? `${each}n` : each,
  );
}
