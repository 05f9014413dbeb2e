/**
 * Who reaches a host, whom it reaches, and what it forwards, otherwise in another world. Comes in: two worlds, compiled and as scenes. Goes out:
 * changes as between workloads, each confirmed by the oracle with the interface that it is seen at. What a host sends to its own workloads no
 * host endpoint judges, so it is not looked at; nor is what a host sends to itself.
 */
import type { Family } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import { evaluateFlow, findEnd } from '../../compiler/oracle/flow.ts';
import type { Flow, FlowEnd } from '../../compiler/oracle/stage.ts';
import type { World } from '../../compiler/oracle/world.ts';
import { narrow } from '../explain/answer.ts';
import { printDecisive } from '../explain/print.ts';
import type { Scene } from '../explain/scene.ts';
import type { Classes, EndClass, Workload } from './classes.ts';
import type { Change, Confirmed } from './compare.ts';
import type { CompiledWorld } from './compiled-world.ts';
import type { Program } from './program.ts';
import { passesStages } from './host-programs.ts';
import type { HostStage, StageOnWay } from './host-programs.ts';
import { nodesWithHosts, sidesOf } from './host-sides.ts';
import type { NodeSides, Side, Worlds } from './host-sides.ts';
import { headersFor } from './probes.ts';

export interface HostComparison {
  readonly changes: readonly Change[];
  readonly pairs: number;
  readonly compared: number;
  readonly isComplete: boolean;
}

const MAX_COMPARED = 100_000;
const MAX_CHANGES = 5_000;
/** Packets that the oracle is asked about until it confirms one. */
const MAX_ASKED = 20;

/** Pairs of sides that host policy judges between. */
const WAYS: readonly (readonly [Side['kind'], Side['kind']])[] = [
  ['interfaces', 'host'],
  ['host', 'interfaces'],
  ['inside', 'host'],
  // What comes in by one interface and leaves by another is judged at each by itself.
  ['interfaces', 'nowhere'],
  ['nowhere', 'interfaces'],
  ['interfaces', 'inside'],
  ['inside', 'interfaces'],
  ['inside', 'inside'],
];

/** `classes` of the same worlds. */
export function compareHosts(
  compiled: Worlds<CompiledWorld>,
  scenes: Worlds<Scene>,
  classes: Classes['all'],
): HostComparison {
  const comparing = new HostComparing(compiled, scenes);
  const nodes = nodesWithHosts(scenes.before, scenes.after).map((node) =>
    sidesOf(node, scenes, compiled, classes),
  );
  // Who reaches a host goes first: where so much changes that not everything is looked at, it matters most.
  for (const [from, to] of WAYS) {
    for (const sides of nodes) {
      for (const source of sides.sides.filter(({ kind }) => kind === from)) {
        for (const destination of sides.sides.filter(({ kind }) => kind === to)) {
          comparing.look(sides, source, destination);
        }
      }
    }
  }
  return comparing;
}

/** A way over a node. */
interface Crossing {
  readonly node: NodeSides;
  readonly source: Side;
  readonly destination: Side;
  readonly from: EndClass;
  readonly to: EndClass;
}

class HostComparing implements HostComparison {
  readonly changes: Change[] = [];
  pairs = 0;
  compared = 0;
  isComplete = true;
  readonly #compiled: Worlds<CompiledWorld>;
  readonly #scenes: Worlds<Scene>;

  constructor(compiled: Worlds<CompiledWorld>, scenes: Worlds<Scene>) {
    this.#compiled = compiled;
    this.#scenes = scenes;
  }

  look(node: NodeSides, source: Side, destination: Side): void {
    this.pairs += source.ends.length * destination.ends.length;
    for (const family of [4, 6] as const) {
      const { before, after } = this.#stagesOf(source, destination, family);
      if (this.#isSame(before, after)) continue;
      for (const from of source.ends) {
        for (const to of destination.ends) {
          if (this.compared >= MAX_COMPARED || this.changes.length >= MAX_CHANGES) {
            this.isComplete = false;
            return;
          }
          this.#compare({ node, source, destination, from, to }, { before, after }, family);
        }
      }
    }
  }

  #stagesOf(source: Side, destination: Side, family: Family): Worlds<readonly StageOnWay[]> {
    const of = (world: 'before' | 'after'): readonly StageOnWay[] => {
      const at = (stage: HostStage, name: string | undefined): StageOnWay => ({
        stage,
        program: this.#compiled[world].hosts.get(name ?? '')?.[stage]?.[family],
      });
      const [a, b] = [source[world], destination[world]];
      if (source.kind === 'host') return [at('untracked-out', b.named), at('output', b.any)];
      const arriving = [at('untracked-in', a.named), at('pre-dnat', a.any)];
      if (destination.kind !== 'host') {
        return [...arriving, at('forward-in', a.any), at('forward-out', b.any)];
      }
      // A workload's packets to its host are judged by the workload's policy.
      return source.kind === 'inside' ? arriving : [...arriving, at('input', a.any)];
    };
    return { before: of('before'), after: of('after') };
  }

  #isSame(before: readonly StageOnWay[], after: readonly StageOnWay[]): boolean {
    return before.every(({ program }, at) => {
      const other = after[at]?.program;
      if (program?.text !== other?.text) return false;
      const { before: was, after: is } = this.#compiled;
      return [...(program?.sets ?? [])].every((id) => was.hasSameSet(is, id));
    });
  }

  #compare(crossing: Crossing, stages: Worlds<readonly StageOnWay[]>, family: Family): void {
    const { from, to, source, destination, node } = crossing;
    const saddr = from.addresses[0]?.[family];
    const daddr = to.addresses[from === to ? 1 : 0]?.[family];
    if (saddr === undefined || daddr === undefined) return;
    this.compared++;
    const inside = this.#workloadPrograms(crossing, family);
    const judged = [...stages.before, ...stages.after].flatMap(({ program }) => program ?? []);
    const { before, after } = this.#compiled;
    const failsafes = node.before.config.failsafes;
    const safe = [...failsafes.ingress, ...failsafes.egress].map(
      ({ protocol, port }) => [protocol, port] as const,
    );
    // Untracked policy leaves answers from these ports alone.
    const isUntracked = [...stages.before, ...stages.after].some(
      ({ stage, program }) => program !== undefined && stage.startsWith('untracked'),
    );
    const ports = {
      source: [...before.portsOf(saddr), ...after.portsOf(saddr), ...(isUntracked ? safe : [])],
      destination: [...before.portsOf(daddr), ...after.portsOf(daddr), ...safe],
    };
    const programs = [...judged, ...inside.before, ...inside.after];
    const { headers, isComplete } = headersFor(programs, family, ports);
    this.isComplete &&= isComplete;
    const found = { opened: [] as Packet[], closed: [] as Packet[] };
    const passes = (world: 'before' | 'after', packet: Packet): boolean =>
      inside[world].every((program) => this.#compiled[world].allows(program, packet)) &&
      passesStages(
        (...of) => this.#compiled[world].decide(...of),
        stages[world],
        packet,
        failsafes,
      );
    for (const header of headers) {
      const packet: Packet = { family, saddr, daddr, ...header };
      const is = passes('after', packet);
      if (passes('before', packet) !== is) found[is ? 'opened' : 'closed'].push(packet);
    }
    const place = { node: node.node, isOnly: node.isOnly, text: wayText(source, destination) };
    const at = { ...place, ...interfacesSaid(source, destination) };
    for (const packets of [found.opened, found.closed]) {
      for (const example of packets.slice(0, MAX_ASKED)) {
        const confirmed = this.#confirm(crossing, example);
        if (confirmed === undefined) continue;
        this.changes.push({ from, to, ...confirmed, example, packets, way: at });
        break;
      }
    }
  }

  /** Of workloads on the way, which judge beside the host's endpoints. */
  #workloadPrograms(
    { source, destination, from, to }: Crossing,
    family: Family,
  ): Worlds<readonly Program[]> {
    const sender = source.kind === 'inside' ? from.members[0] : undefined;
    const receiver = destination.kind === 'inside' ? to.members[from === to ? 1 : 0] : undefined;
    const of = (world: 'before' | 'after'): Program[] => {
      const program = (member: Workload, direction: 'ingress' | 'egress'): Program =>
        this.#compiled[world].programOf(member[world], direction, family);
      return [
        ...(sender === undefined ? [] : [program(sender, 'egress')]),
        ...(receiver === undefined ? [] : [program(receiver, 'ingress')]),
      ];
    };
    return { before: of('before'), after: of('after') };
  }

  #confirm({ node, source, destination }: Crossing, packet: Packet): Confirmed | undefined {
    const of = (world: 'before' | 'after'): ReturnType<typeof judgeCrossing> =>
      judgeCrossing(this.#scenes[world], node[world], source, destination, packet);
    const [was, is] = [of('before'), of('after')];
    if (was === undefined || is === undefined || was.verdict === is.verdict) return undefined;
    return { before: was.verdict, after: is.verdict, byBefore: was.by, byAfter: is.by };
  }
}

interface Judged {
  readonly verdict: 'allow' | 'deny';
  readonly by: string;
}

/** The oracle's word; `undefined` where the address is somebody else's. */
function judgeCrossing(
  scene: Scene,
  world: World,
  source: Side,
  destination: Side,
  packet: Packet,
): Judged | undefined {
  const near = { ...world, resources: narrow(scene, [packet]).resources };
  const endAt = (side: Side, address: Packet['saddr']): FlowEnd | undefined => {
    if (side.kind === 'host') return { kind: 'host' };
    const end = findEnd(near, address);
    const isLocal = end.kind === 'workload' && end.endpoint.node === world.node;
    return end.kind === 'host' || isLocal !== (side.kind === 'inside') ? undefined : end;
  };
  const from = endAt(source, packet.saddr);
  const to = endAt(destination, packet.daddr);
  if (from === undefined || to === undefined) return undefined;
  const flow: Flow = {
    from,
    to,
    packet,
    inInterface: source.interfaces[0],
    outInterface: destination.interfaces[0],
  };
  const { verdict, stages } = evaluateFlow(near, flow);
  const last = stages.at(-1);
  const by = last === undefined ? 'nobody' : printDecisive(scene, { ...last, node: world.node });
  return { verdict, by };
}

function wayText(source: Side, destination: Side): string {
  if (destination.kind === 'host') {
    return source.kind === 'inside' ? 'by interfaces of workloads' : `in by ${names(source)}`;
  }
  if (source.kind === 'host') return `out by ${names(destination)}`;
  const ways = [
    ...(source.kind === 'interfaces' ? [`in by ${names(source)}`] : []),
    ...(destination.kind === 'interfaces' ? [`out by ${names(destination)}`] : []),
  ];
  return ['forwarded', ...ways].join(', ');
}

const MAX_NAMES = 8;

function names({ interfaces }: Side): string {
  const more = interfaces.length > MAX_NAMES ? `, … (${interfaces.length} interfaces)` : '';
  return `${interfaces.slice(0, MAX_NAMES).join(', ')}${more}`;
}

function interfacesSaid(source: Side, destination: Side): { inBy?: string; outBy?: string } {
  const [inBy, outBy] = [said(source), said(destination)];
  return { ...(inBy === undefined ? {} : { inBy }), ...(outBy === undefined ? {} : { outBy }) };
}

/** As a question has to say it; a name with spaces stands for an interface that nobody knows. */
function said({ interfaces: [name] }: Side): string | undefined {
  return name === undefined || name.includes(' ') ? undefined : name;
}
