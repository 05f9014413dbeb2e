/** Who owns an address that several endpoints claim: the newest active one, ties by lowest id (design section 7). */
import { printAddress } from '../model/ip.ts';
import type { WorkloadEndpoint } from '../model/cluster.ts';
import type { Address } from '../model/ip.ts';
import { compareUtf8 } from '../model/text-order.ts';
import { Claims } from './claims.ts';

const NONE: readonly Address[] = [];

export class AddressOwners {
  /** Address text to the active endpoints that claim it. */
  readonly #claims = new Claims<WorkloadEndpoint>();

  /** Replaces the claims of `before` by those of `after`; returns ids of all endpoints whose ownership may differ now. */
  update(before: WorkloadEndpoint | undefined, after: WorkloadEndpoint | undefined): Set<string> {
    const affected = new Set<string>();
    for (const key of claimedBy(before)) {
      this.#claims.delete(key, before?.id ?? '');
      for (const [id] of this.#claims.of(key)) affected.add(id);
    }
    for (const key of claimedBy(after)) {
      for (const [id] of this.#claims.of(key)) affected.add(id);
      if (after !== undefined) this.#claims.set(key, after.id, after);
    }
    return affected;
  }

  /** The endpoint's addresses that no better claimant has. */
  owned(endpoint: WorkloadEndpoint): readonly Address[] {
    const { active, addresses } = endpoint;
    if (!active) return NONE;
    // The same list where nobody disputes: it is kept for every endpoint.
    return addresses.every((address) => this.#owns(endpoint, address))
      ? addresses
      : addresses.filter((address) => this.#owns(endpoint, address));
  }

  #owns(endpoint: WorkloadEndpoint, address: Address): boolean {
    return !this.#claims
      .of(printAddress(address))
      .some(([id, rival]) => id !== endpoint.id && isBetterOwner(rival, endpoint));
  }
}

function claimedBy(endpoint: WorkloadEndpoint | undefined): string[] {
  return endpoint?.active === true ? endpoint.addresses.map(printAddress) : [];
}

function isBetterOwner(a: WorkloadEndpoint, b: WorkloadEndpoint): boolean {
  return a.createdMs > b.createdMs || (a.createdMs === b.createdMs && compareUtf8(a.id, b.id) < 0);
}
