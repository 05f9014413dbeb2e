/** Who owns an address that several endpoints claim: the newest active one, ties by lowest id (design section 7). */
import { printAddress } from '../model/ip.ts';
import type { WorkloadEndpoint } from '../model/cluster.ts';
import type { Address } from '../model/ip.ts';
import { compareUtf8 } from '../model/text-order.ts';

export class AddressOwners {
  /** Address text to the active endpoints that claim it. */
  readonly #claims = new Map<string, Map<string, WorkloadEndpoint>>();

  /** Replaces the claims of `before` by those of `after`; returns ids of all endpoints whose ownership may differ now. */
  update(before: WorkloadEndpoint | undefined, after: WorkloadEndpoint | undefined): Set<string> {
    const affected = new Set<string>();
    for (const key of claimedBy(before)) {
      const claims = this.#claims.get(key);
      claims?.delete(before?.id ?? '');
      if (claims?.size === 0) this.#claims.delete(key);
      for (const id of claims?.keys() ?? []) affected.add(id);
    }
    for (const key of claimedBy(after)) {
      const claims = this.#claims.get(key) ?? new Map<string, WorkloadEndpoint>();
      this.#claims.set(key, claims);
      for (const id of claims.keys()) affected.add(id);
      if (after !== undefined) claims.set(after.id, after);
    }
    return affected;
  }

  /** The endpoint's addresses that no better claimant has. */
  owned(endpoint: WorkloadEndpoint): Address[] {
    if (!endpoint.active) return [];
    return endpoint.addresses.filter((address) => {
      for (const rival of this.#claims.get(printAddress(address))?.values() ?? []) {
        if (rival.id !== endpoint.id && isBetterOwner(rival, endpoint)) return false;
      }
      return true;
    });
  }
}

function claimedBy(endpoint: WorkloadEndpoint | undefined): string[] {
  return endpoint?.active === true ? endpoint.addresses.map(printAddress) : [];
}

function isBetterOwner(a: WorkloadEndpoint, b: WorkloadEndpoint): boolean {
  return a.createdMs > b.createdMs || (a.createdMs === b.createdMs && compareUtf8(a.id, b.id) < 0);
}
