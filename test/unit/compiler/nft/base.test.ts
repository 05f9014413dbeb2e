/** The fixed part of the table by configuration: which chains exist, and what they deny. */
import test from 'ava';
import { toCidr } from '../../../../compiler/model/ip.ts';
import type { Cidr } from '../../../../compiler/model/ip.ts';
import { DEFAULT_BASE_CONFIG, lowerBase, preambleChain } from '../../../../compiler/nft/base.ts';
import type { BaseConfig } from '../../../../compiler/nft/base.ts';
import type { Expr } from '../../../../compiler/nft/program.ts';

function cidrs(...texts: readonly string[]): Cidr[] {
  return texts.flatMap((text) => toCidr(text) ?? []);
}

function chainNames(config: Partial<BaseConfig>): string[] {
  return lowerBase({ ...DEFAULT_BASE_CONFIG, ...config }).map(({ chain }) => chain.name);
}

const ALWAYS = [
  'anti-spoofing',
  'workload-egress',
  'workload-ingress',
  'input',
  'forward-egress',
  'forward-ingress',
];

const CHAINS: readonly { name: string; in: Partial<BaseConfig>; out: readonly string[] }[] = [
  { name: 'defaults', in: {}, out: ALWAYS },
  { name: 'return to host', in: { endpointToHostAction: 'return' }, out: ALWAYS },
  {
    name: 'no way to the host',
    in: { endpointToHostAction: 'drop' },
    out: [...ALWAYS, 'input-to-host', 'to-host'],
  },
  {
    name: 'service prefixes',
    in: { serviceLoop: { cidrs: cidrs('10.96.0.0/12'), action: 'drop' } },
    out: [...ALWAYS, 'forward-service'],
  },
];

for (const { name, in: config, out } of CHAINS) {
  test(`chains: ${name}`, (t) => t.deepEqual(chainNames(config), [...out]));
}

for (const action of ['drop', 'reject'] as const) {
  test(`service loops end with ${action}, behind all other forward stages`, (t) => {
    const lowered = lowerBase({
      ...DEFAULT_BASE_CONFIG,
      priority: 10,
      serviceLoop: { cidrs: cidrs('10.96.0.0/12', 'fd00:96::/112'), action },
    });
    const found = lowered.find(({ chain }) => chain.name === 'forward-service');
    t.deepEqual(found?.chain.base, { hook: 'forward', priority: 14 });
    t.deepEqual(
      found?.counters.map(({ name }) => name),
      ['forward/service-loop'],
    );
    const last: Expr =
      action === 'drop'
        ? { kind: 'verdict', verdict: { kind: 'drop' } }
        : { kind: 'reject', reject: 'admin-prohibited' };
    t.deepEqual(
      found?.chain.rules.map(({ exprs }) => exprs.slice(-2)),
      [1, 2].map(() => [{ kind: 'counter', name: 'forward/service-loop' }, last]),
    );
    const priorities = lowered.flatMap(({ chain }) => {
      return chain.base?.hook === 'forward' ? [chain.base.priority] : [];
    });
    t.is(Math.max(...priorities), 14);
  });
}

const PREAMBLES: readonly { name: string; in: Partial<BaseConfig>; out: number }[] = [
  { name: 'defaults', in: {}, out: 4 },
  { name: 'VXLAN allowed', in: { banVxlan: false }, out: 3 },
  { name: 'IP in IP allowed', in: { banIpip: false }, out: 3 },
  { name: 'invalid packets judged', in: { dropInvalid: false }, out: 3 },
  { name: 'all three', in: { banVxlan: false, banIpip: false, dropInvalid: false }, out: 1 },
];

for (const { name, in: config, out } of PREAMBLES) {
  test(`egress preamble: ${name}`, (t) => {
    const chains = lowerBase({ ...DEFAULT_BASE_CONFIG, ...config });
    const preamble = chains.find(({ chain }) => chain.name === preambleChain('egress'));
    t.is(preamble?.chain.rules.length, out);
  });
}
