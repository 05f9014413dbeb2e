/**
 * A policy case: manifests and the truth table that holds for them on NODE. A folder comes in; objects, domain values, findings and
 * the places of its packets come out. Refuses to know what policies mean.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { caliInterfaceName } from '../../agent/endpoints/placement.ts';
import type { RawEvent } from '../../agent/watch/event.ts';
import { readManifest } from '../../agent/watch/manifest-file.ts';
import type { Resource, WorkloadEndpoint } from '../../compiler/model/cluster.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import type { Address } from '../../compiler/model/ip.ts';
import { parseResource } from '../../compiler/model/parse/resource.ts';
import { evaluateFlow, isTakenUntracked } from '../../compiler/oracle/flow.ts';
import type { FlowDecision } from '../../compiler/oracle/flow.ts';
import type { Flow, FlowEnd } from '../../compiler/oracle/stage.ts';
import { isSameAddress, ownerOf } from '../../compiler/oracle/world.ts';
import type { World } from '../../compiler/oracle/world.ts';
import { readTruthTable } from './case-packets.ts';
import type { CaseInterface, CasePacket, TruthTable } from './case-packets.ts';
import type { HostInterfaceSpec, WorkloadSpec } from './fabric.ts';
import { briefIssue } from './manifest.ts';
import { NODE, address, world } from './world.ts';
import { reversed } from './kernel-node.ts';

export interface PolicyCase {
  readonly name: string;
  readonly table: TruthTable;
  readonly events: readonly RawEvent[];
  readonly world: World;
  /** `error spec.ingress[0].protocol`, without repeats. */
  readonly issues: readonly string[];
  /** The host's own but `lo` and `eth0`, with what the packets say is behind them. */
  readonly hostInterfaces: readonly HostInterfaceSpec[];
  /** Interfaces of all pods of NODE that have a network of their own, running or not; each address is at its owner. */
  readonly wires: readonly WorkloadSpec[];
}

/** What the host has whatever the case says. */
const OWN_INTERFACES: readonly CaseInterface[] = [
  { name: 'lo', addresses: [] },
  { name: 'eth0', addresses: ['192.0.2.1', '2001:db8:ffff::1'].map(address) },
];

/** Throws when the manifests are not readable at all, or the truth table is not. */
export function readCase(folder: string, name: string): PolicyCase {
  const manifest = readManifest(readFileSync(join(folder, name, 'manifests.yaml')));
  if (!manifest.isReadable) throw new TypeError(`${name}: ${JSON.stringify(manifest.issues)}`);
  const parsed = manifest.objects.map(({ object }) => ({ object, ...parseResource(object, {}) }));
  const table = readTruthTable(readFileSync(join(folder, name, 'packets.txt'), 'utf8'));
  const interfaces = [...OWN_INTERFACES, ...table.interfaces].map((each) => ({
    ...each,
    isWorkload: false,
  }));
  const judged = world(
    parsed.flatMap(({ value }) => value ?? []),
    {},
    interfaces,
  );
  const source = `${name}/manifests.yaml`;
  return {
    name,
    table,
    events: manifest.objects.map((listed) => ({
      op: 'put',
      key: listed.key,
      object: listed.object,
      origin: { source, lineOf: (path) => listed.lineOf(path) },
    })),
    world: judged,
    issues: [...new Set(parsed.flatMap(({ issues }) => issues.map(briefPlace)))],
    hostInterfaces: table.interfaces.map((own) => toSpec(own, table)),
    wires: toWires(judged, parsed),
  };
}

/** What the oracle says; of an answer, after the packet that it answers. */
export function decide(policyCase: PolicyCase, sent: CasePacket): FlowDecision {
  const { world: judged } = policyCase;
  const flow = flowOf(policyCase, sent);
  if (!sent.isReply) return evaluateFlow(judged, flow);
  const asked = flowOf(policyCase, openingOf(sent));
  const opening = evaluateFlow(judged, asked);
  const isTracked = opening.verdict === 'allow' && !isTakenUntracked(asked, opening);
  return evaluateFlow(judged, { ...flow, state: isTracked ? 'established' : 'new' });
}

/** The packet that a reply answers. */
export function openingOf(reply: CasePacket): CasePacket {
  const { packet, fromInterface, toInterface } = reply;
  return {
    ...reply,
    packet: reversed(packet),
    fromInterface: toInterface,
    toInterface: fromInterface,
    isReply: false,
  };
}

function flowOf(policyCase: PolicyCase, sent: CasePacket): Flow {
  const { packet, before, fromInterface, toInterface } = sent;
  const [from, to] = [endOf(policyCase, packet.saddr), endOf(policyCase, packet.daddr)];
  const isOwn = from.kind === 'host' && to.kind === 'host';
  const first = before && endOf(policyCase, before.packet.daddr);
  return {
    from,
    to,
    packet,
    inInterface: isOwn ? 'lo' : fromInterface,
    outInterface: isOwn ? 'lo' : toInterface,
    before: before && {
      packet: before.packet,
      outInterface: first?.kind === 'host' ? 'lo' : before.toInterface,
    },
  };
}

/** Where the address is, as NODE sees it. */
function endOf({ world: judged, wires }: PolicyCase, at: Address): FlowEnd {
  const endpoint = ownerOf(judged, at);
  if (endpoint !== undefined) return { kind: 'workload', endpoint };
  if (isHost(judged, at)) return { kind: 'host' };
  return { kind: wireOf(wires, at) === undefined ? 'external' : 'unknown-interface' };
}

/** Name of the fabric's place that the packet is sent from. */
export function placeOf({ world: judged, wires }: PolicyCase, sent: CasePacket): string {
  const { saddr } = sent.packet;
  const outside = sent.fromInterface === 'eth0' ? 'external' : sent.fromInterface;
  return wireOf(wires, saddr)?.name ?? (isHost(judged, saddr) ? 'router' : outside);
}

function wireOf(wires: readonly WorkloadSpec[], at: Address): WorkloadSpec | undefined {
  return wires.find(({ addresses }) => addresses.includes(printAddress(at)));
}

function isHost({ interfaces }: World, at: Address): boolean {
  return interfaces.some(({ addresses }) => addresses.some((own) => isSameAddress(own, at)));
}

/** Without the code, which is not the specification's. */
function briefPlace(issue: Parameters<typeof briefIssue>[0]): string {
  return briefIssue(issue).replace(/^(\w+) \S+/, '$1');
}

function toSpec({ name, addresses }: CaseInterface, { packets }: TruthTable): HostInterfaceSpec {
  const behind = packets.flatMap(({ packet, fromInterface, toInterface, before, isReply }) => [
    ...(toInterface === name ? [packet.daddr] : []),
    ...(before?.toInterface === name ? [before.packet.daddr] : []),
    ...(isReply && fromInterface === name ? [packet.saddr] : []),
  ]);
  const nets = behind.map((at) => `${printAddress(at)}/${at.family === 4 ? 32 : 128}`);
  return { name, ifname: name, addresses: addresses.map(printAddress), nets: [...new Set(nets)] };
}

interface ParsedObject {
  readonly object: unknown;
  readonly value: Resource | undefined;
}

/** An address that nobody owns is at the first pod that once had it. */
function toWires(judged: World, parsed: readonly ParsedObject[]): readonly WorkloadSpec[] {
  const taken = new Set<string>();
  return parsed.flatMap(({ object, value }) => {
    if (value?.kind !== 'WorkloadEndpoint' || value.node !== NODE) return [];
    const addresses = addressesOf(value, object).filter((at) => {
      const owner = ownerOf(judged, at);
      const isHere = !isHost(judged, at) && (owner === undefined || owner.id === value.id);
      return isHere && !taken.has(printAddress(at));
    });
    for (const at of addresses) taken.add(printAddress(at));
    if (addresses.length === 0) return [];
    const ifname = value.interfaceName ?? caliInterfaceName('cali', value.namespace, value.name);
    return [{ name: value.id, ifname, addresses: addresses.map(printAddress) }];
  });
}

interface PodStatus {
  readonly status?: {
    readonly podIP?: string;
    readonly podIPs?: readonly { readonly ip: string }[];
  };
}

/** A pod that is not running has none in the model, but its status still says where it was. */
function addressesOf(endpoint: WorkloadEndpoint, object: unknown): readonly Address[] {
  if (endpoint.active || !endpoint.isPod) return endpoint.addresses;
  const { status } = object as PodStatus;
  const texts = status?.podIPs?.map(({ ip }) => ip) ?? [status?.podIP ?? ''];
  return texts.filter((text) => text !== '').map(address);
}
