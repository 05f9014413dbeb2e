/**
 * IR sets to kernel sets: members to elements, single addresses into hash sets, prefixes into interval sets without overlaps. Comes in: set
 * deltas. Goes out: elements on the desired table. A prefix set exists only while it has members; whoever uses the IR set is told.
 */
import type { Member, SetDelta, SetSpec } from '../calc/resolved.ts';
import { isHostCidr, lastAddress } from '../model/ip.ts';
import type { Cidr, Family } from '../model/ip.ts';
import { printSelector } from '../model/selector-text.ts';
import { fieldKeyTypes } from './exprs.ts';
import type { SetParts } from './lower-tests.ts';
import { identityHash, objectName } from './names.ts';
import { PrefixSet } from './prefix-set.ts';
import type { NftElement, NftSet } from './program.ts';
import type { Table } from './table.ts';

const FAMILIES: readonly Family[] = [4, 6];
const MAX_COMMENT_LENGTH = 120;

const SET_ORIGIN = 'set ';

/** Origin of a set's kernel objects, by its id. */
export function setOrigin(id: string): string {
  return `${SET_ORIGIN}${id}`;
}

interface FamilyPart {
  readonly exact: NftSet;
  readonly nets: NftSet;
  readonly prefixes: PrefixSet;
}

interface Entry {
  readonly spec: SetSpec;
  readonly parts: Readonly<Record<Family, FamilyPart>>;
}

export class PeerTables {
  readonly #table: Table;
  readonly #entries = new Map<string, Entry>();

  constructor(table: Table) {
    this.#table = table;
  }

  /** Applies one delta, creating the set if it is new. True when a prefix set came or went, so that rules need a new look. */
  apply(delta: SetDelta): boolean {
    const entry = this.#entries.get(delta.spec.id) ?? this.#create(delta.spec);
    const shape = (): string => FAMILIES.map((f) => entry.parts[f].prefixes.isEmpty).join();
    const before = shape();
    for (const member of delta.removed) this.#remove(entry, member);
    for (const member of delta.added) this.#add(entry, member);
    for (const family of FAMILIES) this.#retireIfEmpty(entry.parts[family]);
    return shape() !== before;
  }

  /** The set has no users any more. */
  drop(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    for (const family of FAMILIES) {
      const { exact, nets } = entry.parts[family];
      this.#table.deleteSet(exact.name);
      if (this.#table.sets.desired.has(nets.name)) this.#table.deleteSet(nets.name);
    }
  }

  partsOf(id: string, family: Family): SetParts {
    const part = this.#entries.get(id)?.parts[family];
    if (part === undefined) throw new RangeError(`set ${id} is not in use`);
    return { exact: part.exact.name, nets: part.prefixes.isEmpty ? undefined : part.nets.name };
  }

  /** The set an origin names, if it is in use. */
  setOfOrigin(origin: string): string | undefined {
    const id = origin.slice(SET_ORIGIN.length);
    return origin.startsWith(SET_ORIGIN) && this.#entries.has(id) ? id : undefined;
  }

  #create(spec: SetSpec): Entry {
    const entry: Entry = { spec, parts: { 4: makePart(spec, 4), 6: makePart(spec, 6) } };
    this.#entries.set(spec.id, entry);
    for (const family of FAMILIES) this.#table.putSet(entry.parts[family].exact);
    return entry;
  }

  #add(entry: Entry, member: Member): void {
    if (member.kind === 'port') return this.#table.putElement(...portElement(entry, member));
    const part = entry.parts[member.cidr.family];
    if (isHostCidr(member.cidr)) {
      return this.#table.putElement(part.exact, single(member.cidr.value));
    }
    if (!this.#table.sets.desired.has(part.nets.name)) this.#table.putSet(part.nets);
    this.#applyPrefixes(part, part.prefixes.add(member.cidr));
  }

  #remove(entry: Entry, member: Member): void {
    if (member.kind === 'port') return this.#table.deleteElement(...portElement(entry, member));
    const part = entry.parts[member.cidr.family];
    if (isHostCidr(member.cidr)) {
      return this.#table.deleteElement(part.exact, single(member.cidr.value));
    }
    this.#applyPrefixes(part, part.prefixes.remove(member.cidr));
  }

  #applyPrefixes(part: FamilyPart, delta: { added: Cidr[]; removed: Cidr[] }): void {
    for (const cidr of delta.removed) this.#table.deleteElement(part.nets, interval(cidr));
    for (const cidr of delta.added) this.#table.putElement(part.nets, interval(cidr));
  }

  #retireIfEmpty(part: FamilyPart): void {
    if (part.prefixes.isEmpty && this.#table.sets.desired.has(part.nets.name)) {
      this.#table.deleteSet(part.nets.name);
    }
  }
}

function makePart(spec: SetSpec, family: Family): FamilyPart {
  const set = (suffix: string, interval: boolean): NftSet => ({
    name: objectName(`${KIND_NAMES[spec.kind]}${family}${suffix}`, identityHash(spec.id)),
    key: hasPorts(spec)
      ? fieldKeyTypes(['daddr', 'protocol', 'dport'], family)
      : fieldKeyTypes(['saddr'], family),
    interval,
    verdictMap: false,
    constant: false,
    comment: describe(spec),
    origin: setOrigin(spec.id),
  });
  return { exact: set('', false), nets: set('-nets', true), prefixes: new PrefixSet() };
}

const KIND_NAMES: Readonly<Record<SetSpec['kind'], string>> = {
  addresses: 'selector',
  'named-port': 'port',
  service: 'service',
};

function hasPorts(spec: SetSpec): boolean {
  return spec.kind === 'named-port' || (spec.kind === 'service' && spec.withPorts);
}

/** Printable ASCII, cut to what a set comment holds. */
function describe(spec: SetSpec): string {
  const text =
    spec.kind === 'service'
      ? `service ${spec.service}`
      : spec.kind === 'addresses'
        ? printSelector(spec.selector)
        : `port ${spec.ports.join(', ')} of ${printSelector(spec.selector)}`;
  const printable = text.replaceAll('"', "'").replaceAll(/[^ -~]/g, '?');
  return printable.length <= MAX_COMMENT_LENGTH
    ? printable
    : `${printable.slice(0, MAX_COMMENT_LENGTH - 3)}...`;
}

function single(value: bigint): NftElement {
  return { key: [value], keyEnd: undefined, verdict: undefined };
}

function interval(cidr: Cidr): NftElement {
  return { key: [cidr.value], keyEnd: [lastAddress(cidr)], verdict: undefined };
}

function portElement(entry: Entry, member: Member & { kind: 'port' }): [NftSet, NftElement] {
  const { address, protocol, port } = member;
  const element = { key: [address.value, protocol, port], keyEnd: undefined, verdict: undefined };
  return [entry.parts[address.family].exact, element];
}
