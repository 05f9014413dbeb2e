/**
 * Ends that no policy can tell apart, in two worlds at once: one of each class stands for all. Comes in: two compiled worlds. Goes out: classes
 * of workloads, and addresses outside, one for each way in which rules see addresses.
 */
import type { ResolvedEndpoint } from '../../compiler/calc/resolved.ts';
import { isSame } from '../../compiler/calc/same.ts';
import { toAddress } from '../../compiler/model/ip.ts';
import type { Address, Family } from '../../compiler/model/ip.ts';
import type { HostAddress } from '../explain/interfaces.ts';
import type { AddressRange, CompiledWorld } from './compiled-world.ts';

/** The same object, as each world has it. */
export interface Workload {
  readonly id: string;
  readonly before: ResolvedEndpoint;
  readonly after: ResolvedEndpoint;
}

export interface EndClass {
  readonly kind: 'workload' | 'outside' | 'host';
  /** The node, of a host. */
  readonly host?: string;
  /** Workloads of this class; empty for others. */
  readonly members: readonly Workload[];
  /** Of the first two members, or two outside where the class has two, or the one of a host. */
  readonly addresses: readonly Partial<Record<Family, Address>>[];
}

export interface Classes {
  readonly all: readonly EndClass[];
  /** Workloads that only one of the worlds has, or that have other addresses there. */
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
  readonly moved: readonly string[];
}

/** Somewhere on the internet: the documentation's networks. */
const OUTSIDE = ['203.0.113.77', '198.51.100.77', '2001:db8:77::77', '2001:db8:78::77'];

/** Addresses outside that are looked at. */
const MAX_OUTSIDE = 20_000;

/** `hosts`: addresses that nodes have in either world. */
export function classesOf(
  before: CompiledWorld,
  after: CompiledWorld,
  hosts: readonly HostAddress[],
): Classes {
  const both: Workload[] = [];
  const moved: string[] = [];
  for (const [id, endpoint] of before.endpoints) {
    const other = after.endpoints.get(id);
    if (other === undefined) continue;
    if (isSame(endpoint.addresses, other.addresses))
      both.push({ id, before: endpoint, after: other });
    else moved.push(id);
  }
  const workloads = workloadClasses(before, after, both);
  return {
    all: [...workloads, ...outsideClasses(before, after, hosts)],
    onlyBefore: without(before, after),
    onlyAfter: without(after, before),
    moved,
  };
}

function without(a: CompiledWorld, b: CompiledWorld): string[] {
  return [...a.endpoints.keys()].filter((id) => !b.endpoints.has(id));
}

function workloadClasses(
  before: CompiledWorld,
  after: CompiledWorld,
  workloads: readonly Workload[],
): EndClass[] {
  // All programs must be known before their ranges are.
  const programs = new Map(
    workloads.map((each) => [each.id, programsOf(before, after, each)] as const),
  );
  const see = new Sight(before, after);
  const numbers = new Map<string, number>();
  const numberOf = (text: string): number => {
    const known = numbers.get(text) ?? numbers.size;
    numbers.set(text, known);
    return known;
  };
  const classes = new Map<string, Workload[]>();
  for (const workload of workloads) {
    const texts = programs.get(workload.id) ?? [];
    const seen = workload.before.addresses.map((address) => see.signatureOf(address));
    const key = [...texts.map(numberOf), ...seen].join(' ');
    const members = classes.get(key);
    if (members === undefined) classes.set(key, [workload]);
    else members.push(workload);
  }
  return [...classes.values()].map((members) => ({
    kind: 'workload',
    members,
    addresses: members.slice(0, 2).map((each) => byFamily(each.before.addresses)),
  }));
}

function programsOf(before: CompiledWorld, after: CompiledWorld, workload: Workload): string[] {
  return (['ingress', 'egress'] as const).flatMap((direction) =>
    ([4, 6] as const).flatMap((family) => [
      before.programOf(workload.before, direction, family).text,
      after.programOf(workload.after, direction, family).text,
    ]),
  );
}

function outsideClasses(
  before: CompiledWorld,
  after: CompiledWorld,
  hosts: readonly HostAddress[],
): EndClass[] {
  const owned = new Set(
    [before, after].flatMap(({ endpoints }) =>
      [...endpoints.values()].flatMap(({ addresses }) => addresses.map(keyOf)),
    ),
  );
  const see = new Sight(before, after);
  const classes = new Map<string, EndClass>();
  const nodesWith = Map.groupBy(hosts, ({ address }) => keyOf(address));
  const nodesOf = (address: Address): string =>
    (nodesWith.get(keyOf(address)) ?? []).map(({ node }) => node).join();
  const found = candidates(see.ranges()).filter((address) => !owned.has(keyOf(address)));
  // An address of a node is outside for the others alone: it stands for a class that has nobody else, with one of another node beside it.
  const [ofNobody, ofNodes] = [
    found.filter((each) => !nodesWith.has(keyOf(each))),
    found.filter((each) => nodesWith.has(keyOf(each))),
  ];
  for (const address of [...ofNobody, ...ofNodes]) {
    const key = see.signatureOf(address);
    const [first, second] = classes.get(key)?.addresses ?? [];
    const known = first?.[address.family];
    if (second !== undefined || known?.value === address.value) continue;
    if (known !== undefined && nodesWith.has(keyOf(known)) && nodesOf(known) === nodesOf(address))
      continue;
    const own = byFamily([address]);
    const addresses = first === undefined ? [own] : [first, own];
    classes.set(key, { kind: 'outside', members: [], addresses });
  }
  return [...classes.values()];
}

/** Addresses at both sides of every boundary, and some that are in no range. */
function candidates(ranges: readonly AddressRange[]): readonly Address[] {
  const found = OUTSIDE.flatMap((text) => toAddress(text) ?? []);
  for (const { family, first, last } of ranges) {
    if (found.length >= MAX_OUTSIDE) break;
    const most = family === 4 ? 0xffff_ffffn : (1n << 128n) - 1n;
    for (const value of [first, last, first - 1n, last + 1n]) {
      if (value > 0n && value < most) found.push({ family, value });
    }
  }
  return found;
}

/** How rules of both worlds see an address: made once every program is known. */
export class Sight {
  readonly #worlds: readonly CompiledWorld[];
  readonly #ruleRanges: readonly AddressRange[];
  /** Sets that count; `undefined` = all. */
  readonly #only: ReadonlySet<string> | undefined;

  /** `hosts`: as rules of host endpoints alone see it. */
  constructor(before: CompiledWorld, after: CompiledWorld, whose: 'all' | 'hosts' = 'all') {
    this.#worlds = [before, after];
    const hosts = whose === 'all' ? undefined : this.#worlds.map((world) => world.hostSight());
    this.#ruleRanges = unique(
      hosts?.flatMap(({ ranges }) => ranges) ?? this.#worlds.flatMap((world) => world.ruleRanges()),
    );
    this.#only = hosts && new Set(hosts.flatMap(({ sets }) => [...sets]));
  }

  /** Ranges that rules or sets name. */
  ranges(): readonly AddressRange[] {
    return unique([...this.#ruleRanges, ...this.#worlds.flatMap((world) => world.setRanges())]);
  }

  /** Equal for addresses that no rule can tell apart. */
  signatureOf(address: Address): string {
    const { family, value } = address;
    const inside = this.#ruleRanges.flatMap((range, index) =>
      range.family === family && isIn(range, value) ? [index] : [],
    );
    const sets = this.#worlds.map((world) =>
      [...world.membershipsOf(address)]
        .filter((id) => this.#counts(id))
        .sort()
        .join(),
    );
    return [family, inside.join(), ...sets].join('|');
  }

  /** Of a set, or of a set with protocol and port. */
  #counts(id: string): boolean {
    if (this.#only === undefined || this.#only.has(id)) return true;
    return this.#only.has(id.split('/').slice(0, -2).join('/'));
  }
}

function unique(ranges: readonly AddressRange[]): readonly AddressRange[] {
  return [...new Map(ranges.map((range) => [rangeKey(range), range])).values()];
}

function isIn({ first, last }: AddressRange, value: bigint): boolean {
  return first <= value && value <= last;
}

function rangeKey({ family, first, last }: AddressRange): string {
  return `${family} ${first} ${last}`;
}

function keyOf({ family, value }: Address): string {
  return `${family} ${value}`;
}

/** The first of each family. */
export function byFamily(addresses: readonly Address[]): Partial<Record<Family, Address>> {
  const found: Partial<Record<Family, Address>> = {};
  for (const address of addresses) found[address.family] ??= address;
  return found;
}
