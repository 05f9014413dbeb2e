/**
 * Dispatch elements: how packets find the chains of an endpoint, and what an interface may send from. Comes in: an endpoint and where it
 * is. Goes out: elements of the sets in DISPATCH.
 */
import type { ResolvedEndpoint } from '../calc/resolved.ts';
import { lastAddress } from '../model/ip.ts';
import type { Address, Cidr } from '../model/ip.ts';
import { DISPATCH } from './base.ts';
import { elementKey } from './key.ts';
import { endpointChain } from './names.ts';
import { withoutCovered } from './prefix-set.ts';
import type { KeyPart, NftElement, NftSet } from './program.ts';

/** How packets of an endpoint are recognised: by host interfaces that are its own, or by its addresses, or both. */
export interface Placement {
  readonly interfaces: readonly string[];
  readonly byAddress: boolean;
}

/** An element and the set it belongs to. */
export type DispatchElement = readonly [NftSet, NftElement];

/** Names an element among those of all sets. */
export function elementName([set, element]: DispatchElement): string {
  return `${set.name} ${elementKey(set, element)}`;
}

/** Dispatch and anti-spoofing elements of one endpoint. */
export function elementsOf(
  { endpoint, addresses }: ResolvedEndpoint,
  placement: Placement,
): DispatchElement[] {
  const from = endpointChain('egress', endpoint.id);
  const to = endpointChain('ingress', endpoint.id);
  const byAddress = addresses.flatMap(({ family, value }): DispatchElement[] => [
    [family === 4 ? DISPATCH.addresses4 : DISPATCH.addresses6, plain([value])],
    [family === 4 ? DISPATCH.fromAddress4 : DISPATCH.fromAddress6, goes([value], from)],
    [family === 4 ? DISPATCH.toAddress4 : DISPATCH.toAddress6, goes([value], to)],
  ]);
  const byInterface = placement.interfaces.flatMap((name): DispatchElement[] => [
    [DISPATCH.interfaces, plain([name])],
    [DISPATCH.fromInterface, goes([name], from)],
    [DISPATCH.toInterface, goes([name], to)],
    ...addresses.map((address) => source(name, address)),
    ...withoutCovered(endpoint.allowedSourcePrefixes).map((cidr) => sourcePrefix(name, cidr)),
  ]);
  return placement.byAddress ? [...byInterface, ...byAddress] : byInterface;
}

function sourcePrefix(name: string, cidr: Cidr): DispatchElement {
  const set = cidr.family === 4 ? DISPATCH.sourcePrefixes4 : DISPATCH.sourcePrefixes6;
  return [set, { key: [name, cidr.value], keyEnd: [name, lastAddress(cidr)], verdict: undefined }];
}

function source(name: string, { family, value }: Address): DispatchElement {
  return [family === 4 ? DISPATCH.sources4 : DISPATCH.sources6, plain([name, value])];
}

function plain(key: readonly KeyPart[]): NftElement {
  return { key, keyEnd: undefined, verdict: undefined };
}

function goes(key: readonly KeyPart[], chain: string): NftElement {
  return { key, keyEnd: undefined, verdict: { kind: 'goto', chain } };
}
