/**
 * The addresses of nodes, for tunnels between them. Comes in: which nodes there are. Goes out: elements of the sets that tunnel rules look
 * up; nothing while no tunnel is configured.
 */
import { lastAddress } from '../model/ip.ts';
import type { Address, Cidr, Family } from '../model/ip.ts';
import { elementName } from './dispatch.ts';
import type { DispatchElement } from './dispatch.ts';
import type { Encapsulation } from './host-config.ts';
import { withoutCovered } from './prefix-set.ts';
import { Refs } from './refs.ts';
import type { Table } from './table.ts';
import { NODES, usesTunnels } from './tunnels.ts';

const FAMILIES: readonly Family[] = [4, 6];

export class NodeAddresses {
  readonly #known = new Map<string, readonly DispatchElement[]>();
  readonly #elements: Refs<DispatchElement> | undefined;

  constructor(table: Table, encapsulation: Encapsulation) {
    if (!usesTunnels(encapsulation)) return;
    for (const family of FAMILIES)
      for (const set of Object.values(NODES[family])) table.putSet(set);
    for (const cidr of withoutCovered(encapsulation.externalNodes)) {
      table.putElement(...externalElement(cidr));
    }
    this.#elements = new Refs(
      ([set, element]) => table.putElement(set, element),
      ([set, element]) => table.deleteElement(set, element),
    );
  }

  /** Two nodes may have one address for a while. */
  set(node: string, addresses: readonly Address[] | undefined): void {
    const refs = this.#elements;
    if (refs === undefined) return;
    const after = (addresses ?? []).map(nodeElement);
    for (const element of after) refs.acquire(elementName(element), element);
    for (const element of this.#known.get(node) ?? []) refs.release(elementName(element), element);
    if (addresses === undefined) this.#known.delete(node);
    else this.#known.set(node, after);
  }
}

function nodeElement({ family, value }: Address): DispatchElement {
  return [NODES[family].exact, { key: [value], keyEnd: undefined, verdict: undefined }];
}

function externalElement(cidr: Cidr): DispatchElement {
  const element = { key: [cidr.value], keyEnd: [lastAddress(cidr)], verdict: undefined };
  return [NODES[cidr.family].nets, element];
}
