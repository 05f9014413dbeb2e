/** Addresses that two running workloads claim: only one of them is known by it. */
import { AddressOwners } from '../calc/address-owners.ts';
import { printAddress } from '../model/ip.ts';
import type { FindWarnings } from './rule.ts';

export const findSharedAddresses: FindWarnings = (world) => {
  const owners = new AddressOwners();
  for (const { value } of world.workloads) owners.update(undefined, value);
  const ownerOf = new Map<string, string>();
  for (const { value } of world.workloads) {
    for (const address of owners.owned(value)) ownerOf.set(printAddress(address), value.id);
  }
  return world.workloads.flatMap(({ key, value }) => {
    if (!value.active) return [];
    return value.addresses.map(printAddress).flatMap((address) => {
      const owner = ownerOf.get(address);
      if (owner === undefined || owner === value.id) return [];
      const message = `${address} is also the address of ${owner}, which is newer or comes first by name: only that one is known by it, and this one cannot send from it`;
      const path = value.isPod ? ['status', 'podIP'] : ['spec', 'ipNetworks'];
      return [{ key, path, message }];
    });
  });
};
