/**
 * A world compiled for every workload and host endpoint that it has, so that many packets can be judged quickly. Comes in: resources. Goes out: programs that
 * compare as text, verdicts, and who is in which set. The same calculation and IR as the agent's; the oracle is not asked here.
 */
import { Calc } from '../../compiler/calc/calc.ts';
import type {
  Member,
  ResolvedDirection,
  ResolvedEndpoint,
  ResolvedPolicy,
} from '../../compiler/calc/resolved.ts';
import { evalProgram } from '../../compiler/ir/eval.ts';
import type { IrDecision, MemberOf } from '../../compiler/ir/eval.ts';
import type { IrPolicy, IrProgram } from '../../compiler/ir/ir.ts';
import { printProgram } from '../../compiler/ir/print.ts';
import { lowerProgram } from '../../compiler/ir/program.ts';
import type { Resource, WorkloadEndpoint } from '../../compiler/model/cluster.ts';
import { isHostCidr, lastAddress } from '../../compiler/model/ip.ts';
import type { Address, Family } from '../../compiler/model/ip.ts';
import type { Packet } from '../../compiler/model/packet.ts';
import type { Direction } from '../../compiler/model/policy.ts';
import { hostPrograms } from './host-programs.ts';
import type { HostPrograms } from './host-programs.ts';
import type { Program } from './program.ts';

/** No node can be called so: on it, every workload and host endpoint is local. */
const EVERYWHERE = '*';

/** Inclusive. */
export interface AddressRange {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
}

interface SetIndex {
  readonly hosts: Set<bigint>;
  readonly nets: AddressRange[];
  /** `address/protocol/port`. */
  readonly ports: Set<string>;
}

export class CompiledWorld {
  readonly endpoints: ReadonlyMap<string, ResolvedEndpoint>;
  /** As they are, with their nodes. */
  readonly workloads: ReadonlyMap<string, WorkloadEndpoint>;
  /** By name. */
  readonly hosts: ReadonlyMap<string, HostPrograms>;
  readonly #policies: ReadonlyMap<string, ResolvedPolicy>;
  /** By set id, then by family. */
  readonly #sets = new Map<string, Readonly<Record<Family, SetIndex>>>();
  /** What a set has, as text that is equal for equal contents. */
  readonly #contents = new Map<string, string>();
  /** By family and address: ids of sets with protocol and port. */
  readonly #portsAt = new Map<string, Set<string>>();
  /** By family and address: ids of sets that have it by itself. */
  readonly #setsAt = new Map<string, string[]>();
  readonly #nets: (AddressRange & { readonly id: string })[] = [];
  readonly #programs = new Map<string, Program>();

  constructor(resources: readonly (readonly [string, Resource])[]) {
    const calc = new Calc(EVERYWHERE);
    const workloads = new Map<string, WorkloadEndpoint>();
    for (const [key, resource] of resources) {
      const isWorkload = resource.kind === 'WorkloadEndpoint';
      if (isWorkload && !workloads.has(resource.id)) workloads.set(resource.id, resource);
      const isPlaced = isWorkload || resource.kind === 'HostEndpoint';
      calc.put(key, isPlaced ? { ...resource, node: EVERYWHERE } : resource);
    }
    const { endpoints, hostEndpoints, policies, sets } = calc.flush();
    this.endpoints = new Map([...endpoints].flatMap(([id, each]) => (each ? [[id, each]] : [])));
    this.#policies = new Map([...policies].flatMap(([id, each]) => (each ? [[id, each]] : [])));
    this.workloads = workloads;
    for (const [id, delta] of sets) if (delta !== undefined) this.#index(id, delta.added);
    this.hosts = new Map(
      [...hostEndpoints].flatMap(([name, host]) =>
        host === undefined
          ? []
          : [[name, hostPrograms(host, (...of) => this.#programFor(...of))] as const],
      ),
    );
  }

  /** The program of a workload's direction; one value for all that have the same. */
  programOf(endpoint: ResolvedEndpoint, direction: Direction, family: Family): Program {
    return this.#programFor(endpoint[direction], direction, family);
  }

  #programFor(resolved: ResolvedDirection, direction: Direction, family: Family): Program {
    const key = `${direction}${family} ${JSON.stringify(resolved)}`;
    const known = this.#programs.get(key);
    if (known !== undefined) return known;
    const ir = lowerProgram(resolved, (id) => this.#policies.get(id), direction, family);
    const program = { ir, text: printProgram(ir), sets: setsOf(ir) };
    this.#programs.set(key, program);
    return program;
  }

  allows(program: Program, packet: Packet): boolean {
    return this.decide(program, packet).verdict === 'allow';
  }

  decide(program: Program, packet: Packet): IrDecision {
    return evalProgram(program.ir, packet, this.#memberOf[packet.family]);
  }

  /** Same members, or no such set in both. */
  hasSameSet(other: CompiledWorld, id: string): boolean {
    return this.#contents.get(id) === other.#contents.get(id);
  }

  /** Names of everything that tells one address from another: sets that have it, and the ports they have of it. */
  *membershipsOf({ family, value }: Address): Generator<string> {
    yield* this.#setsAt.get(`${family} ${value}`) ?? [];
    for (const { id, ...net } of this.#nets) {
      if (net.family === family && net.first <= value && value <= net.last) yield id;
    }
    for (const port of this.#portsAt.get(`${family} ${value}`) ?? []) yield port;
  }

  /** Ports that sets have of an address, as protocol and port. */
  portsOf({ family, value }: Address): readonly (readonly [number, number])[] {
    return [...(this.#portsAt.get(`${family} ${value}`) ?? [])].map((text) => {
      // Ids of sets may have slashes.
      const [protocol, port] = text.split('/').slice(-2);
      return [Number(protocol), Number(port)];
    });
  }

  /** Ranges that rules of the programs so far name themselves. */
  ruleRanges(): readonly AddressRange[] {
    return rangesOf([...this.#programs.values()]);
  }

  /** The same of host endpoints alone, and the sets that they ask. */
  hostSight(): { readonly ranges: readonly AddressRange[]; readonly sets: ReadonlySet<string> } {
    const programs = [...this.hosts.values()].flatMap((stages) =>
      Object.values(stages).flatMap((byFamily) => [byFamily[4], byFamily[6]]),
    );
    return {
      ranges: rangesOf(programs),
      sets: new Set(programs.flatMap(({ sets }) => [...sets])),
    };
  }

  /** Ranges that sets have, single addresses too. */
  setRanges(): readonly AddressRange[] {
    const single = [...this.#sets.values()].flatMap((byFamily) =>
      ([4, 6] as const).flatMap((family) =>
        [...byFamily[family].hosts].map((value) => ({ family, first: value, last: value })),
      ),
    );
    // Endpoints of services need not be workloads.
    const withPorts = [...this.#portsAt.keys()].map((at): AddressRange => {
      const [family, value = ''] = at.split(' ');
      return { family: family === '4' ? 4 : 6, first: BigInt(value), last: BigInt(value) };
    });
    return [...single, ...withPorts, ...this.#nets];
  }

  readonly #memberOf: Readonly<Record<Family, MemberOf>> = {
    4: (set, values) => this.#isMember(4, set, values),
    6: (set, values) => this.#isMember(6, set, values),
  };

  #isMember(family: Family, set: string, values: readonly bigint[]): boolean {
    const index = this.#sets.get(set)?.[family];
    const [value = 0n, protocol, port] = values;
    if (index === undefined) return false;
    if (protocol !== undefined) return index.ports.has(`${value}/${protocol}/${port}`);
    return (
      index.hosts.has(value) ||
      index.nets.some(({ first, last }) => first <= value && value <= last)
    );
  }

  #index(id: string, members: readonly Member[]): void {
    const byFamily = { 4: emptyIndex(), 6: emptyIndex() };
    const texts: string[] = [];
    for (const member of members) {
      if (member.kind === 'port') {
        const { address, protocol, port } = member;
        const text = `${address.value}/${protocol}/${port}`;
        byFamily[address.family].ports.add(text);
        const at = `${address.family} ${address.value}`;
        this.#portsAt.set(
          at,
          (this.#portsAt.get(at) ?? new Set()).add(`${id}/${protocol}/${port}`),
        );
        texts.push(`${address.family} ${text}`);
        continue;
      }
      const { cidr } = member;
      const { family, value, prefixLen } = cidr;
      if (isHostCidr(cidr)) {
        byFamily[family].hosts.add(value);
        const at = `${family} ${value}`;
        this.#setsAt.set(at, [...(this.#setsAt.get(at) ?? []), id]);
      } else {
        const net = { family, first: value, last: lastAddress(cidr) };
        byFamily[family].nets.push(net);
        this.#nets.push({ ...net, id });
      }
      texts.push(`${family} ${value}/${prefixLen}`);
    }
    this.#sets.set(id, byFamily);
    this.#contents.set(id, texts.sort().join());
  }
}

function emptyIndex(): SetIndex {
  return { hosts: new Set(), nets: [], ports: new Set() };
}

/** Tests of all rules, in any order. */
export function testsOf({ tiers, profiles }: IrProgram): IrPolicy['rules'][number]['tests'] {
  const policies = [...tiers.flatMap((tier) => tier.policies), ...profiles];
  return policies.flatMap(({ rules }) => rules.flatMap(({ tests }) => tests));
}

function rangesOf(programs: readonly Program[]): readonly AddressRange[] {
  return programs.flatMap(({ ir }) =>
    testsOf(ir).flatMap((test) => {
      if (test.kind !== 'ranges' || (test.field !== 'saddr' && test.field !== 'daddr')) return [];
      return test.ranges.map(({ first, last }) => ({ family: ir.family, first, last }));
    }),
  );
}

function setsOf(ir: IrProgram): ReadonlySet<string> {
  return new Set(testsOf(ir).flatMap((test) => (test.kind === 'member' ? [test.set] : [])));
}
