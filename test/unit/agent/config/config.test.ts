/** The configuration: defaults, one file, the environment and flags, and every way to get them wrong. */
import test from 'ava';
import { printConfigIssue, resolveConfig } from '../../../../agent/config/config.ts';
import type { ConfigInput } from '../../../../agent/config/config.ts';
import { CONFIG_NAMES, DEFAULT_CONFIG, rowOf, variableOf } from '../../../../agent/config/keys.ts';
import { printDefaultConfig, printSettings } from '../../../../agent/config/print.ts';
import { toCidr } from '../../../../compiler/model/ip.ts';

function resolve(input: { text?: string } & Partial<Pick<ConfigInput, 'env' | 'flags'>>) {
  const file = input.text === undefined ? undefined : { source: 'p.yaml', text: input.text };
  return resolveConfig({ file, env: input.env ?? {}, flags: input.flags ?? {} });
}

test('nothing given: the defaults', (t) => {
  const { config, sources, issues } = resolve({});
  t.deepEqual(config, DEFAULT_CONFIG);
  t.is(sources.size, 0);
  t.deepEqual(issues, []);
});

test('the printed default file reads back as the defaults, and names every key', (t) => {
  const { config, sources, issues } = resolve({ text: printDefaultConfig() });
  t.deepEqual(issues, []);
  t.deepEqual(config, DEFAULT_CONFIG);
  t.deepEqual([...sources.keys()], [...CONFIG_NAMES]);
  const comments = printDefaultConfig()
    .split('\n')
    .filter((line) => line.startsWith('#'));
  for (const line of comments) t.true(line.length <= 100, line);
});

test('every default is a value that its own type accepts, printed and read', (t) => {
  for (const name of CONFIG_NAMES) {
    const { type, default: value } = rowOf(name);
    const { config, issues } = resolve({ text: `${name}: ${type.print(value)}` });
    t.deepEqual(issues, [], name);
    t.deepEqual(config[name], value, name);
  }
});

test('flags beat the environment, the environment beats the file', (t) => {
  const text = 'node: from-file\nnetns: /run/netns/file\nmanifests: /file\nvxlanPort: 1\n';
  const env = { PICKET_NODE: 'from-env', PICKET_NETNS: '/run/netns/env', PICKET_VXLAN_PORT: '2' };
  const resolved = resolve({ text, env, flags: { node: 'from-flag', manifests: undefined } });
  t.deepEqual(resolved.issues, []);
  t.like(resolved.config, {
    node: 'from-flag',
    netns: '/run/netns/env',
    manifests: '/file',
    vxlanPort: 2,
  });
  t.deepEqual(printSettings(resolved), [
    'node: "from-flag"    # --node',
    'manifests: "/file"    # p.yaml:3',
    'netns: "/run/netns/env"    # PICKET_NETNS',
    'vxlanPort: 2    # PICKET_VXLAN_PORT',
  ]);
});

const VALUES = [
  { name: 'interfacePrefixes', yaml: '[cali, tap]', text: 'cali, tap', out: ['cali', 'tap'] },
  { name: 'interfacePrefixes', yaml: '[]', text: '[]', out: [] },
  { name: 'endpointToHostAction', yaml: 'Drop', text: 'Drop', out: 'Drop' },
  { name: 'denyAction', yaml: 'Reject', text: 'Reject', out: 'Reject' },
  { name: 'disableConntrackInvalidCheck', yaml: 'true', text: 'true', out: true },
  { name: 'filterPriority', yaml: '-10', text: '-10', out: -10 },
  {
    name: 'serviceCidrs',
    yaml: '["10.96.0.0/12", "fd00:96::/112"]',
    text: '10.96.0.0/12,fd00:96::/112',
    out: [toCidr('10.96.0.0/12'), toCidr('fd00:96::/112')],
  },
] as const;

for (const { name, yaml, text, out } of VALUES) {
  test(`${name} ${yaml}: the same from a file and from the environment`, (t) => {
    const fromFile = resolve({ text: `${name}: ${yaml}` });
    const fromEnv = resolve({ env: { [variableOf(name)]: text } });
    t.deepEqual([...fromFile.issues, ...fromEnv.issues], []);
    t.deepEqual<unknown, unknown>(fromFile.config[name], out);
    t.deepEqual<unknown, unknown>(fromEnv.config[name], out);
  });
}

const WRONG: readonly { in: string; out: string }[] = [
  { in: 'denyActon: Drop', out: 'p.yaml:1: denyActon: unknown key; did you mean "denyAction"?' },
  { in: '\nrules: 1', out: 'p.yaml:2: rules: unknown key' },
  {
    in: 'denyAction: reject',
    out: 'p.yaml:1: denyAction: "reject" is not right: write Drop or Reject; did you mean "Reject"?',
  },
  {
    in: 'endpointToHostAction: true',
    out: 'p.yaml:1: endpointToHostAction: true is not right: write Accept, Drop or Return',
  },
  {
    in: 'disableConntrackInvalidCheck: yes',
    out: 'p.yaml:1: disableConntrackInvalidCheck: "yes" is not right: write true or false, without quotes',
  },
  {
    in: 'vxlanPort: 70000',
    out: 'p.yaml:1: vxlanPort: 70000 is not right: write a whole number from 1 to 65535, without quotes',
  },
  {
    in: 'vxlanPort: "4789"',
    out: 'p.yaml:1: vxlanPort: "4789" is not right: write a whole number from 1 to 65535, without quotes',
  },
  {
    in: 'interfacePrefixes:\n  - cali\n  - ""',
    out: 'p.yaml:3: interfacePrefixes[1]: "" is not right: write the start of an interface name: 1 to 14 letters, digits, "_", "-" and "."',
  },
  {
    in: 'serviceCidrs:\n- 10.96.0.1/12',
    out: 'p.yaml:2: serviceCidrs[0]: "10.96.0.1/12" is not right: it has host bits set; write 10.96.0.0/12',
  },
  {
    in: 'serviceCidrs: 10.96.0.0/12',
    out: 'p.yaml:1: serviceCidrs: "10.96.0.0/12" is not right: write a list, each entry a prefix like 10.96.0.0/12 or fd00:96::/112',
  },
  { in: 'node:', out: 'p.yaml:1: node: null is not right: write the name of this node' },
  {
    in: 'node: a\nnode: b',
    out: 'p.yaml:2: the key "node" is given twice in one mapping',
  },
  {
    in: '- node',
    out: 'p.yaml:1: expected a mapping of keys to values, like "denyAction: Reject"',
  },
  { in: 'node: a\n---\nnode: b', out: 'p.yaml:2: a second document; write one' },
];

for (const { in: text, out } of WRONG) {
  test(`wrong: ${JSON.stringify(text)}`, (t) => {
    const { issues } = resolve({ text });
    t.deepEqual(issues.map(printConfigIssue), [out]);
  });
}

test('an alias bomb is an error, not a crash', (t) => {
  const levels = Array.from({ length: 12 }, (_, i) => `a${i}: &a${i} [${`*a${i - 1},`.repeat(9)}]`);
  const { issues } = resolve({ text: ['a: &a-1 x', ...levels].join('\n') });
  t.true(issues.length > 0);
});

const ENVIRONMENT: readonly { in: Record<string, string>; out: readonly string[] }[] = [
  {
    in: { PICKET_DENY_ACTON: 'Drop' },
    out: ['environment: PICKET_DENY_ACTON: unknown variable; did you mean "PICKET_DENY_ACTION"?'],
  },
  {
    in: { PICKET_VXLAN_PORT: 'x' },
    out: [
      'environment: PICKET_VXLAN_PORT: "x" is not right: write a whole number from 1 to 65535, without quotes',
    ],
  },
  {
    in: { PICKET_INTERFACE_PREFIXES: 'cali,with space' },
    out: [
      'environment: PICKET_INTERFACE_PREFIXES[1]: "with space" is not right: write the start of an interface name: 1 to 14 letters, digits, "_", "-" and "."',
    ],
  },
  {
    // What Kubernetes sets in every container of a namespace with a Service "picket" or "picket-metrics".
    in: {
      PICKET_SERVICE_HOST: '10.96.0.9',
      PICKET_SERVICE_PORT: '9091',
      PICKET_PORT: 'tcp://10.96.0.9:9091',
      PICKET_PORT_9091_TCP_ADDR: '10.96.0.9',
      PICKET_METRICS_SERVICE_PORT_HTTP: '9091',
      PICKET_METRICS_PORT_9091_TCP: 'tcp://10.96.0.9:9091',
    },
    out: [],
  },
  {
    // Like one of those, and none.
    in: { PICKET_FAILSAFE_INBOUND_HOST_PORT: 'tcp:22' },
    out: [
      'environment: PICKET_FAILSAFE_INBOUND_HOST_PORT: unknown variable; did you mean "PICKET_FAILSAFE_INBOUND_HOST_PORTS"?',
    ],
  },
  { in: { PATH: '/bin', PICKETT: '1' }, out: [] },
  // Somebody else's.
  { in: { PICKET_ROOT: '/srv', PICKET_BIN: 'bin/picket', PICKET_TEST_ADDON: 'x' }, out: [] },
];

for (const { in: env, out } of ENVIRONMENT) {
  test(`environment ${JSON.stringify(env)}`, (t) => {
    t.deepEqual(resolve({ env }).issues.map(printConfigIssue), out);
  });
}

test('variables are the keys in upper snake case', (t) => {
  t.is(variableOf('node'), 'PICKET_NODE');
  t.is(variableOf('allowVxlanPacketsFromWorkloads'), 'PICKET_ALLOW_VXLAN_PACKETS_FROM_WORKLOADS');
});
