/**
 * Types of the keys of host policy: failsafe ports, a bit of the packet mark. Comes in: a decoded YAML value, or a variable's text. Goes
 * out: the checked value, or what is wrong and what would be right.
 */
import { printCidr, toCidr } from '../../compiler/model/ip.ts';
import type { Failsafe } from '../../compiler/nft/host-config.ts';
import { text } from './value-types.ts';
import type { ValueType } from './value-types.ts';

const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17 };

const FAILSAFE_FORM = 'tcp:22, tcp:10.0.0.0/8:22 or udp:[fd00::/8]:53';

/** `tcp:22`: for everybody; `tcp:10.0.0.0/8:22`: for peers in the prefix. */
export const FAILSAFE: ValueType<Failsafe> = {
  ...text(`a port like ${FAILSAFE_FORM}`),
  read(value) {
    const failsafe = typeof value === 'string' ? toFailsafe(value) : undefined;
    if (failsafe !== undefined) return { value: failsafe };
    const message = `${JSON.stringify(value)} is not right: write a protocol (tcp or udp), perhaps a prefix, and a port: ${FAILSAFE_FORM}`;
    return { wrong: { path: [], got: value, message } };
  },
  print: ({ protocol, port, net }) => {
    const name = protocol === PROTOCOLS['tcp'] ? 'tcp' : 'udp';
    if (net === undefined) return `'${name}:${port}'`;
    return net.family === 4
      ? `'${name}:${printCidr(net)}:${port}'`
      : `'${name}:[${printCidr(net)}]:${port}'`;
  },
};

const PARTS = /^(tcp|udp):(?:(?:\[([0-9A-Fa-f:.]+\/\d+)\]|([0-9.]+\/\d+)):)?(\d{1,5})$/;

function toFailsafe(value: string): Failsafe | undefined {
  const [, name = '', net6, net4, digits = ''] = PARTS.exec(value) ?? [];
  const protocol = PROTOCOLS[name];
  const port = Number(digits);
  if (protocol === undefined || digits === '' || port > 65_535) return undefined;
  const written = net6 ?? net4;
  if (written === undefined) return { protocol, port, net: undefined };
  const net = toCidr(written);
  const family = net6 === undefined ? 4 : 6;
  return net?.family === family ? { protocol, port, net } : undefined;
}

const BIT_FORM = 'one bit of 32, such as 0x10000000';

/** A power of two below 2^32. */
export const MARK_BIT: ValueType<number> = {
  expected: BIT_FORM,
  read: (value) =>
    typeof value === 'number' && value >= 1 && value < 2 ** 32 && Number.isInteger(Math.log2(value))
      ? { value }
      : {
          wrong: {
            path: [],
            got: value,
            message: `${JSON.stringify(value)} is not right: write ${BIT_FORM}, without quotes`,
          },
        },
  fromText: (raw) => (/^(0x[0-9a-fA-F]{1,8}|\d{1,10})$/.test(raw) ? Number(raw) : raw),
  print: (value) => `0x${value.toString(16)}`,
};
