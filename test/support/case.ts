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
import type { FlowEnd } from '../../compiler/oracle/stage.ts';
import { ownerOf } from '../../compiler/oracle/world.ts';
import type { World } from '../../compiler/oracle/world.ts';
import { readTruthTable } from './case-packets.ts';
import type { TruthTable } from './case-packets.ts';
import type { WorkloadSpec } from './fabric.ts';
import { briefIssue } from './manifest.ts';
import { NODE, address, world } from './world.ts';

export interface PolicyCase {
  readonly name: string;
  readonly table: TruthTable;
  readonly events: readonly RawEvent[];
  readonly world: World;
  /** `error spec.ingress[0].protocol`, without repeats. */
  readonly issues: readonly string[];
  /** Interfaces of all pods of NODE that have a network of their own, running or not; each address is at its owner. */
  readonly wires: readonly WorkloadSpec[];
}

/** The host's own addresses: those of the fabric's router. */
const HOST_ADDRESSES = ['192.0.2.1', '2001:db8:ffff::1'].map(address);

/** Throws when the manifests are not readable at all, or the truth table is not. */
export function readCase(folder: string, name: string): PolicyCase {
  const manifest = readManifest(readFileSync(join(folder, name, 'manifests.yaml')));
  if (!manifest.isReadable) throw new TypeError(`${name}: ${JSON.stringify(manifest.issues)}`);
  const parsed = manifest.objects.map(({ object }) => ({ object, ...parseResource(object, {}) }));
  const judged = world(parsed.flatMap(({ value }) => value ?? []));
  const source = `${name}/manifests.yaml`;
  return {
    name,
    table: readTruthTable(readFileSync(join(folder, name, 'packets.txt'), 'utf8')),
    events: manifest.objects.map((listed) => ({
      op: 'put',
      key: listed.key,
      object: listed.object,
      origin: { source, lineOf: (path) => listed.lineOf(path) },
    })),
    world: judged,
    issues: [...new Set(parsed.flatMap(({ issues }) => issues.map(briefPlace)))],
    wires: toWires(judged, parsed),
  };
}

/** Where the address is, as NODE sees it. */
export function endOf({ world: judged, wires }: PolicyCase, at: Address): FlowEnd {
  const endpoint = ownerOf(judged, at);
  if (endpoint !== undefined) return { kind: 'workload', endpoint };
  if (isHost(at)) return { kind: 'host' };
  return { kind: wireOf(wires, at) === undefined ? 'external' : 'unknown-interface' };
}

/** Name of the fabric's place that sends from the address. */
export function placeOf({ wires }: PolicyCase, at: Address): string {
  return wireOf(wires, at)?.name ?? (isHost(at) ? 'router' : 'external');
}

function wireOf(wires: readonly WorkloadSpec[], at: Address): WorkloadSpec | undefined {
  return wires.find(({ addresses }) => addresses.includes(printAddress(at)));
}

function isHost(at: Address): boolean {
  return HOST_ADDRESSES.some(({ family, value }) => family === at.family && value === at.value);
}

/** Without the code, which is not the specification's. */
function briefPlace(issue: Parameters<typeof briefIssue>[0]): string {
  return briefIssue(issue).replace(/^(\w+) \S+/, '$1');
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
      const isHere = !isHost(at) && (owner === undefined || owner.id === value.id);
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
