/**
 * Which local endpoint holds each address: as calculated, and as last committed to the kernel. Comes in: endpoints that changed, and the
 * kernel's dispatch elements after a dump. Goes out, per commit: addresses whose former owner holds them no longer, so that what
 * the kernel remembers of its connections can go (specification section 6.2.1).
 */
import type { ResolvedEndpoint } from '../../compiler/calc/resolved.ts';
import { printAddress } from '../../compiler/model/ip.ts';
import type { Address, Family } from '../../compiler/model/ip.ts';
import { DISPATCH } from '../../compiler/nft/base.ts';
import { endpointChain } from '../../compiler/nft/names.ts';
import type { NftSet } from '../../compiler/nft/program.ts';
import { Tracked } from '../../compiler/nft/table.ts';
import type { KernelTable } from '../../compiler/nft/table.ts';

interface Owner {
  readonly address: Address;
  /** Its chain names the endpoint in the kernel. */
  readonly chain: string;
  /** Tells an endpoint from an earlier one of the same name; `undefined` = not known, as read from the kernel. */
  readonly createdMs: number | undefined;
}

export class OwnedAddresses {
  readonly #owners = new Tracked<Owner>();

  /** An endpoint came, changed or went. */
  take(before: ResolvedEndpoint | undefined, after: ResolvedEndpoint | undefined): void {
    for (const { address, chain } of ownersOf(before)) {
      const key = printAddress(address);
      if (this.#owners.desired.get(key)?.chain === chain) this.#owners.delete(key);
    }
    for (const owner of ownersOf(after)) this.#owners.put(printAddress(owner.address), owner);
  }

  /** Adds owners that only the kernel knows of, from an earlier run; `undefined` = no table. */
  adopt(kernel: KernelTable | undefined): void {
    const known = kernel === undefined ? [] : kernelOwners(kernel);
    const keyed = known.map((owner) => [printAddress(owner.address), owner] as const);
    this.#owners.adopt(new Map([...keyed, ...this.#owners.actual]));
  }

  /** To be called after each commit. Returns the addresses that lost their owner since the last one. */
  settle(): Address[] {
    const { dirty, actual, desired } = this.#owners;
    const released = [...dirty].flatMap((key) => {
      const before = actual.get(key);
      return before === undefined || isSame(before, desired.get(key)) ? [] : [before.address];
    });
    this.#owners.settle();
    return released;
  }
}

function ownersOf(resolved: ResolvedEndpoint | undefined): Owner[] {
  if (resolved === undefined) return [];
  const { id, createdMs } = resolved.endpoint;
  const chain = endpointChain('egress', id);
  return resolved.addresses.map((address) => ({ address, chain, createdMs }));
}

function isSame(before: Owner, after: Owner | undefined): boolean {
  if (after?.chain !== before.chain) return false;
  return before.createdMs === undefined || before.createdMs === after.createdMs;
}

/** Owners by address and by interface, from the dispatch elements of a dump. */
function kernelOwners(kernel: KernelTable): Owner[] {
  const chainOf = new Map(
    keysOf(kernel, DISPATCH.fromInterface).map(({ key: [name], chain }) => [name, chain]),
  );
  const owners = ([4, 6] as const).flatMap((family) => [
    ...keysOf(kernel, family === 4 ? DISPATCH.sources4 : DISPATCH.sources6).map(
      ({ key: [name, value] }) => ownerOf(family, value, chainOf.get(name)),
    ),
    ...keysOf(kernel, family === 4 ? DISPATCH.fromAddress4 : DISPATCH.fromAddress6).map(
      ({ key: [value], chain }) => ownerOf(family, value, chain),
    ),
  ]);
  return owners.flatMap((owner) => owner ?? []);
}

function ownerOf(family: Family, value: unknown, chain: string | undefined): Owner | undefined {
  if (typeof value !== 'bigint') return undefined;
  return { address: { family, value }, chain: chain ?? '', createdMs: undefined };
}

function keysOf(
  kernel: KernelTable,
  set: NftSet,
): { readonly key: readonly unknown[]; readonly chain: string | undefined }[] {
  return [...(kernel.elements.get(set.name)?.values() ?? [])].map(({ key, verdict }) => ({
    key,
    chain: verdict !== undefined && 'chain' in verdict ? verdict.chain : undefined,
  }));
}
