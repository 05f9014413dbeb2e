/** Addresses and prefixes in fields. A prefix that has one clear meaning is accepted with a warning (specification section 1.14). */
import { type Address, type Cidr, isHostCidr, printCidr, toAddress, toCidr } from '../ip.ts';
import { type Cursor, fail, readList, show, warn } from './reader.ts';

/** How strictly a prefix is read: `rule` warns of sloppy spelling, `set` does not mind it. */
export type NetStyle = 'rule' | 'set';

export function readNets(at: Cursor, style: NetStyle, max?: number): readonly Cidr[] {
  return readList(at, max).flatMap((entry) => readNet(entry, style) ?? []);
}

export function readNet(at: Cursor, style: NetStyle): Cidr | undefined {
  const cidr = typeof at.value === 'string' ? toCidr(at.value) : undefined;
  if (typeof at.value !== 'string' || cidr === undefined) {
    return fail(at, 'net-invalid', `${show(at.value)} is not a prefix like 10.0.0.0/8 or fd00::/8`);
  }
  if (style === 'rule') warnOfSpelling(at, at.value, cidr);
  return cidr;
}

function warnOfSpelling(at: Cursor, text: string, cidr: Cidr): void {
  const meaning = `${show(text)} is read as ${printCidr(cidr)}`;
  const slash = text.indexOf('/');
  if (slash < 0) warn(at, 'net-bare-address', `${meaning}, because it has no prefix length`);
  else if (toAddress(text.slice(0, slash))?.value !== cidr.value) {
    warn(at, 'net-host-bits', `${meaning}, because bits behind the prefix are set`);
  }
}

/** A plain address. */
export function readAddress(at: Cursor): Address | undefined {
  const address = typeof at.value === 'string' ? toAddress(at.value) : undefined;
  if (address !== undefined) return address;
  return fail(at, 'address-invalid', `${show(at.value)} is not an IP address`);
}

/** An address that may be written as its own /32 or /128. */
export function readHostNet(at: Cursor): Address | undefined {
  const cidr = readNet(at, 'set');
  if (cidr === undefined) return undefined;
  if (isHostCidr(cidr)) return { family: cidr.family, value: cidr.value };
  return fail(
    at,
    'net-invalid',
    `${show(at.value)} is more than one address; expected /32 or /128`,
  );
}

export function uniqueAddresses(addresses: readonly Address[]): readonly Address[] {
  const byText = new Map(
    addresses.map((address) => [`${address.family} ${address.value}`, address]),
  );
  return [...byText.values()];
}

export function uniqueNets(nets: readonly Cidr[]): readonly Cidr[] {
  return [...new Map(nets.map((net) => [printCidr(net), net])).values()];
}
